"""Images are sent as they are unless they are too large or of a kind that servers don't take."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_line
from PIL import Image

from ocrtune.params.teachers import ImageSizing
from ocrtune.readers.sent_image import fit, is_blank, prepare_image
from ocrtune.readers.trouble import Trouble

ANY = ImageSizing(max_side_px=None, max_pixels=None)


def picture(folder: Path, name: str, size=(400, 200), mode="L", **options) -> Path:
    """Save a picture of stripes."""
    path = folder / name
    values = np.tile(np.arange(size[0]) % 256, (size[1], 1)).astype(np.uint8)
    Image.fromarray(values).convert(mode).save(path, **options)
    return path


def opened(path: Path, sizing: ImageSizing) -> tuple[str, Image.Image]:
    media_type, content = prepare_image(path, sizing)
    return media_type, Image.open(io.BytesIO(content))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "lies.png.jpg"])
def test_an_image_within_bounds_is_sent_byte_for_byte(tmp_path, name):
    path = picture(tmp_path, name, format="PNG" if "png" in name else "JPEG")
    for sizing in (ANY, ImageSizing(max_side_px=400, max_pixels=80_000)):
        assert prepare_image(path, sizing) == ("image/png" if "png" in name else "image/jpeg", path.read_bytes())


def test_one_whose_pixels_are_torn_is_the_servers_matter(tmp_path):
    path = picture(tmp_path, "torn.png")
    path.write_bytes(path.read_bytes()[:100])
    assert prepare_image(path, ANY)[1] == path.read_bytes()


@pytest.mark.parametrize(("size", "sizing", "expected"), [
    ((400, 200), {"max_side_px": 100}, (100, 50)), ((200, 400), {"max_side_px": 100}, (50, 100)), ((400, 200), {"max_pixels": 20_000},
    (200, 100)),
    ((400, 200), {"max_side_px": 100, "max_pixels": 20_000}, (100, 50)), ((100_000, 1), {"max_side_px": 100}, (100, 1)),
    ((401, 200), {"max_pixels": 80_000}, (400, 199)),
])
def test_the_shape_is_kept_within_the_bounds(size, sizing, expected):
    assert fit(size, ImageSizing(**{"max_pixels": None} | sizing)) == expected


@pytest.mark.parametrize(("mode", "name", "sent"), [
    ("L", "a.png", ("image/png", "L")), ("RGB", "a.png", ("image/png", "RGB")), ("P", "a.png", ("image/png", "RGB")), ("1", "a.png",
    ("image/png", "L")),
    ("L", "a.jpg", ("image/jpeg", "L")), ("CMYK", "a.jpg", ("image/jpeg", "RGB")), ("L", "a.tif", ("image/png", "L")),
    ("RGB", "a.bmp", ("image/png", "RGB")), ("RGB", "a.webp", ("image/png", "RGB")), ("I;16", "a.png", ("image/png", "L")),
])
def test_a_large_image_is_drawn_smaller_in_a_kind_that_servers_take(tmp_path, mode, name, sent):
    path = picture(tmp_path, name, (400, 200), "L" if mode == "I;16" else mode)
    if mode == "I;16":
        Image.fromarray(np.full((200, 400), 40_000, np.uint16)).save(path)
    media_type, image = opened(path, ImageSizing(max_side_px=100))
    assert (media_type, image.mode, image.size) == (*sent, (100, 50))
    if mode == "I;16":
        assert np.asarray(image).mean() == 40_000 // 256


def test_a_kind_that_servers_do_not_take_is_drawn_anew_at_its_size(tmp_path):
    media_type, image = opened(picture(tmp_path, "a.tif"), ANY)
    assert (media_type, image.size) == ("image/png", (400, 200))
    assert (np.asarray(image)[0] == np.arange(400) % 256).all()


def test_what_is_transparent_is_paper(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (400, 200), (0, 0, 0, 0)).save(path)
    assert set(np.asarray(opened(path, ImageSizing(max_side_px=100))[1]).ravel()) == {255}


def claim(path: Path, side: int) -> None:
    """Write a PNG that claims to be a square of that size and has no pixels."""
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""))


def test_a_gigapixel_is_refused_unread(tmp_path):
    claim(tmp_path / "trap.png", 100_000)
    with pytest.raises(Trouble, match=r"trap\.png: 100000 x 100000 pixels are more than 1000000000") as trouble:
        prepare_image(tmp_path / "trap.png", ImageSizing())
    assert trouble.value.kind == "image"


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"%PDF-1.7"])
def test_what_is_no_image_is_told(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(Trouble, match=r"a\.png: ") as trouble:
        prepare_image(path, ANY)
    assert trouble.value.kind == "image"


def test_a_torn_image_that_must_be_drawn_is_told(tmp_path):
    path = picture(tmp_path, "torn.png")
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(Trouble, match=r"torn\.png: not an image that opens"):
        prepare_image(path, ImageSizing(max_side_px=100))


def test_blank_pages_are_told_from_pages_with_ink(tmp_path):
    draw_line(tmp_path / "line.png", "a line")
    Image.new("L", (300, 300), 230).save(tmp_path / "gray.png")
    Image.new("1", (300, 300), 1).save(tmp_path / "white.png")
    assert [is_blank(tmp_path / f"{name}.png") for name in ("line", "gray", "white")] == [False, True, True]
