"""An image carries its text inside its file, and stage pdf2img takes it for the page's text layer."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin
from test_pdf2img import render

from ocrtune.pages.image_text import MAX_COMMENT, embed_text, embedded_text
from ocrtune.pages.images import PageImage
from ocrtune.pages.source_pages import Refusal

TEXT = "Grüße,\n2. ſt 😀\0 <end>"


def encode(form: str, **options) -> bytes:
    buffer = BytesIO()
    Image.radial_gradient("L").save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("form", "options"), [
    ("PNG", {}), ("PNG", {"pnginfo": PngImagePlugin.PngInfo()}), ("JPEG", {}), ("JPEG", {"comment": b"made by hand"}),
    ("JPEG", {"exif": Image.Exif(), "dpi": (200, 200)}),
])
def test_text_and_pixels_come_back(form, options):
    content = encode(form, **options)
    image = Image.open(BytesIO(embed_text(content, TEXT)))
    assert embedded_text(image) == TEXT
    assert image.tobytes() == Image.open(BytesIO(content)).tobytes()
    Image.open(BytesIO(embed_text(content, TEXT))).verify()
    assert embedded_text(Image.open(BytesIO(content))) is None


def test_what_can_not_carry_it_is_refused():
    with pytest.raises(ValueError, match="neither a PNG nor a JPEG"):
        embed_text(encode("GIF"), TEXT)
    with pytest.raises(ValueError, match="with room for its text"):
        embed_text(encode("JPEG"), "x" * MAX_COMMENT)
    long = "x" * 2_000_000
    assert embedded_text(Image.open(BytesIO(embed_text(encode("PNG"), long)))) == long


def write(path: Path, text: str, form: str = "PNG") -> Path:
    path.write_bytes(embed_text(encode(form), text))
    return path


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_pdf2img_takes_it_for_the_text_layer(tmp_path, form):
    media_type = f"image/{form.lower()}"
    for unit in ("page", "line", "block"):
        (page,) = render(write(tmp_path / "line", "One line.\n", form), media_type, unit=unit)
        assert isinstance(page, PageImage)
        assert (page.text_layer, page.image.size) == ("One line.\n", (256, 256))
        assert (page.number, page.box) == ((None, None) if unit == "page" else (1, (0, 0, 256, 256)))
    (page,) = render(write(tmp_path / "page", "One\nTwo", form), media_type, unit="page")
    assert page.text_layer == "One\nTwo"
    (refusal,) = render(tmp_path / "page", media_type, unit="line")
    assert refusal == Refusal(1, "the image brings 2 lines of text, and not where they stand; set pdf2img.unit to page")
