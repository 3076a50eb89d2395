"""Place a document's lines on pages and print them as PDF, in points of 1/72 inch.

The same placement serves both kinds of document: printed in ink for a born-digital PDF, and written
invisibly over the picture for a searchable scan. One measure of both keeps boxes and ink together.
"""

import io
import random
from dataclasses import dataclass
from pathlib import Path

import pymupdf

from tools.corpus.compose import Document, Line, seed_of

INK_VISIBLE, INK_INVISIBLE = 0, 3  # PDF text render modes
TITLE_SCALE = 1.25
# Wide enough that the box of a line, even on a leaning page, holds no ink of its neighbours.
LEADING = 1.75
PARAGRAPH_GAP = 0.45


@dataclass(frozen=True)
class PlacedLine:
    """A line on paper: left end of its baseline and type size, in points."""

    text: str
    x: float
    baseline: float
    size: float


@dataclass(frozen=True)
class Sheet:
    """One laid-out page, in points, cut to fit its text."""

    width: float
    height: float
    lines: tuple[PlacedLine, ...]
    framed: bool = False


def read_typeface(path: Path, documents: list[Document]) -> pymupdf.Font:
    """Load a ttf, otf or woff2 file, cut down to the characters that the documents use.

    The cut keeps one character a glyph: where a space and a no-break space share a glyph, text
    extraction answers with the wrong one. It also drops ligatures, and unpacks woff2, which MuPDF
    does not read. Raises ValueError naming the characters that the typeface lacks.
    """
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    used = {ord(char) for document in documents for text in document.texts() for char in text}
    with TTFont(path, recalcTimestamp=False) as font:
        missing = sorted(chr(code) for code in used - font.getBestCmap().keys())
        if missing:
            raise ValueError(f"{path}: lacks the characters {missing}; choose another font or reword the text")
        subsetter = Subsetter(Options(layout_features=[], drop_tables=["GSUB", "GPOS"]))
        subsetter.populate(unicodes=used)
        subsetter.subset(font)
        font.flavor = None
        plain = io.BytesIO()
        font.save(plain)
    return pymupdf.Font(fontbuffer=plain.getvalue())


def lay_out(document: Document, typeface: pymupdf.Font, plain: bool = False) -> list[Sheet]:
    """Lay out a document with a type size and margins that hang on its name alone.

    Notices and catalogues get a frame unless `plain`: a frame hides the gaps between lines from
    line finding by projection.
    """
    chance = random.Random(seed_of(document.name + ":layout"))
    size = chance.choice([12.5, 13, 13.5, 14, 14.5, 15])
    margin = chance.uniform(32, 46)
    framed = not plain and document.name.startswith(("notices/", "catalogue/"))
    width = max(typeface.text_length(line.text, type_size(line, size)) for page in document.pages for line in page)
    return [lay_out_page(page, typeface, size, margin, width, framed) for page in document.pages]


def type_size(line: Line, size: float) -> float:
    return size * TITLE_SCALE if line.style == "title" else size


def lay_out_page(
    lines: tuple[Line, ...], typeface: pymupdf.Font, size: float, margin: float, width: float, framed: bool
) -> Sheet:
    """Set lines from the top margin down; `width` is the text column's."""
    placed, baseline = [], margin
    for number, line in enumerate(lines):
        line_size = type_size(line, size)
        gap = PARAGRAPH_GAP * size if line.opens_paragraph and number else 0
        baseline += gap + LEADING * line_size if number else line_size
        slack = width - typeface.text_length(line.text, line_size)
        x = margin + slack * {"title": 0.5, "right": 1.0, "body": 0.0}[line.style]
        placed.append(PlacedLine(line.text, x, baseline, line_size))
    return Sheet(round(width + 2 * margin), round(baseline + margin + 0.3 * size), tuple(placed), framed)


def write_lines(page: pymupdf.Page, sheet: Sheet, typeface: pymupdf.Font, ink: int, skew: float = 0.0) -> None:
    """Write a sheet's lines, turned clockwise by `skew` degrees about the middle of the page.

    TextWriter maps characters to glyphs one by one, without ligatures, so extraction returns the
    plain letters.
    """
    writer = pymupdf.TextWriter(page.rect)
    for line in sheet.lines:
        writer.append((line.x, line.baseline), line.text, font=typeface, fontsize=line.size)
    middle = pymupdf.Point(sheet.width / 2, sheet.height / 2)
    # Matrix turns by the mathematician's sense, hence the sign.
    morph = (middle, pymupdf.Matrix(-skew)) if skew else None
    writer.write_text(page, render_mode=ink, morph=morph)


def print_sheets(sheets: list[Sheet], typeface: pymupdf.Font) -> pymupdf.Document:
    """Return a born-digital PDF, real text in an embedded font, notices with a printed frame."""
    pdf = pymupdf.open()
    for sheet in sheets:
        page = pdf.new_page(width=sheet.width, height=sheet.height)
        if sheet.framed:
            for inset, weight in ((12, 1.6), (16, 0.5)):
                page.draw_rect(page.rect + (inset, inset, -inset, -inset), width=weight)
        write_lines(page, sheet, typeface, INK_VISIBLE)
    return pdf


def save_pdf(pdf: pymupdf.Document, path: Path) -> None:
    """Write a PDF without clock or random id, so that the same words give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pdf.subset_fonts()
    pdf.set_metadata({})
    pdf.save(path, garbage=4, deflate=True, no_new_id=True)
