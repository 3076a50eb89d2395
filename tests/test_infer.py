"""Documents in, texts out: what a user asks of `tools.infer`, with real PDFs, a real server and real processes."""

import json
from pathlib import Path

import pymupdf
import pytest
import yaml
from answering_server import KEY, serving
from conftest import ROOT, draw_line
from PIL import Image
from test_pdf2img import TEXTS, make_pdf

from ocrtune.infer.named_readers import ask_for, find_profile, usual_unit
from ocrtune.params.teachers import Api, Local, RapidOcr, Tesseract
from ocrtune.readers.open import open_reader
from tools.infer import main

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def infer(project, capfd, monkeypatch):
    """Return a function that runs the tool in a project folder and gives exit status, stdout and stderr."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    project.params["pdf2img"] |= {"dpi": 100, "min_line_height_px": 8, "workers": 1}
    project.save()

    def run(*sources: str, **options) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(sources=[Path(source) for source in sources], **options)
        shown = capfd.readouterr()
        assert KEY not in shown.out + shown.err
        return stop.value.code, shown.out, shown.err

    return run


@pytest.fixture
def server():
    with serving() as running:
        yield running


def make_book(path: Path, *pages: list[str]) -> None:
    """Write a PDF of a page for each list of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pdf = pymupdf.open()
    for lines in pages:
        page = pdf.new_page(width=300, height=200)
        for number, text in enumerate(lines):
            page.insert_text((30, 40 + 20 * number), text, fontsize=14)
    pdf.save(path)


def test_a_folder_becomes_markdown(infer):
    make_book(Path("in/a.pdf"), TEXTS, ["Second page"], [])
    make_book(Path("in/deep/b.pdf"), ["Title", "", "One", "Two", "Three", "Four", "Five"])
    Path("in/notes.txt").write_text("left alone")
    status, out, err = infer("in", reader="text-layer")
    assert (status, out) == (1, "")  # page 3 has no text layer, and this reader knows nothing else
    assert "in/a.pdf, page 3: no text layer" in err
    assert Path("output/a.md").read_text() == "\n".join(TEXTS) + "\n\nSecond page\n\n<!-- page 3 not read: no text layer -->\n"
    assert Path("output/deep/b.md").read_text() == "Title\n\nOne\nTwo\nThree\nFour\nFive\n"
    assert "infer: 2 documents written, 3 pages read, 1 refused" in err
    assert sorted(path.name for path in Path("output").rglob("*") if path.is_file()) == ["a.md", "b.md", "refused.jsonl"]
    assert [json.loads(line) for line in Path("output/refused.jsonl").read_text().splitlines()] == [
        {"file": "in/a.pdf", "page": 3, "reason": "no text layer"}]
    assert sorted(path.name for path in Path().iterdir()) == [".readings", "in", "output", "params.yaml"]


def test_pages_a_second_and_time_left_are_shown(infer):
    make_pdf(Path("a.pdf"), pages=3)
    _, _, err = infer("a.pdf", reader="text-layer")
    assert "infer: 1 documents, 3 pages" in err
    assert "3/3" in err and "pages/s" in err


def test_ranges_images_and_rows(infer):
    make_book(Path("a.pdf"), ["One"], ["Two"], ["Three"])
    status, _, _ = infer("a.pdf", reader="text-layer", form="json", start_page=2, save_images=True, dpi=50, output=Path("out"))
    rows = json.loads(Path("out/infer.json").read_text())
    assert status == 0
    assert rows == [{"document": "a", "page": page, "images": [f"images/a_p{page}.png"], "text": text, "finish_reason": "stop",
                     "verdicts": []}
                    for page, text in ((2, "Two"), (3, "Three"))]  # fmt: skip
    assert Image.open("out/images/a_p2.png").size == (209, 139)
    assert infer("a.pdf", reader="text-layer", form="json", end_page=1)[0] == 0
    assert [(row["page"], row["images"]) for row in json.loads(Path("output/infer.json").read_text())] == [(1, [])]


