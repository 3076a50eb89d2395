"""Turn one document into images of its pages, blocks or lines, each with what its text layer says.

Damage shows at four moments, when a document is opened, its pages are counted, a page is loaded and
a page is rendered; each is refused with its reason and the rest goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ocrtune.pages.line_crops import Box, cut_box, cut_line, find_neighbours
from ocrtune.pages.line_finding import SidewaysError, find_lines
from ocrtune.pages.lines import Line, outline
from ocrtune.pages.source_pages import Refusal, SourcePage, open_image, open_pdf
from ocrtune.params.pdf2img import Pdf2imgParams

PICTURE_SHARE = 0.25  # of lines found by ink; with more specks among them a page is a photograph
FEW_LINES = 12


@dataclass(frozen=True)
class PageImage:
    """An image to read; `number` counts lines or blocks of the page from 1 and, like `box`, is None for a whole page."""

    page: int
    number: int | None
    box: tuple[int, int, int, int] | None
    image: Image.Image
    text_layer: str | None


def render_document(path: Path, media_type: str, params: Pdf2imgParams) -> Iterator[PageImage | Refusal]:
    """Yield the images of a document in order, and what of it had to be refused."""
    open_document = open_pdf if media_type == "application/pdf" else open_image
    for page in open_document(path, params):
        if isinstance(page, Refusal):
            yield page
        elif params.unit == "page":
            text = "\n".join(line.text for line in page.lines or ()) or None
            yield PageImage(page.number, None, None, page.image, page.text if text is None else text)
        elif page.text is not None:
            yield take_whole(page)
        else:
            yield from cut_page(page, params)


def take_whole(page: SourcePage) -> PageImage | Refusal:
    """Return an image that brings its own text as the one line that it is; where lines stand in it, only a person could say."""
    num_lines = len(page.text.strip().splitlines())
    if num_lines > 1:
        return Refusal(page.number, f"the image brings {num_lines} lines of text, and not where they stand; set pdf2img.unit to page")
    return PageImage(page.number, 1, (0, 0, *page.image.size), page.image, page.text)


def is_picture(num_lines: int, num_low: int) -> bool:
    """Say whether so many of a page's lines, found by ink, are specks that it must be a photograph."""
    return num_low > PICTURE_SHARE * max(num_lines, FEW_LINES)


def cut_page(page: SourcePage, params: Pdf2imgParams) -> Iterator[PageImage | Refusal]:
    """Yield the lines or blocks of a page."""
    try:
        lines = page.lines or find_lines(page.image, params.min_line_height_px)
    except SidewaysError:
        yield Refusal(page.number, "lies on its side and has no text layer; turn it and crawl again")
        return
    num_low = sum(line.height < params.min_line_height_px for line in lines)
    if not page.lines and is_picture(len(lines), num_low):
        yield Refusal(page.number, f"no text layer, and by ink more a picture than text: {num_low} of {len(lines)} lines are specks")
        return
    if not lines:
        yield Refusal(page.number, "no text layer, and no lines found by ink")
        return
    cut = cut_blocks if params.unit == "block" else cut_lines
    for number, (line, piece) in enumerate(cut(page.image, lines, params), 1):
        if line.height < params.min_line_height_px:
            height = f"{line.height:.0f} px high, less than min_line_height_px {params.min_line_height_px}"
            yield Refusal(page.number, f"{params.unit} {number}: {height}")
        elif piece is None:
            yield Refusal(page.number, f"{params.unit} {number}: no ink under its text {line.text!r}")
        else:
            image, box = piece
            left, top, right, bottom = (round(edge) for edge in box)
            inside = (max(left, 0), max(top, 0), min(right, page.image.width), min(bottom, page.image.height))
            yield PageImage(page.number, number, inside, image, line.text)


def cut_lines(image: Image.Image, lines: list[Line], params: Pdf2imgParams) -> Iterator[tuple[Line, tuple[Image.Image, Box] | None]]:
    """Yield each line with its image and box."""
    for line, neighbours in zip(lines, find_neighbours(lines), strict=True):
        yield line, cut_line(image, line, neighbours, params.padding)


def cut_blocks(image: Image.Image, lines: list[Line], params: Pdf2imgParams) -> Iterator[tuple[Line, tuple[Image.Image, Box] | None]]:
    """Yield each block, as one tall line whose text is its lines', with its image and box."""
    for number, angle in dict.fromkeys((line.block, line.angle) for line in lines):
        own = [line for line in lines if (line.block, line.angle) == (number, angle)]
        texts = [line.text for line in own if line.text is not None]
        room = params.padding * max(line.height for line in own)
        left, right = min(line.left for line in own), max(line.right for line in own)
        top, bottom = min(line.top for line in own), max(line.bottom for line in own)
        block = Line(left, right, top, top, bottom, bottom, angle, "\n".join(texts) if texts else None, number)
        box = (left - room, top - room, right + room, bottom + room)
        piece = cut_box(image, box, angle)
        lowest, highest = piece.convert("L").getextrema()
        yield block, (piece, outline(*box, angle)) if highest - lowest >= 8 else None
