"""Stage pdf2img and the reading of text layers and ink, on PDFs and pictures made here."""

import hashlib
import json
import os
import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrtune.ink import find_blots
from ocrtune.line_crops import cut_line
from ocrtune.line_finding import find_lines, measure_skew
from ocrtune.page_images import PageImage, render_document
from ocrtune.page_lines import Line
from ocrtune.page_rows import PAGE_COLUMNS, write_all_pages
from ocrtune.params.pdf2img import Pdf2imgParams
from ocrtune.rows import RowError
from ocrtune.source_pages import FAILURES_IN_A_ROW, Refusal
from stages.pdf2img import pdf2img

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


@pytest.mark.parametrize(("num_lines", "angle", "noise"), [(12, 0, 0), (20, 0, 600), (20, 1.7, 600), (20, -3.0, 300), (1, 0, 40)])
def test_lines_are_found_by_ink(tmp_path, num_lines, angle, noise):
    make_scan(num_lines, angle, noise).save(tmp_path / "scan.png")
    lines = render(tmp_path / "scan.png", "image/png")
    assert len(lines) == num_lines
    assert {line.text_layer for line in lines} == {None}
    assert all(26 <= line.image.height <= 52 for line in lines)
    assert all(560 <= line.image.width <= 640 for line in lines)
    middles = [(line.box[1] + line.box[3]) / 2 for line in lines]
    assert middles == sorted(middles)


def test_skew_is_measured():
    for angle in (-2.5, -0.4, 0.0, 1.3, 4.0):
        assert abs(measure_skew(ink_of(make_scan(15, angle)), letter=20) - angle) <= 0.1


def test_columns_of_ink_are_read_one_after_the_other():
    page = Image.new("L", (1000, 700), 255)
    draw = ImageDraw.Draw(page)
    for left in (60, 540):
        for number in range(10):
            draw.text((left, 60 + 40 * number), TEXTS[number % 4], font=ImageFont.load_default(26), fill=0)
    lines = find_lines(page, 10)
    assert [line.left < 500 for line in lines] == [True] * 10 + [False] * 10


def test_pages_without_lines_are_refused(tmp_path):
    Image.new("L", (300, 300), 250).save(tmp_path / "blank.png")
    assert render(tmp_path / "blank.png", "image/png") == [Refusal(1, "no text layer, and no lines found by ink")]
    make_scan(20).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "side.png")
    assert "lies on its side" in render(tmp_path / "side.png", "image/png")[0].reason
    assert len(render(tmp_path / "blank.png", "image/png", unit="page")) == 1


def test_blots_agree_with_a_flood_fill():
    ink = np.random.default_rng(3).random((40, 50)) < 0.4
    seen, sizes = np.zeros_like(ink), []
    for start in zip(*np.nonzero(ink), strict=True):
        stack, size = [start], 0
        while stack:
            y, x = stack.pop()
            if 0 <= y < 40 and 0 <= x < 50 and ink[y, x] and not seen[y, x]:
                seen[y, x], size = True, size + 1
                stack += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        sizes += [size] if size else []
    blots = find_blots(ink)
    assert sorted(blots.ink) == sorted(sizes)
    assert np.array_equal(blots.draw(np.ones(len(sizes), bool), ink.shape), ink)
    assert len(find_blots(np.zeros((5, 5), bool)).ink) == 0


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


@pytest.fixture
def documents(tmp_path) -> Path:
    """A folder as stage crawl writes it: two PDFs, a scan, a broken one."""
    folder = tmp_path / "documents"
    (folder / "files").mkdir(parents=True)
    make_pdf(folder / "files/a-1.pdf", pages=2)
    make_pdf(folder / "files/b-2.pdf", TEXTS[:1])
    make_scan(5).save(folder / "files/c-3.png")
    (folder / "files/d-4.pdf").write_bytes(b"%PDF-1.7 broken")
    rows = [{"doc_id": path.stem, "file": f"files/{path.name}", "url": path.name, "sha256": "", "num_bytes": 1,
             "media_type": "image/png" if path.suffix == ".png" else PDF} for path in sorted((folder / "files").iterdir())]  # fmt: skip
    (folder / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_stage_keeps_the_laws_of_rows(documents, tmp_path, capsys):
    before = contents(documents)
    pdf2img(documents, tmp_path / "pages", params(workers=1))
    assert "pdf2img documents: 4 in, 3 out, 1 refused" in capsys.readouterr().out
    assert contents(documents) == before
    assert {path.name for path in tmp_path.iterdir()} == {"documents", "pages"}

    rows = [json.loads(line) for line in (tmp_path / "pages/pages.jsonl").read_text().splitlines()]
    expected = [f"a-1_p{page}_l00{line}" for page in (1, 2) for line in (1, 2, 3, 4)]
    expected += ["b-2_p1_l001", *(f"c-3_p1_l00{line}" for line in range(1, 6))]
    assert [row["page_id"] for row in rows] == expected
    for row in rows:
        content = (tmp_path / "pages" / row["image"]).read_bytes()
        assert tuple(row) == PAGE_COLUMNS
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert Image.open(BytesIO(content)).size == (row["width"], row["height"])
    assert len(list((tmp_path / "pages/images").iterdir())) == len(rows)
    refused = [json.loads(line) for line in (tmp_path / "pages/refused.jsonl").read_text().splitlines()]
    assert [(row["doc_id"], row["page"]) for row in refused] == [("d-4", None)]

    # The same bytes with other workers, in another place, from rows in another order.
    lines = (documents / "documents.jsonl").read_text().splitlines(keepends=True)
    (documents / "documents.jsonl").write_text("".join(lines[::-1]))
    documents.rename(tmp_path / "moved")
    pdf2img(tmp_path / "moved", tmp_path / "again", params(workers=3))
    assert contents(tmp_path / "again") == contents(tmp_path / "pages")


def test_broken_rows_are_named(documents, tmp_path):
    rows = (documents / "documents.jsonl").read_text()
    (documents / "documents.jsonl").write_text(rows + '{"doc_id": "e"}\n')
    with pytest.raises(RowError, match=r"documents.jsonl:5: .*file, media_type"):
        pdf2img(documents, tmp_path / "pages", params())
    (documents / "documents.jsonl").write_text(rows + rows.splitlines()[0])
    with pytest.raises(RowError, match=r"a-1.*twice"):
        pdf2img(documents, tmp_path / "pages", params())


class Killer(dict):
    """A document that kills the process to which it is handed."""

    def __reduce__(self) -> tuple:
        return os._exit, (1,)


def test_a_crash_takes_one_document_with_it(documents, tmp_path):
    rows = [json.loads(line) for line in (documents / "documents.jsonl").read_text().splitlines()]
    rows.insert(1, Killer(rows[0] | {"doc_id": "killer"}))
    (tmp_path / "images").mkdir()
    results = list(write_all_pages(rows, documents, tmp_path, params(), count=1))
    assert {row["doc_id"] for found, _ in results for row in found} == {"a-1", "b-2", "c-3"}
    refused = {row["doc_id"]: row["reason"] for _, lost in results for row in lost}
    assert set(refused) == {"killer", "d-4"} and "crashed" in refused["killer"]
