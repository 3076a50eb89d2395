"""Documents are rendered, read and put together page by page; what can't be is told, and the rest goes on."""

import os
import re
from pathlib import Path

import pymupdf
import pytest
from conftest import draw_line
from PIL import Image, ImageDraw
from test_pdf2img import TEXTS, make_pdf, make_scan, params

from ocrtune.infer.transcription import Transcription
from ocrtune.machines.workers import Workers
from ocrtune.pages.plan import plan_pages
from ocrtune.pages.source_files import find_documents
from ocrtune.pages.source_pages import FAILURES_IN_A_ROW
from ocrtune.reading import Page, Reading
from ocrtune.store.budget import Account, Budget
from ocrtune.store.store import Store


class Counter:
    """A reader whose answer is an image's size; it keeps which pages it was asked for, and answers in twos, backwards."""

    def __init__(self, failing: str = "-"):
        self.identity = {"type": "counter"}
        self.asked: list[str] = []
        self.failing = failing

    def read(self, pages):
        waiting: list[Page] = []
        for page in pages:
            self.asked.append(page.page_id)
            waiting.append(page)
            if len(waiting) == 2:
                yield from map(self.answer, (waiting.pop(), waiting.pop()))
        yield from map(self.answer, waiting)

    def answer(self, page: Page) -> tuple[Page, Reading]:
        with Image.open(page.image) as image:
            text = f"{image.width}x{image.height}"
        return page, Reading("", "error", "no paper") if self.failing in page.page_id else Reading(text)


def transcribe(tmp_path, paths, reader=None, keep_images=False, budget=None, **changes) -> tuple[dict, list[dict], list[str]]:
    """Return {name: transcript}, refused rows, and in which order documents got done; images lie in tmp_path/scratch."""
    settings = params(**changes)
    documents, refused = find_documents([(path, "") for path in paths])
    done, ticks = {}, []
    with Workers(1) as workers:
        planned, lost = plan_pages(documents, settings, workers)
        take = lambda found: done.update({found.document.name: found})  # noqa: E731
        run = Transcription(planned, tmp_path / "scratch", keep_images, take, ticks.append)
        reader, store = reader or Counter(), Store(tmp_path / "store")
        run.run(reader, store, workers, settings, Account(budget or Budget(), reader, store))
    if budget is None:
        assert len(ticks) == sum(transcript.num_pages for transcript in done.values())
        assert not run.places
    return done, refused + lost + run.refused, list(done)


def texts(transcript) -> list[str]:
    return [page.text("default") for _, page in transcript.ordered()]


def test_pages_of_all_kinds_come_back_in_order(tmp_path):
    make_pdf(tmp_path / "in.pdf", pages=11)
    make_scan(3).save(tmp_path / "scan.tif", save_all=True, append_images=[Image.new("L", (30, 20), 255)])
    for number in (2, 1):
        Image.new("L", (50, 60 + number), 255).save(tmp_path / f"book_p{number}.png")
    done, refused, _ = transcribe(tmp_path, [tmp_path], unit="page")
    assert refused == []
    assert {name: texts(transcript) for name, transcript in done.items()} == {
        "in": ["417x278"] * 11, "scan": ["900x1000", "30x20"], "book": ["50x61", "50x62"]}
    assert not list((tmp_path / "scratch").glob("*.png"))  # removed as they were read


def test_what_was_read_is_not_read_again_and_twins_are_read_once(tmp_path):
    make_pdf(tmp_path / "a.pdf", pages=3)
    reader = Counter()
    done, _, _ = transcribe(tmp_path, [tmp_path / "a.pdf"], reader, unit="page", keep_images=True)
    assert texts(done["a"]) == ["417x278"] * 3
    assert len(reader.asked) == 1
    assert sorted(path.name for path in (tmp_path / "scratch").iterdir()) == ["a_p1.png", "a_p2.png", "a_p3.png"]
    reader = Counter()
    done, _, _ = transcribe(tmp_path, [tmp_path / "a.pdf"], reader, unit="page")
    assert texts(done["a"]) == ["417x278"] * 3
    assert reader.asked == []


def test_a_page_range(tmp_path):
    make_pdf(tmp_path / "a.pdf", pages=5)
    for number in (1, 2, 3):
        draw_line(tmp_path / f"b_p{number}.png", str(number))
    make_pdf(tmp_path / "c.pdf")
    done, refused, _ = transcribe(tmp_path, [tmp_path], unit="page", start_page=2, end_page=3)
    assert {name: list(transcript.pages) for name, transcript in done.items()} == {"a": [2, 3], "b": [2, 3]}
    assert [(Path(row["file"]).name, row["reason"]) for row in refused] == [("c.pdf", "1 pages, start_page is 2")]


