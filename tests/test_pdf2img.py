"""Stage pdf2img and the reading of text layers and ink, on PDFs and pictures made here."""

import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrtune.pages.images import PageImage, render_document
from ocrtune.pages.line_crops import cut_line
from ocrtune.pages.lines import Line
from ocrtune.pages.source_pages import FAILURES_IN_A_ROW, Refusal
from ocrtune.params.pdf2img import Pdf2imgParams

PARAMS = {"dpi": 100, "format": "png", "start_page": 1, "end_page": None, "grayscale": True, "unit": "line",
          "max_pixels": 4_000_000, "min_line_height_px": 8, "padding": 0.15, "workers": 1}  # fmt: skip
TEXTS = ["The quick brown fox jumps", "over the lazy dog, again", "(pity the poor dog) and", "so on until evening falls."]
PDF = "application/pdf"


def params(**changes: object) -> Pdf2imgParams:
    """Return params with changes."""
    return Pdf2imgParams(**PARAMS | changes)


def make_pdf(path: Path, texts: list[str] = TEXTS, pages: int = 1, invisible: bool = False, rotation: int = 0, **options) -> Path:
    """Write a PDF with the texts as lines of 14 pt on each page, saved with `options`."""
    pdf = pymupdf.open()
    for _ in range(pages):
        page = pdf.new_page(width=300, height=200)
        for number, text in enumerate(texts):
            page.insert_text((30, 40 + 20 * number), text, fontsize=14, render_mode=3 if invisible else 0)
        page.set_rotation(rotation)
    pdf.save(path, no_new_id=True, **options)
    return path


def render(path: Path, media_type: str = PDF, **changes: object) -> list[PageImage | Refusal]:
    """Return all that a document gives."""
    return list(render_document(path, media_type, params(**changes)))


def make_scan(num_lines: int, angle: float = 0.0, noise: int = 0) -> Image.Image:
    """Return a page of printed lines without a text layer: skewed, speckled, with the back shining through."""
    page = Image.new("L", (900, 1000), 225)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(26)
    for number in range(num_lines):
        draw.text((60 + 23 * number % 31, 90 + 38 * number), TEXTS[number % 4] + " " + TEXTS[(number + 1) % 4], font=font, fill=40)
    back = page.transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda tone: 255 - (225 - tone) // 8)
    page = Image.fromarray(np.minimum(np.asarray(page), np.roll(np.asarray(back), 19, axis=0)))
    rng = random.Random(7)
    for _ in range(noise):
        x, y = rng.randrange(900), rng.randrange(1000)
        page.paste(rng.randrange(90), (x, y, x + rng.randint(1, 2), y + rng.randint(1, 2)))
    return page.rotate(-angle, Image.Resampling.BICUBIC, fillcolor=225)


def ink_of(image: Image.Image) -> np.ndarray:
    """Return where an image is dark."""
    return np.asarray(image.convert("L")) < 110


def test_lines_follow_the_text_layer(tmp_path):
    lines = render(make_pdf(tmp_path / "a.pdf"))
    assert [line.text_layer for line in lines] == TEXTS
    assert [line.number for line in lines] == [1, 2, 3, 4]
    page = render(tmp_path / "a.pdf", unit="page")[0].image
    for line in lines:
        assert line.image.size == (line.box[2] - line.box[0], line.box[3] - line.box[1])
        assert np.array_equal(np.asarray(page.crop(line.box)), np.asarray(line.image))
    # All ink of the page is in the lines, once: nothing cut off, nothing of the neighbours.
    assert sum(ink_of(line.image).sum() for line in lines) == ink_of(page).sum()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_lines_of_turned_pages_stand_upright(tmp_path, rotation):
    upright = render(make_pdf(tmp_path / "a.pdf"))
    turned = render(make_pdf(tmp_path / "b.pdf", rotation=rotation))
    assert [line.text_layer for line in turned] == TEXTS
    for one, other in zip(upright, turned, strict=True):
        assert abs(one.image.width - other.image.width) <= 2 and abs(one.image.height - other.image.height) <= 4
        assert abs(int(ink_of(one.image).sum()) - int(ink_of(other.image).sum())) < 0.1 * ink_of(one.image).sum()


def test_tight_lines_lose_nothing_and_gain_little(tmp_path):
    pdf = pymupdf.open()
    page = pdf.new_page(width=300, height=100)
    for number, text in enumerate(["gypsy jogging", "HIGH HATS", "pygmy quays"]):
        page.insert_text((30, 30 + 14 * number), text, fontsize=14)
    pdf.save(tmp_path / "a.pdf")
    lines = render(tmp_path / "a.pdf", dpi=200)
    alone = []
    for number, text in enumerate(["gypsy jogging", "HIGH HATS", "pygmy quays"]):
        make_pdf(tmp_path / f"{number}.pdf", [text])
        alone += render(tmp_path / f"{number}.pdf", dpi=200)
    for line, single in zip(lines, alone, strict=True):
        assert line.text_layer == single.text_layer
        assert abs(int(ink_of(line.image).sum()) / int(ink_of(single.image).sum()) - 1) < 0.05