def test_training_rows_can_be_learnt_from(infer, project):
    make_book(Path("b.pdf"), ["One"], [])
    make_book(Path("a.pdf"), ["See <image>"], ["Two"])
    status, _, err = infer("b.pdf", "a.pdf", reader="text-layer", form="jsonl")
    assert status == 1
    assert "2 images without a text to learn from are no training rows" in err
    rows = [json.loads(line) for line in Path("output/infer.jsonl").read_text().splitlines()]
    assert [row["messages"][0]["images"] for row in rows] == [["images/a_p2.png"], ["images/b_p1.png"]]
    assert rows[0] == {"messages": [{"role": "<|User|>", "content": "<image>", "images": ["images/a_p2.png"]},
                                    {"role": "<|Assistant|>", "content": "Two"}]}  # fmt: skip
    status, output = project.run("-m", "tools.convert", "output/infer.jsonl", "pairs", "--to", "ground-truth")
    assert (status, Path("pairs/b_p1.gt.txt").read_text()) == (0, "One\n"), output
    assert not list(Path("output").glob(".*"))


def test_damage_is_told_and_the_rest_is_read(infer):
    make_book(Path("in/good.pdf"), ["Good"])
    Path("in/bad.pdf").write_bytes(b"%PDF-1.4\nrubbish")
    Path("in/fake.png").write_text("no image")
    Path("in/empty.pdf").touch()
    status, _, err = infer("in", reader="text-layer")
    assert status == 1
    assert Path("output/good.md").read_text() == "Good\n"
    for reason in ("in/bad.pdf: ", "in/fake.png: neither a PDF nor an image", "in/empty.pdf: empty file", "1 documents written"):
        assert reason in err
    assert sorted(path.name for path in Path("output").iterdir()) == ["good.md", "refused.jsonl"]
    infer("in/good.pdf", reader="text-layer")
    assert [path.name for path in Path("output").iterdir()] == ["good.md"]


def test_an_image_that_is_a_page_is_told_by_its_own_name(infer):
    for number in (1, 2, 10):
        draw_line(Path(f"in/scan_p{number}.png"), "A")
    Path("in/scan_p10.png").write_bytes(Path("in/scan_p1.png").read_bytes()[:60])
    assert infer("in", reader="text-layer")[0] == 1
    rows = [json.loads(line) for line in Path("output/refused.jsonl").read_text().splitlines()]
    assert [(row["file"], row["page"]) for row in rows] == [(f"in/scan_p{number}.png", number) for number in (1, 10, 2)]


def test_nothing_to_read_is_an_error(infer):
    Path("empty").mkdir()
    status, _, err = infer("empty", reader="text-layer")
    assert (status, "empty: no PDF or image in this folder; 0 other files" in err) == (1, True)
    draw_line(Path("a.png"), "A")
    for sources, options, message in (
        ((), {}, "nothing to read: name PDFs"), (("absent.pdf",), {"reader": "text-layer"}, "absent.pdf: no such file or folder"),
        (("empty",), {"reader": "nobody"}, "reader 'nobody': unknown; params.yaml has: base, tuned, text-layer"),
        (("a.png",), {}, "models/base/tiny: no model here"),
        (("empty",), {"model": "empty"}, "empty: no model here"), (("empty",), {"reader": "api", "model": "x"}, "give one of --reader"),
        (("empty",), {"base_url": "http://127.0.0.1:1/v1"}, "--base_url needs --model"),
        (("empty",), {"reader": "text-layer", "task": "ocr"}, "text-layer is no model that could be asked"),
        (("empty",), {"reader": "api", "task": "invoce"}, "task 'invoce': unknown; there are: document (the model's own), ocr"),
        (("empty",), {"reader": "api", "task": "ocr", "prompt": "x"}, "give --task or --prompt"),
        (("empty",), {"reader": "api", "processing": "x"}, "postprocess 'x': unknown"),
        (("empty",), {"config": Path("absent.yaml")}, "absent.yaml: no such file"),
        (("empty",), {"reader": "api", "output": Path("-"), "form": "json"}, "name a folder for rows and images"),
        (("empty",), {"reader": "text-layer", "output": Path("a.png")}, "--output a.png: a.png is a file; name a folder"),
        (("empty",), {"reader": "text-layer", "output": Path("a.png/deep")}, "--output a.png/deep: a.png is a file; name a folder"),
    ):  # fmt: skip
        status, _, err = infer(*sources, **options)
        assert (status, message in err) == (1, True), err
        assert "Traceback" not in err


