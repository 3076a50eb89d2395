"""Read the lines of a PDF page's own text layer, visible or not (render mode 3 lies under many a scan)."""

import itertools
import math
import re
from dataclasses import dataclass
from statistics import median

import pymupdf

from ocrtune.pages.lines import Line, to_frame

LEVEL = 0.15  # degrees; less than 3 px over the width of a page
LOST_SPACE = 0.18  # em; wider gaps between letters are spaces that the PDF left out
JOIN_GAP = 2.0  # em; pieces of a block on one baseline that lie closer are one line
COLUMN_GAP = 0.6  # em; the same for pieces of two blocks, which are columns as a rule
X_HEIGHT = 0.45  # em
FLAGS = pymupdf.TEXTFLAGS_RAWDICT & ~pymupdf.TEXT_PRESERVE_IMAGES
UNSPACED = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")  # Chinese and Japanese write no spaces


@dataclass
class Piece:
    """What MuPDF calls a line: a run of text that may be part of a line, in its frame, in px."""

    text: str
    angle: float
    left: float
    right: float
    baseline: float
    size: float
    ascent: float
    descent: float
    block: int


def project(box: tuple[float, ...], matrix: pymupdf.Matrix, angle: float) -> tuple[float, float, float, float]:
    """Return the box (left, top, right, bottom) of a PDF box in a frame."""
    corners = [pymupdf.Point(x, y) * matrix for x in (box[0], box[2]) for y in (box[1], box[3])]
    us, vs = zip(*(to_frame(corner.x, corner.y, angle) for corner in corners), strict=True)
    return min(us), min(vs), max(us), max(vs)


def restore_spaces(characters: list[tuple[str, float, float]], size: float) -> str:
    """Return the text of (character, left, right), with spaces where the gaps say so.

    A gap counts only against the line's usual gap, since letters may be set wide apart on purpose.
    """
    gaps = [after[1] - before[2] for before, after in itertools.pairwise(characters)]
    solid = [gap for gap, before, after in zip(gaps, characters, characters[1:], strict=False)
             if not before[0].isspace() and not after[0].isspace()]  # fmt: skip
    limit = LOST_SPACE * size + max(0.0, median(solid) if solid else 0.0)
    text = characters[0][0]
    for gap, before, after in zip(gaps, characters, characters[1:], strict=False):
        is_open = not before[0].isspace() and not after[0].isspace()
        if is_open and gap > limit and not UNSPACED.match(before[0]) and not UNSPACED.match(after[0]):
            text += " "
        text += after[0]
    return text


def read_piece(line: dict, block: int, matrix: pymupdf.Matrix, zoom: float) -> Piece | None:
    """Return one of MuPDF's lines, or None where it has no text."""
    spans = [span for span in line["spans"] if span["chars"]]
    if not spans or not "".join(char["c"] for span in spans for char in span["chars"]).strip():
        return None
    direction = pymupdf.Point(*line["dir"]) * pymupdf.Matrix(matrix.a, matrix.b, matrix.c, matrix.d, 0, 0)
    is_vertical = line["wmode"] == 1  # characters stand upright, one below the other
    angle = 0.0 if is_vertical else math.degrees(math.atan2(direction.y, direction.x))
    angle = 0.0 if abs(angle) < LEVEL else round(angle, 2)
    left, top, right, bottom = project(line["bbox"], matrix, angle)
    main = max(spans, key=lambda span: len(span["chars"]))
    size = main["size"] * zoom
    boxes = [(char, project(char["bbox"], matrix, angle)) for span in spans for char in span["chars"]]
    if is_vertical:
        text = "".join(char["c"] for char, _ in boxes)
        return Piece(text.strip(), angle, left, right, bottom, size, bottom - top, 0.0, block)
    left, right = min(box[0] for _, box in boxes), max(box[2] for _, box in boxes)
    is_leftward = any(char["bidi"] % 2 for char in spans) or (direction.x < 0 and angle == 0)
    places = [(char["c"], box[0], box[2]) for char, box in boxes]
    text = "".join(place[0] for place in places) if is_leftward else restore_spaces(places, size)
    origin = pymupdf.Point(*main["origin"]) * matrix
    baseline = to_frame(origin.x, origin.y, angle)[1]
    ascent = main["ascender"] if 0.5 <= main["ascender"] <= 1.3 else 0.9
    descent = -main["descender"] if 0.1 <= -main["descender"] <= 0.5 else 0.25
    return Piece(text.strip(), angle, left, right, baseline, size, ascent * size, descent * size, block)


def continues(line: list[Piece], piece: Piece) -> bool:
    """Say whether a piece stands on the same baseline as a line and close by."""
    last = line[-1]
    size = max(last.size, piece.size)
    gap = max(piece.left - max(part.right for part in line), min(part.left for part in line) - piece.right)
    is_level = abs(piece.baseline - last.baseline) < 0.2 * size and abs(piece.angle - last.angle) < 0.5
    limit = JOIN_GAP if last.block == piece.block else COLUMN_GAP
    return is_level and -0.4 * size < gap < limit * size and min(last.size, piece.size) > 0.5 * size


def join_pieces(pieces: list[Piece]) -> list[list[Piece]]:
    """Return the pieces grouped into lines, in the PDF's order, the pieces of each from left to right."""
    lines: list[list[Piece]] = []
    order = sorted(range(len(pieces)), key=lambda at: (pieces[at].angle, pieces[at].baseline, pieces[at].left, at))
    places: list[int] = []
    for at in order:
        recent = range(len(lines) - 1, max(-1, len(lines) - 40), -1)
        found = next((number for number in recent if continues(lines[number], pieces[at])), None)
        if found is None:
            lines.append([pieces[at]])
            places.append(at)
        else:
            lines[found].append(pieces[at])
            places[found] = min(places[found], at)
    return [sorted(line, key=lambda piece: piece.left) for _, line in sorted(zip(places, lines, strict=True), key=lambda pair: pair[0])]


def join_text(line: list[Piece]) -> str:
    """Return the text of a line's pieces, a space where there is a gap."""
    text = line[0].text
    for before, after in itertools.pairwise(line):
        text += (" " if after.left - before.right > LOST_SPACE * after.size else "") + after.text
    return text


def read_text_lines(page: pymupdf.Page, zoom: float) -> list[Line]:
    """Return the lines of a page's text layer in its order, placed on the page rendered at `zoom`; empty ones are left out."""
    matrix = page.rotation_matrix * pymupdf.Matrix(zoom, zoom)
    pieces = []
    for number, block in enumerate(page.get_text("rawdict", flags=FLAGS)["blocks"]):
        found = (read_piece(line, number, matrix, zoom) for line in block.get("lines", ()))
        pieces += [piece for piece in found if piece is not None]
    return [
        Line(
            left=min(piece.left for piece in line),
            right=max(piece.right for piece in line),
            top=min(piece.baseline - piece.ascent for piece in line),
            core_top=min(piece.baseline - X_HEIGHT * piece.size for piece in line),
            core_bottom=max(piece.baseline for piece in line),
            bottom=max(piece.baseline + piece.descent for piece in line),
            angle=line[0].angle,
            text=join_text(line),
            block=line[0].block,
        )
        for line in join_pieces(pieces)
    ]