def test_what_hangs_into_a_line_is_erased_and_what_belongs_to_it_stays():
    page = np.full((100, 300), 255, np.uint8)
    page[40:60, 20:200] = 0  # small letters
    page[24:60, 30:40] = 0  # an ascender
    page[60:99, 60:70] = 0  # a flourish, longer than any crop
    page[0:34, 100:110] = 0  # the descender of the line above
    line = Line(left=20, right=200, top=25, core_top=40, core_bottom=60, bottom=70)
    crop, box = cut_line(Image.fromarray(page), line, (15.0, None), 0.1)
    page[0:34, 100:110] = 255
    left, top, right, bottom = map(round, box)
    assert top <= 24 and bottom >= 70
    assert np.array_equal(np.asarray(crop), page[top:bottom, left:right])


def test_units(tmp_path):
    pdf = pymupdf.open()
    page = pdf.new_page(width=300, height=300)
    for top in (40, 200):
        for number, text in enumerate(TEXTS[:2]):
            page.insert_text((30, top + 18 * number), text, fontsize=14)
    pdf.save(tmp_path / "a.pdf")
    (page,) = render(tmp_path / "a.pdf", unit="page")
    assert (page.number, page.box, page.image.size) == (None, None, (417, 417))
    assert page.text_layer == "\n".join(TEXTS[:2] * 2)
    blocks = render(tmp_path / "a.pdf", unit="block")
    assert [block.text_layer for block in blocks] == ["\n".join(TEXTS[:2])] * 2
    assert sum(ink_of(block.image).sum() for block in blocks) == ink_of(page.image).sum()


def test_columns_stay_apart_and_pieces_come_together(tmp_path):
    pdf = pymupdf.open()
    page = pdf.new_page(width=400, height=100)
    writer = pymupdf.TextWriter(page.rect)
    for x, text in ((30, "left"), (62, "part"), (250, "column")):
        writer.append((x, 50), text, fontsize=14)
    writer.write_text(page)
    pdf.save(tmp_path / "a.pdf")
    assert [line.text_layer for line in render(tmp_path / "a.pdf")] == ["left part", "column"]


def test_invisible_text_counts_but_needs_ink(tmp_path):
    make_pdf(tmp_path / "bare.pdf", invisible=True)
    refused = render(tmp_path / "bare.pdf")
    assert [row.reason for row in refused] == [f"line {n}: no ink under its text {text!r}" for n, text in enumerate(TEXTS, 1)]

    picture = BytesIO()
    render(make_pdf(tmp_path / "ink.pdf"), unit="page", dpi=200)[0].image.save(picture, "PNG")
    pdf = pymupdf.open(tmp_path / "bare.pdf")
    pdf[0].insert_image(pdf[0].rect, stream=picture.getvalue(), overlay=False)
    pdf.save(tmp_path / "scan.pdf")
    lines = render(tmp_path / "scan.pdf")
    assert [line.text_layer for line in lines] == TEXTS
    assert all(ink_of(line.image).any() for line in lines)


