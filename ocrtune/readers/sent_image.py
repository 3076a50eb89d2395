"""Make an image ready to be sent: as it lies on disk, or drawn smaller where params say so."""

import io
from pathlib import Path
from threading import Lock

from ocrtune.params.teachers import ImageSizing
from ocrtune.readers.trouble import Trouble

MEDIA_TYPES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
LARGEST_PIXELS = 1_000_000_000  # 1 GB as gray: what claims more is a trap or a poster
LARGE_PIXELS = 50_000_000
one_at_a_time = Lock()  # for large images: each takes up to 3 bytes a pixel


def prepare_image(path: Path, sizing: ImageSizing) -> tuple[str, bytes]:
    """Return media type and bytes of an image within bounds.

    A PNG or JPEG within them is not touched, nor looked into. All else becomes gray or RGB: a JPEG where it was one, else a PNG.
    A file that is no image is a `Trouble` of kind `image`.
    """
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # `LARGEST_PIXELS` judges the size, before pixels are read
    try:
        content = path.read_bytes()
        media_type = next((name for magic, name in MEDIA_TYPES.items() if content.startswith(magic)), "")
        with Image.open(io.BytesIO(content)) as image:
            size = fit(image.size, sizing)
            if media_type and size == image.size:
                return media_type, content
            if image.width * image.height > LARGEST_PIXELS:
                raise Trouble(f"{path.name}: {image.width} x {image.height} pixels are more than {LARGEST_PIXELS}", "image")
            if image.width * image.height > LARGE_PIXELS:
                with one_at_a_time:
                    return draw(image, size, sizing.jpeg_quality)
            return draw(image, size, sizing.jpeg_quality)
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # what Pillow raises for torn and false images
        # Where Pillow knows no kind of image it names its argument, an address in memory: another with each run.
        why = "" if isinstance(error, UnidentifiedImageError) else f": {error}"
        problem = error.strerror if isinstance(error, OSError) and error.strerror else f"not an image that opens{why}"
        raise Trouble(f"{path.name}: {problem}", "image") from None


def fit(size: tuple[int, int], sizing: ImageSizing) -> tuple[int, int]:
    """Return the largest size within the bounds, the shape kept; a size within them is returned as it is.

    >>> fit((4000, 1000), ImageSizing(max_side_px=2000)), fit((400, 400), ImageSizing(max_pixels=10_000))
    ((2000, 500), (100, 100))
    """
    width, height = size
    shrink = 1.0
    if sizing.max_side_px:
        shrink = min(shrink, sizing.max_side_px / max(size))
    if sizing.max_pixels:
        shrink = min(shrink, (sizing.max_pixels / (width * height)) ** 0.5)
    return size if shrink == 1 else (max(1, int(width * shrink)), max(1, int(height * shrink)))


def draw(image, size: tuple[int, int], jpeg_quality: int) -> tuple[str, bytes]:
    """Return media type and bytes of an image at that size."""
    from PIL import Image

    kind = "JPEG" if image.format == "JPEG" else "PNG"
    image.draft("RGB" if image.mode != "L" else "L", (2 * size[0], 2 * size[1]))  # a JPEG needs no more pixels than twice as many
    gray = image.mode in ("1", "L", "LA", "I", "I;16", "F")
    if "A" in image.getbands() or "transparency" in image.info:  # transparent is paper, not ink
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 256)
    image = image.convert("L" if gray else "RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, kind, **({"quality": jpeg_quality} if kind == "JPEG" else {}))
    return f"image/{kind.lower()}", file.getvalue()


def is_blank(path: Path) -> bool:
    """Return whether a page has no ink: an empty answer is then the right one."""
    import numpy as np
    from PIL import Image

    from ocrtune.pages.ink import mark_ink

    with Image.open(path) as image:
        image.draft("L", (2000, 2000))
        gray = image.convert("L")
    gray.thumbnail((2000, 2000))
    return not mark_ink(np.asarray(gray)).any()
