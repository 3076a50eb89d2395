"""Open PDFs and images and give their pages, as pictures of bounded size with the lines of their text layer."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from ocrtune.pages.image_text import embedded_text
from ocrtune.pages.lines import Line
from ocrtune.params.pdf2img import Pdf2imgParams

SHRINK_LIMIT = 8  # a page that needs shrinking by more would be unreadable
FAILURES_IN_A_ROW = 20  # then a document is given up; one claims 9,999,999,999 pages
POINTS_PER_INCH = 72


@dataclass(frozen=True)
class Refusal:
    """Why a page, or with `page` None a document, gives nothing."""

    page: int | None
    reason: str


@dataclass(frozen=True)
class SourcePage:
    """A page as a picture; `lines` is None where there is no text layer, `text` where the image does not bring its own."""

    number: int
    image: Image.Image
    lines: list[Line] | None
    text: str | None = None


def first_line(error: Exception) -> str:
    """Return an error's message in one line, as rows hold it."""
    return " ".join(str(error).split()) or type(error).__name__


def damages() -> tuple[type[Exception], ...]:
    """Return what PyMuPDF raises on a damaged PDF: errors of its own, and those of the library under it."""
    import pymupdf

    return RuntimeError, ValueError, OSError, MemoryError, pymupdf.mupdf.FzErrorBase


def choose_shrink(width: float, height: float, max_pixels: int) -> float:
    """Return the scale, at most 1, that brings a page under `max_pixels`; a page beyond reason is a ValueError."""
    if not (math.isfinite(width * height) and min(width, height) >= 1):
        raise ValueError(f"a page of {width:.0f} x {height:.0f} px can't be rendered")
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    if scale * SHRINK_LIMIT < 1 or min(width, height) * scale < 1:
        raise ValueError(f"{width:.0f} x {height:.0f} px, far more than max_pixels {max_pixels}; raise it or lower dpi")
    return scale


def choose_pages(num_pages: int, params: Pdf2imgParams) -> range:
    """Return the page numbers, from 1, that the params ask for; none is a ValueError."""
    if num_pages < 1:
        raise ValueError("no pages")
    if params.start_page > num_pages:
        raise ValueError(f"{num_pages} pages, start_page is {params.start_page}")
    return range(params.start_page, min(num_pages, params.end_page or num_pages) + 1)


def load_pdf(path: Path) -> tuple:
    """Return an open PDF and the number of its pages; otherwise a ValueError says why not."""
    import pymupdf

    pymupdf.TOOLS.mupdf_display_errors(False)
    pymupdf.TOOLS.mupdf_display_warnings(False)
    step = "can't be opened"
    try:
        pdf = pymupdf.open(path, filetype="pdf")
        is_locked = pdf.needs_pass
        step = "pages can't be counted"
        num_pages = 0 if is_locked else pdf.page_count
    except damages() as error:
        raise ValueError(f"{step}: {first_line(error).replace(str(path), path.name)}") from None
    if is_locked:
        raise ValueError("encrypted: needs a password")
    return pdf, num_pages


def open_pdf(path: Path, params: Pdf2imgParams) -> Iterator[SourcePage | Refusal]:
    """Yield a PDF's pages."""
    try:
        pdf, num_pages = load_pdf(path)
        numbers = choose_pages(num_pages, params)
    except ValueError as error:
        yield Refusal(None, first_line(error))
        return
    failures = 0
    for number in numbers:
        page = render_page(pdf, number, params)
        yield page
        failures = failures + 1 if isinstance(page, Refusal) else 0
        if failures == FAILURES_IN_A_ROW:
            yield Refusal(None, f"given up after {failures} bad pages in a row, at page {number} of {num_pages}")
            return


def render_page(pdf, number: int, params: Pdf2imgParams) -> SourcePage | Refusal:
    """Return one page of an open PDF."""
    import pymupdf

    from ocrtune.pages.text_layer import read_text_lines

    step = "page can't be loaded"
    try:
        page = pdf.load_page(number - 1)
        step = "page can't be rendered"
        zoom = params.dpi / POINTS_PER_INCH
        zoom *= choose_shrink(page.rect.width * zoom, page.rect.height * zoom, params.max_pixels)
        colors = pymupdf.csGRAY if params.grayscale else pymupdf.csRGB
        pixmap = page.get_pixmap(matrix=pymupdf.Matrix(zoom, zoom), colorspace=colors, alpha=False)
        mode = "L" if params.grayscale else "RGB"
        image = Image.frombuffer(mode, (pixmap.width, pixmap.height), pixmap.samples, "raw", mode, pixmap.stride, 1)
        step = "text layer can't be read"
        lines = [line for line in read_text_lines(page, zoom) if is_on_page(line, image)]
        # Asked last: some damage shows, and is repaired, only when a page is drawn.
        if pdf.is_repaired and pixmap.is_unicolor and not lines and has_lost_content(page):
            return Refusal(number, "the file is damaged: nothing is left of this page; fetch it again, or save it anew from its source")
    except damages() as error:
        return Refusal(number, f"{step}: {first_line(error)}")
    return SourcePage(number, image.copy(), lines or None)


def has_lost_content(page) -> bool:
    """Say whether a page that shows nothing should: it is gone itself, its contents are, or a picture that they draw.

    MuPDF makes up a blank page for each that a torn file promises and doesn't hold.
    """
    pdf = page.parent
    if page.xref >= pdf.xref_length() or not pdf.xref_get_keys(page.xref):
        return True
    return not all(map(pdf.xref_is_stream, page.get_contents())) or re.search(rb"\bDo\b", page.read_contents()) is not None


def is_on_page(line: Line, image: Image.Image) -> bool:
    """Say whether the middle of a line lies on the page: PDFs hold text beyond the paper's edge."""
    from ocrtune.pages.lines import to_page

    x, y = to_page((line.left + line.right) / 2, (line.core_top + line.core_bottom) / 2, line.angle)
    return 0 <= x < image.width and 0 <= y < image.height


def open_image(path: Path, params: Pdf2imgParams) -> Iterator[SourcePage | Refusal]:
    """Yield an image file's pages: several of a TIFF, of any other the first frame."""
    Image.MAX_IMAGE_PIXELS = None  # `choose_shrink` judges the size, before pixels are read
    try:
        with Image.open(path) as file:
            numbers = choose_pages(getattr(file, "n_frames", 1) if file.format == "TIFF" else 1, params)
            for number in numbers:
                yield read_frame(file, number, params)
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # Pillow raises all of these on bad files
        yield Refusal(None, f"can't be opened: {first_line(error).replace(str(path), path.name)}")


def read_frame(file: Image.Image, number: int, params: Pdf2imgParams) -> SourcePage | Refusal:
    """Return one frame of an open image, upright, on white where it was transparent."""
    try:
        file.seek(number - 1)
        scale = choose_shrink(file.width, file.height, params.max_pixels)
        text = embedded_text(file)
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I") or image.mode == "F":
            image = image.point(lambda value: value / 256).convert("L") if image.mode.startswith("I;16") else image.convert("L")
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if params.grayscale else "RGB")
        if scale < 1:
            size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
            image = image.resize(size, Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        return Refusal(number, f"page can't be loaded: {first_line(error)}")
    return SourcePage(number, image, None, text)