def test_pictures_pass_through(tmp_path):
    color = Image.new("RGB", (60, 40), (200, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    color.save(tmp_path / "a.jpg", exif=exif)
    (page,) = render(tmp_path / "a.jpg", "image/jpeg", unit="page", grayscale=False)
    assert (page.image.size, page.image.mode, page.text_layer) == ((40, 60), "RGB", None)
    assert render(tmp_path / "a.jpg", "image/jpeg", unit="page")[0].image.mode == "L"

    color.save(tmp_path / "a.tif", save_all=True, append_images=[color, color])
    assert [page.page for page in render(tmp_path / "a.tif", "image/tiff", unit="page")] == [1, 2, 3]
    assert [page.page for page in render(tmp_path / "a.tif", "image/tiff", unit="page", start_page=2, end_page=2)] == [2]

    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert render(tmp_path / "clear.png", "image/png", unit="page")[0].image.getextrema() == (255, 255)
    Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(tmp_path / "deep.png")
    assert render(tmp_path / "deep.png", "image/png", unit="page")[0].image.getextrema() == (156, 156)
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.jpg").read_bytes()[:300])
    assert isinstance(render(tmp_path / "torn.png", "image/png", unit="page")[0], Refusal)


def test_pages_are_bounded(tmp_path):
    pdf = pymupdf.open()
    pdf.new_page(width=5000, height=5000)
    pdf.new_page(width=14000, height=14000)
    pdf.new_page(width=100, height=100)
    pdf.save(tmp_path / "a.pdf")
    big, absurd, small = render(tmp_path / "a.pdf", unit="page", dpi=144)
    assert 3_900_000 < big.image.width * big.image.height <= 4_010_000
    assert "far more than max_pixels 4000000" in absurd.reason and absurd.page == 2
    assert small.image.size == (200, 200)
    Image.new("L", (3000, 3000)).save(tmp_path / "a.png")
    image = render(tmp_path / "a.png", "image/png", unit="page", max_pixels=1_000_000)[0].image
    assert image.width * image.height <= 1_000_000


def test_page_range(tmp_path):
    path = make_pdf(tmp_path / "a.pdf", pages=4)
    assert [page.page for page in render(path, unit="page", start_page=2, end_page=3)] == [2, 3]
    assert [page.page for page in render(path, unit="page", start_page=3, end_page=99)] == [3, 4]
    assert render(path, start_page=9) == [Refusal(None, "4 pages, start_page is 9")]


def test_broken_documents_are_refused_with_their_reason(tmp_path):
    password = make_pdf(tmp_path / "locked.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="x", owner_pw="y")
    assert render(password) == [Refusal(None, "encrypted: needs a password")]
    (tmp_path / "rubbish.pdf").write_bytes(b"%PDF-1.7\nrubbish")
    assert [row.page for row in render(tmp_path / "rubbish.pdf")] == [None]
    whole = make_pdf(tmp_path / "whole.pdf", pages=3).read_bytes()
    (tmp_path / "empty.pdf").write_bytes(whole.replace(b"/Count 3", b"/Count 0").replace(b"/Kids[", b"/Nope["))
    assert [(row.page, row.reason) for row in render(tmp_path / "empty.pdf")] == [(None, "no pages")]
    for reason in (row.reason for row in render(tmp_path / "rubbish.pdf")):
        assert str(tmp_path) not in reason


def test_a_document_that_lies_about_its_pages_is_given_up(tmp_path):
    body = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 2000000000>>endobj\n"
    body += b"3 0 obj<</Type/Pages/Parent 2 0 R/Kids[3 0 R]/Count 1999999999>>endobj\ntrailer<</Root 1 0 R/Size 4>>\n%%EOF"
    (tmp_path / "liar.pdf").write_bytes(body)
    refused = render(tmp_path / "liar.pdf")
    assert 1 <= len(refused) <= FAILURES_IN_A_ROW + 1
    assert all(isinstance(row, Refusal) for row in refused)


def test_pages_that_a_torn_file_promises_are_refused_and_blank_ones_are_not(tmp_path):
    pdf = pymupdf.open()
    for number in range(6):
        page = pdf.new_page(width=300, height=200)
        for row in range(9) if number != 1 else ():
            page.insert_text((30, 20 + 20 * row), f"Page {number + 1}, row {row + 1} and some more words", fontsize=11)
    whole = pdf.tobytes()
    (tmp_path / "whole.pdf").write_bytes(whole)
    (tmp_path / "torn.pdf").write_bytes(whole[:whole.index(b"endstream", len(whole) // 2)])
    (tmp_path / "no-table.pdf").write_bytes(whole[:whole.rindex(b"xref", 0, whole.rindex(b"startxref"))])
    assert [type(page) for page in render(tmp_path / "whole.pdf", unit="page")] == [PageImage] * 6
    assert [type(page) for page in render(tmp_path / "no-table.pdf", unit="page")] == [PageImage] * 6  # repaired, and nothing is missing
    pages = render(tmp_path / "torn.pdf", unit="page")
    lost = [page for page in pages if isinstance(page, Refusal)]
    assert len(pages) == 6 and 1 <= len(lost) <= 3
    assert pages[-len(lost):] == lost
    assert {page.reason.partition(":")[0] for page in lost} == {"the file is damaged"}


def test_a_scan_whose_picture_is_torn_off_is_refused(tmp_path):
    picture = BytesIO()
    make_scan(3).save(picture, "JPEG")
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 2/Kids[3 0 R 4 0 R]>>"]
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 5 0 R/Resources<</XObject<</Im0 %d 0 R>>>>>>"
    objects += [page % image for image in (6, 7)]
    objects.append(b"<</Length 30>>\nstream\nq 300 0 0 200 0 0 cm /Im0 Do Q\nendstream")
    head = b"<</Type/XObject/Subtype/Image/Width 900/Height 1000/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/DCTDecode/Length %d>>"
    objects += [head % len(picture.getvalue()) + b"\nstream\n" + picture.getvalue() + b"\nendstream"] * 2
    content = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, text) for number, text in enumerate(objects, 1))
    (tmp_path / "scan.pdf").write_bytes(content[:content.rindex(b"7 0 obj")])
    first, second = render(tmp_path / "scan.pdf", unit="page")
    assert isinstance(first, PageImage)
    assert second.reason.startswith("the file is damaged")