def test_a_document_is_handed_on_before_the_next_is_drawn_to_its_end(tmp_path):
    for name in "abc":
        make_pdf(tmp_path / f"{name}.pdf", texts=[name], pages=2)
    seen: list[tuple[str, int]] = []

    class Slow(Counter):
        def read(self, pages):
            for page in pages:
                self.asked.append(page.page_id)
                yield self.answer(page)

    reader = Slow()
    documents, _ = find_documents([(tmp_path, "")])
    settings = params(unit="page")
    with Workers(1) as workers:
        planned, _ = plan_pages(documents, settings, workers)
        take = lambda transcript: seen.append((transcript.document.name, len(reader.asked)))  # noqa: E731
        store = Store(tmp_path / "store")
        run = Transcription(planned, tmp_path / "scratch", False, take, int)
        run.run(reader, store, workers, settings, Account(Budget(), reader, store))
    assert seen == [("a", 1), ("b", 2), ("c", 3)]  # two pages of the same bytes are read once


def test_a_failed_page_is_told_and_tried_again(tmp_path):
    make_pdf(tmp_path / "a.pdf", texts=["one"])
    done, _, _ = transcribe(tmp_path, [tmp_path / "a.pdf"], Counter(failing="a_p1"), unit="page")
    ((_, page),) = done["a"].ordered()
    assert (page.problem, page.text("default"), done["a"].is_empty) == ("no paper", "", True)
    reader = Counter()
    transcribe(tmp_path, [tmp_path / "a.pdf"], reader, unit="page")
    assert reader.asked == ["a_p1"]


def test_lines_are_cut_as_pdf2img_cuts_them(tmp_path):
    from test_pdf2img import render

    make_pdf(tmp_path / "a.pdf", texts=[*TEXTS[:3], "", TEXTS[3]])
    reader = Counter()
    done, _, _ = transcribe(tmp_path, [tmp_path / "a.pdf"], reader)
    sizes = ["{}x{}".format(*image.image.size) for image in render(tmp_path / "a.pdf")]
    assert len(sizes) == 4
    assert texts(done["a"]) == ["\n".join(sizes[:3]) + "\n\n" + sizes[3]]
    assert reader.asked == [f"a_p1_l00{number}" for number in (1, 2, 3, 4)]


def test_a_scan_with_a_stamp_is_read_whole(tmp_path):
    scan = make_scan(8)
    scan.save(tmp_path / "scan.png")
    pdf = pymupdf.open()
    page = pdf.new_page(width=900, height=1000)
    page.insert_image(page.rect, filename=str(tmp_path / "scan.png"))
    page.insert_text((700, 980), "Archive 17")
    pdf.save(tmp_path / "stamped.pdf")
    done, _, _ = transcribe(tmp_path, [tmp_path / "stamped.pdf"], dpi=72)
    assert len(texts(done["stamped"])[0].split()) >= 8


def test_images_of_lines(tmp_path):
    draw_line(tmp_path / "line.png", "A single line", 200)
    for number in (1, 2):
        draw_line(tmp_path / f"list_p1_l00{number}.png", "Item", 90 + number)
    Image.new("L", (300, 40), 255).save(tmp_path / "blank.png")
    page = Image.new("L", (600, 800), 255)
    ImageDraw.Draw(page).text((50, 50), "A line on a page", font_size=24, fill=0)
    page.save(tmp_path / "page.png")
    done, refused, _ = transcribe(tmp_path, [tmp_path])
    assert refused == []
    assert (texts(done["line"]), texts(done["list"]), texts(done["blank"])) == (["200x32"], ["91x32\n92x32"], [""])
    (text,) = texts(done["page"])
    assert text and text != "600x800"


def test_two_images_of_one_page(tmp_path):
    for name in ("a_p1.png", "a_p01.png", "a_p1_l001.png"):
        draw_line(tmp_path / name, "A")
    done, refused, _ = transcribe(tmp_path, [tmp_path], unit="page")
    assert len(texts(done["a"])) == 1
    assert sorted((Path(row["file"]).name, row["page"], row["reason"]) for row in refused) == [
        ("a_p1.png", 1, "a_p01.png is this page already"), ("a_p1_l001.png", 1, "a_p01.png is this page already")]


