"""Render the pages of a document and cut them to what a reader reads: whole pages, blocks or lines.

Cuts are those of stage pdf2img, to the byte, so that the store knows their readings. What pdf2img refuses for teaching is
still read where it can be: a scan that bears a few words of text layer, an image that is a single line.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ocrtune.pages.images import PageImage, cut_blocks, cut_lines, is_picture
from ocrtune.pages.ink import choose_threshold, has_ink
from ocrtune.pages.line_finding import SidewaysError, find_lines
from ocrtune.pages.lines import Line, outline
from ocrtune.pages.rows import encode_image, name_page
from ocrtune.pages.source_files import PDF, Source
from ocrtune.pages.source_pages import Refusal, SourcePage, first_line, open_image, open_pdf
from ocrtune.pages.text import Place, join_lines
from ocrtune.params.pdf2img import Pdf2imgParams

FEW_LINES = 5  # of text layer: a stamp or a page number rather than the page
LINE_SHAPE = 2.0  # an image so many times as wide as high, and without lines to be found, is a line itself
ROOM = 3.0  # line heights; a lower image with one line shows that line alone


@dataclass(frozen=True)
class Piece:
    """An image to be read; `place` is where its line stands on the page, None for a whole page.

    Without ink (`has_ink` False) there is nothing on it that a text could be of.
    """

    page_id: str
    image: Path
    sha256: str
    text_layer: str | None
    place: Place | None
    has_ink: bool = True


@dataclass(frozen=True)
class PagePieces:
    """What a page gives to read; none on a blank page, and none for a `reason` on one that can't be read."""

    number: int
    pieces: tuple[Piece, ...] = ()
    reason: str = ""
    is_damaged: bool = False  # the file is to blame: many in a row, and the document is given up


def render_pieces(name: str, sources: tuple[Source, ...], numbers: range, folder: Path, params: Pdf2imgParams) -> list[PagePieces]:
    """Write the images of a document's pages below `folder` and return what each page gives, one for each of `numbers`.

    Several sources are the lines of one page.
    """
    if sources[0].part is not None:
        return [write_parts(name, sources, numbers[0], folder, params)]
    source = sources[0]
    asked = {"start_page": 1, "end_page": 1} if source.page is not None else {"start_page": numbers[0], "end_page": numbers[-1]}
    open_document = open_pdf if source.media_type == PDF else open_image
    found, reason = {}, "nothing came of it"
    for page in open_document(source.file, params.model_copy(update=asked)):
        if isinstance(page, Refusal):
            reason = page.reason
            if page.page is None:
                break
            found[page.page] = PagePieces(page.page, reason=page.reason, is_damaged=True)
        else:
            number = page.number if source.page is None else source.page
            found[number] = write_pieces(name, number, page, source, folder, params)
    return [found.get(number) or PagePieces(number, reason=reason, is_damaged=True) for number in numbers]


def write_parts(name: str, sources: tuple[Source, ...], number: int, folder: Path, params: Pdf2imgParams) -> PagePieces:
    """Write images that show a line or block each, as they are."""
    pieces, reasons = [], []
    for source in sources:
        (page,) = open_image(source.file, params.model_copy(update={"start_page": 1, "end_page": 1}))
        if isinstance(page, Refusal):
            reasons.append(f"{source.file.name}: {page.reason}")
        else:
            image = PageImage(number, source.part, None, page.image, None)
            pieces.append(write_image(name_page(name, image, "line"), image, None, folder, params))
    return PagePieces(number, () if reasons else tuple(pieces), "; ".join(reasons))


def write_pieces(name: str, number: int, page: SourcePage, source: Source, folder: Path, params: Pdf2imgParams) -> PagePieces:
    """Write the pieces of one page."""
    try:
        pieces = [
            write_image(name_page(name, image, params.unit), image, place, folder, params)
            for image, place in cut_page(number, page, source.media_type != PDF, params)
        ]
    except SidewaysError:
        return PagePieces(number, reason="lies on its side and has no text layer; turn it, or let a reader of whole pages read it")
    except ValueError as error:
        return PagePieces(number, reason=first_line(error))
    return PagePieces(number, tuple(pieces))


def write_image(page_id: str, image: PageImage, place: Place | None, folder: Path, params: Pdf2imgParams) -> Piece:
    """Write one image file."""
    content = encode_image(image.image, params.format)
    file = folder / f"{page_id}.{params.format}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return Piece(page_id, file, hashlib.sha256(content).hexdigest(), image.text_layer, place, has_ink(image.image))


def cut_page(number: int, page: SourcePage, is_image: bool, params: Pdf2imgParams) -> Iterator[tuple[PageImage, Place | None]]:
    """Yield the pieces of a page in reading order; a page that is more a picture than text is a ValueError."""
    if params.unit == "page":
        text = join_lines([(line.text, place_of(line)) for line in page.lines]) if page.lines else page.text
        yield PageImage(number, None, None, page.image, text), None
        return
    lines = choose_lines(page, params)
    if is_image and is_line(page.image, lines):
        yield PageImage(number, 1, None, page.image, None), None
        return
    cut = cut_blocks if params.unit == "block" else cut_lines
    for part, (line, piece) in enumerate(cut(page.image, lines, params) if lines else (), 1):
        if line.height >= params.min_line_height_px and piece is not None:
            yield PageImage(number, part, None, piece[0], line.text), place_of(line)


def choose_lines(page: SourcePage, params: Pdf2imgParams) -> list[Line]:
    """Return the lines of the text layer, or those of the ink where there is none, or where it misses most of the page."""
    if page.lines and len(page.lines) > FEW_LINES:
        return page.lines
    try:
        found = find_lines(page.image, params.min_line_height_px)
    except SidewaysError:
        if page.lines:
            return page.lines
        raise
    num_low = sum(line.height < params.min_line_height_px for line in found)
    if is_picture(len(found), num_low):
        if page.lines:
            return page.lines
        raise ValueError(f"by ink more a picture than text: {num_low} of {len(found)} lines are specks")
    missed = sum(not any(covers(line, other) for line in page.lines or ()) for other in found)
    return found if missed > len(found) / 2 or not page.lines else page.lines


def covers(line: Line, other: Line) -> bool:
    """Say whether the middle of another line lies on this one; both level, or nearly so."""
    left, top, right, bottom = outline(line.left, line.top, line.right, line.bottom, line.angle)
    x0, y0, x1, y1 = outline(other.left, other.top, other.right, other.bottom, other.angle)
    return left <= (x0 + x1) / 2 <= right and top <= (y0 + y1) / 2 <= bottom


def is_line(image: Image.Image, lines: list[Line]) -> bool:
    """Say whether an image shows a single line and little else."""
    if len(lines) == 1:
        return image.height <= ROOM * lines[0].height
    gray = image.convert("L")
    return not lines and image.width >= LINE_SHAPE * image.height and choose_threshold(np.asarray(gray))[1] >= 8


def place_of(line: Line) -> Place:
    """Return where the small letters of a line stand on the page, in px, and the line's height."""
    left, top, right, bottom = outline(line.left, line.core_top, line.right, line.core_bottom, line.angle)
    return Place(left, top, right, bottom, line.height)
