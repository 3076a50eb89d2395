"""Serve the project's pictures: by keys that the studio gave out, never by a path from a browser."""

import hashlib
import io
import threading
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ocrtune.params.pdf2img import Pdf2imgParams

# What browsers draw as it lies on disk, by its first bytes.
DRAWN = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
MOST_THUMB_BYTES = 30_000  # below, a smaller copy would save nothing
THUMB_WIDTH = 480


class DocumentPage(NamedTuple):
    """A page of a document, counted from 1, and how pdf2img rendered it."""

    document: Path
    media_type: str
    page: int
    params: str  # of section pdf2img, as JSON


class Gallery:
    """Pictures by key. What lies outside `folders` gets no key, whatever a row says."""

    def __init__(self, folders: list[Path]):
        self.folders = folders
        self.pictures: dict[str, Path | DocumentPage] = {}

    def hang(self, picture: Path | DocumentPage, width: int | None = None) -> str | None:
        """Return the address of a picture, `width` for a small copy; None where there is no such file or it may not be shown."""
        file = picture.document if isinstance(picture, DocumentPage) else picture
        if not self.may_show(file):
            return None
        key = hashlib.sha256(repr(picture).encode()).hexdigest()[:32]
        self.pictures[key] = picture
        return f"/studio/pictures/{key}" + (f"?width={width}" if width else "")

    def may_show(self, path: Path) -> bool:
        """Return whether a file lies in one of the folders, or is a link there into a cache of DVC (`files/md5`)."""
        plain = Path(path.parent.resolve() if path.parent.exists() else path.parent, path.name)
        if ".." in plain.parts or not any(path.is_relative_to(folder) or plain.is_relative_to(folder) for folder in self.folders):
            return False
        if not path.is_file():
            return False
        real = path.resolve()
        inside = any(real.is_relative_to(folder) for folder in self.folders)
        return inside or "/files/md5/" in real.as_posix()

    def draw(self, key: str, is_small: bool) -> tuple[bytes, str] | None:
        """Return a picture's bytes and media type; None for an unknown key and for what is no picture."""
        picture = self.pictures.get(key)
        if picture is None:
            return None
        try:
            if isinstance(picture, DocumentPage):
                return draw_source(picture), "image/png"
            content = picture.read_bytes()
            kind = next((kind for start, kind in DRAWN.items() if content.startswith(start)), None)
            if kind and not (is_small and len(content) > MOST_THUMB_BYTES):
                return content, kind
            return redraw(content, THUMB_WIDTH if is_small else None), "image/png"
        except (OSError, ValueError, SyntaxError):  # Pillow raises all of these on what is no picture
            return None


def redraw(content: bytes, width: int | None) -> bytes:
    """Return any picture that Pillow reads as PNG, at most `width` wide."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image = image.convert("RGB" if image.mode not in ("L", "1") else "L")
        if width:
            image.thumbnail((width, width * 2))
        return encode(image)


def encode(image) -> bytes:
    """Return a PNG, quickly rather than small."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


RENDERING = threading.Lock()  # PyMuPDF is not thread-safe


@lru_cache(maxsize=24)
def draw_source(source: DocumentPage) -> bytes:
    """Return a document's page as pdf2img rendered it, so that boxes in pages.jsonl fit; one that can't be is a `ValueError`."""
    from ocrtune.pages.source_pages import Refusal, open_image, open_pdf

    params = Pdf2imgParams.model_validate_json(source.params).model_copy(update={"start_page": source.page, "end_page": source.page})
    with RENDERING:
        pages = (open_pdf if source.media_type == "application/pdf" else open_image)(source.document, params)
        page = next(iter(pages), None)
        if page is None or isinstance(page, Refusal):
            raise ValueError(f"{source.document.name}: page {source.page} can't be rendered")
        return encode(page.image)