def test_damage_is_told_and_the_rest_goes_on(tmp_path):
    make_pdf(tmp_path / "good.pdf")
    (tmp_path / "torn.png").write_bytes((tmp_path / "good.pdf").read_bytes()[:9])
    content = bytes(make_pdf(tmp_path / "cut.pdf", pages=2).read_bytes())
    (tmp_path / "cut.pdf").write_bytes(content[:40])
    draw_line(tmp_path / "b_p1.png", "A")
    (tmp_path / "b_p2.png").write_bytes((tmp_path / "b_p1.png").read_bytes()[:60])
    pdf = pymupdf.open()
    pdf.new_page(width=300, height=200).insert_text((30, 40), "secret")
    pdf.save(tmp_path / "locked.pdf", encryption=pymupdf.PDF_ENCRYPT_AES_256, user_pw="x", owner_pw="y")
    done, refused, _ = transcribe(tmp_path, [tmp_path], unit="page")
    assert texts(done["good"]) == ["417x278"]
    assert texts(done["b"])[0] == "120x32"
    assert done["b"].pages[2].problem.startswith("can't be opened: ") or "page can't be loaded" in done["b"].pages[2].problem
    reasons = {Path(row["file"]).name: row["reason"] for row in refused}
    assert reasons["locked.pdf"] == "encrypted: needs a password"
    assert {"cut.pdf", "locked.pdf"} <= reasons.keys()


def test_a_document_of_bad_pages_is_given_up(tmp_path):
    pdf = pymupdf.open()
    for side in (100, *([30_000] * 300)):
        pdf.new_page(width=side, height=side)
    pdf.save(tmp_path / "posters.pdf")
    done, (row,), _ = transcribe(tmp_path, [tmp_path / "posters.pdf"], unit="page")
    assert texts(done["posters"])[0] == "139x139"
    assert FAILURES_IN_A_ROW < done["posters"].num_pages < 100
    assert all(page.problem.startswith("page can't be rendered: ") for number, page in done["posters"].ordered() if number > 1)
    assert re.fullmatch(r"given up after \d+ bad pages in a row, \d+ of 301 pages tried", row["reason"])


class Killer(str):
    """A name that kills the process to which it is handed."""

    def __reduce__(self) -> tuple:
        return os._exit, (1,)


def test_a_crash_takes_few_pages_with_it(tmp_path):
    from dataclasses import replace

    make_pdf(tmp_path / "a.pdf")
    make_pdf(tmp_path / "b.pdf", texts=["b"])
    documents, _ = find_documents([(tmp_path, "")])
    settings, done = params(unit="page"), {}
    with Workers(1) as workers:
        planned, _ = plan_pages(documents, settings, workers)
        planned[0] = replace(planned[0], document=replace(planned[0].document, name=Killer("a")))
        run = Transcription(planned, tmp_path / "scratch", False, lambda found: done.update({str(found.document.name): found}), int)
        reader, store = Counter(), Store(tmp_path / "store")
        run.run(reader, store, workers, settings, Account(Budget(), reader, store))
    assert "crashed" in done["a"].pages[1].problem
    assert texts(done["b"]) == ["417x278"]


def test_a_budget_leaves_holes_that_say_so(tmp_path):
    paths = [make_pdf(tmp_path / "a.pdf"), make_pdf(tmp_path / "b.pdf", texts=["b"])]
    reader, why = Counter(), "the budget (max_pages 2) is used up"
    done, refused, _ = transcribe(tmp_path, paths, reader, budget=Budget(max_pages=2))
    assert {name: [page.problem for page in transcript.pages.values()] for name, transcript in done.items()} == {
        "a": [f"2 of 4 pieces: {why}"]}
    assert len(reader.asked) == 2
    assert [(Path(row["file"]).name, row["reason"]) for row in refused] == [("b.pdf", f"1 pages not read: {why}")]
    assert not list((tmp_path / "scratch").glob("a_*"))
    reader = Counter()
    done, refused, _ = transcribe(tmp_path, paths, reader, budget=Budget(max_pages=3))
    assert (sorted(done), refused, len(reader.asked)) == (["a", "b"], [], 3)


def test_a_reader_that_loses_pages_is_a_bug(tmp_path):
    class Lossy(Counter):
        def read(self, pages):
            list(pages)
            return iter(())

    make_pdf(tmp_path / "a.pdf")
    with pytest.raises(RuntimeError, match="gave nothing for 1 pages, the first a_p1"):
        transcribe(tmp_path, [tmp_path / "a.pdf"], Lossy(), unit="page")