def test_only_pdfs_or_only_images(infer):
    make_book(Path("in/a.pdf"), ["A"])
    draw_line(Path("in/b.png"), "B")
    assert infer(pdf=[Path("in")], reader="text-layer")[0] == 0
    assert [path.name for path in Path("output").iterdir()] == ["a.md"]
    _, _, err = infer(images=[Path("in/a.pdf"), Path("in")], reader="text-layer")
    assert "in/a.pdf: application/pdf, not image" in err
    assert "in/b.png, page 1: no text layer" in err


def test_a_student_reads_lines_of_pages_and_nothing_twice(infer, student):
    make_book(Path("a.pdf"), TEXTS, TEXTS[:1])
    settings = {"model": str(student), "form": "json", "save_images": True}
    status, _, err = infer("a.pdf", **settings)
    assert (status, "line by line" in err) == (0, True)
    first = Path("output/infer.json").read_bytes()
    rows = json.loads(first)
    assert [len(row["images"]) for row in rows] == [4, 1]
    assert rows[0]["images"][0] == "images/a_p1_l001.png"
    size = sum(path.stat().st_size for path in Path(".readings").rglob("*") if path.is_file())
    assert infer("a.pdf", **settings)[0] == 0
    assert Path("output/infer.json").read_bytes() == first
    assert sum(path.stat().st_size for path in Path(".readings").rglob("*") if path.is_file()) == size


def test_the_default_is_the_merged_student_or_the_base(infer, student):
    draw_line(Path("line.png"), "A line")
    assert "reader models/base/tiny, line by line" in infer("line.png")[2]
    student.rename("models/merged")
    assert "reader models/merged, line by line" in infer("line.png")[2]
    assert "reader tuned" in infer("line.png", reader="tuned")[2]


def test_the_tasks_are_listed(project, capsys):
    main(reader="deepseek-ocr" if Path("models/base/deepseek-ocr").exists() else "api", show_prompts=True)
    shown = capsys.readouterr().out
    assert "  ocr (the model's own): Free OCR.\n" in shown
    assert "  invoice: Read this invoice." in shown
    assert "    system: You are an accountant's assistant" in shown
    main(reader="text-layer", show_prompts=True)
    assert "tasks of text-layer: none" in capsys.readouterr().out


def test_settings_come_from_another_file(infer, project):
    other = project.params | {"prompts": {"mine": {"user": "My words."}}}
    Path("other.yaml").write_text(yaml.safe_dump(other))
    make_book(Path("a.pdf"), ["A"])
    status, _, err = infer("a.pdf", reader="api", task="mine")
    assert (status, "task 'mine': unknown" in err) == (1, True)
    with serving() as running:
        other["teachers"]["api"] |= {"base_url": running.url}
        Path("other.yaml").write_text(yaml.safe_dump(other))
        assert infer("a.pdf", reader="api", task="mine", config=Path("other.yaml"))[0] == 0
        assert running.asked[0][2]["messages"][0]["content"][1]["text"] == "My words."


def test_what_a_reader_gets_to_see():
    assert usual_unit(Tesseract(page_segmentation=7)) == "line"
    assert usual_unit(Tesseract(page_segmentation=3)) == "page"
    assert usual_unit(RapidOcr()) == "page"
    assert usual_unit(Api(base_url="http://x/v1", model_name="m")) == "page"
    assert usual_unit(Local(model="x", **SHIPPED["students"]["tiny"])) == "line"
    assert usual_unit(Local(model="x", **SHIPPED["students"]["deepseek-ocr"])) == "page"


def test_a_local_model_is_asked_in_a_users_words(student):
    values = SHIPPED | {"students": SHIPPED["students"] | {"own": SHIPPED["students"]["deepseek-ocr"] | {"prompts": {"ocr": "Free OCR."}}}}
    profile = Local(model=str(student), **values["students"]["own"])
    asked, prompt = ask_for(profile, "invoice", SHIPPED["prompts"])
    assert open_reader(asked, SHIPPED["prompts"]).profile.prompt == f"{prompt.system}\n{prompt.user}"
    assert asked.postprocess == "deepseek-ocr"
    assert ask_for(profile, None, {})[0] == profile
    assert find_profile(values, "rapidocr") == RapidOcr()
