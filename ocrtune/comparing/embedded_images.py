"""Put images into an HTML file, so that it needs no other: as data addresses, large ones made smaller."""

import base64
import io
from pathlib import Path

MOST_BYTES = 60_000
MOST_WIDTH = 1000
QUALITY = 82


def read_width(path: Path) -> int | None:
    """Return an image's width in pixels; None where it can't be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.width
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def address(content: bytes, media_type: str) -> str:
    """Return a data address."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def embed_image(path: Path) -> str | None:
    """Return the data address of a page's image, at most `MOST_WIDTH` pixels wide; None where it can't be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.format in ("PNG", "JPEG") and image.width <= MOST_WIDTH and path.stat().st_size <= MOST_BYTES:
                return address(path.read_bytes(), Image.MIME[image.format])
            shown = image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB")
            if shown.width > MOST_WIDTH:
                shown = shown.resize((MOST_WIDTH, max(1, round(shown.height * MOST_WIDTH / shown.width))), Image.Resampling.LANCZOS)
            content = io.BytesIO()
            shown.save(content, "JPEG", quality=QUALITY)
            return address(content.getvalue(), "image/jpeg")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
