"""Images, splits, labels and results go out to other tools, and nothing is lost on the way."""

import json
from pathlib import Path

import pytest
from conftest import draw_line
from test_convert import TEXTS, chat, folder, rows_of, run, write_lines  # noqa: F401 (fixtures)

from ocrtune.rows import write_rows
from tools.convert import write_report


def test_images_are_copied_beside_the_rows(folder):
    draw_line(folder / "other/a.png", "another")
    rows = [{"image_path": "images/a.png", "text": "1"}, {"image_path": "other/a.png", "text": "2"}]
    source = write_lines(folder / "in.jsonl", rows)
    for _ in range(2):  # the second time finds its own copies
        assert run(source, folder / "out/train.jsonl", "messages", copy_images=True) == (2, {})
        assert [row["images"] for row in rows_of(folder / "out/train.jsonl")] == [["images/a.png"], ["images/a-2.png"]]
    assert (folder / "out/images/a-2.png").read_bytes() == (folder / "other/a.png").read_bytes()
    assert len(list((folder / "out/images").iterdir())) == 2


def test_relative_paths_have_a_folder_to_start_from(folder, tmp_path):
    source = write_lines(folder / "rows/in.jsonl", [{"image_path": "a.png", "text": "1"}])
    assert run(source, folder / "out.jsonl", "image-text")[1] == {"1": "missing image: a.png"}
    assert run(source, folder / "out.jsonl", "image-text", images=folder / "images") == (1, {})
    assert rows_of(folder / "out.jsonl")[0]["image_path"] == "images/a.png"


def test_a_format_that_can_not_hold_it_refuses(folder):
    two = chat("<image><image>", ("images/a.png", "images/b.png"))
    marked = chat(images=("images/c.png",), answer="He wrote <image> there")
    source = write_lines(folder / "in.jsonl", [two, marked])
    reason = "several images: 2, where this format holds one"
    assert run(source, folder / "out.jsonl", "image-text") == (1, {"1": reason})
    assert run(source, folder / "pairs", "ground-truth") == (1, {"1": reason})
    assert run(source, folder / "out2.jsonl", "messages") == (1, {"2": "<image> in its text: this format takes it for a picture"})


def test_splits_labels_and_predictions_go_out(folder):
    pages = [{"page_id": f"{name}_p1", "image": f"images/{name}.png"} for name in TEXTS]
    write_rows(folder / "pages/pages.jsonl", pages)
    for name in TEXTS:
        draw_line(folder / f"pages/images/{name}.png", name)
    for part, name in (("train", "a"), ("val", "b"), ("test", "c")):
        row = {"page_id": f"{name}_p1", "doc_id": name, "image": f"../pages/images/{name}.png", "text": TEXTS[name], "origin": "teacher"}
        write_rows(folder / f"splits/{part}.jsonl", [row])
    assert run(folder / "splits", folder / "out", "image-text") == (3, {})
    assert rows_of(folder / "out/train.jsonl") == [{"image_path": "../pages/images/a.png", "text": TEXTS["a"]}]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["test.jsonl", "train.jsonl", "val.jsonl"]
    assert run(folder / "splits", folder / "arrays", "img-ocr") == (3, {})
    assert rows_of(folder / "arrays/val.json") == [{"img_path": "../pages/images/b.png", "ocr_results": ""}]
    readings = [{"page_id": "a_p1", "text": "read", "key": "0"}, {"page_id": "z_p1", "text": "read", "key": "0"}]
    write_rows(folder / "labels/labels.jsonl", readings)
    written, refused = run(folder / "labels/labels.jsonl", folder / "labels-out.jsonl", "image-text", pages=folder / "pages")
    assert (written, refused) == (1, {"2": f"missing page: 'z_p1' is none of {folder}/pages"})
    assert rows_of(folder / "labels-out.jsonl") == [{"image_path": "pages/images/a.png", "text": "read"}]


def test_what_would_be_lost_is_not_written_over(folder):
    (folder / "full").mkdir()
    (folder / "full/x").touch()
    for dest, form, message in (
        (folder / "rows.jsonl", "deepseek", "write over what it reads"), (folder / "full", "documents", "not empty"),
        (folder / "full", "messages", "a folder; format messages is one file"),
        (folder / "full/x", "documents", "a file; format documents here wants a folder"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            run(folder / "rows.jsonl", dest, form)
    with pytest.raises(ValueError, match="absent: no such file or folder"):
        run(folder / "absent", folder / "out.jsonl", "deepseek")
    with pytest.raises(ValueError, match=r"images: neither rows .* nor \.gt\.txt files in this folder"):
        run(folder / "images", folder / "out.jsonl", "deepseek")


def test_the_report_of_results(project, capsys):
    rows = [{"page_id": f"{name}_p1", "doc_id": name, "image": f"../pages/{name}.png", "text": text, "origin": "gold"}
            for name, text in (("a", "abcd"), ("b", "efgh"))]  # fmt: skip
    write_rows(Path("data/splits/test.jsonl"), rows)
    write_rows(Path("data/predictions/tuned.jsonl"), [{"page_id": "a_p1", "text": "abXd"}])
    assert write_report(Path("data/predictions/tuned.jsonl"), Path("out/report.json"), Path("data/splits/test.jsonl"), None) == 2
    report = json.loads(Path("out/report.json").read_text())
    assert list(report) == ["overall_cer", "overall_f1", "total_samples", "measures", "origins", "normalizer", "unit", "structure",
                            "timestamp", "model_name", "samples"]
    assert (report["measures"], report["origins"], report["normalizer"]) == ("CER", {"gold": 2}, "nfc_ws@1")
    assert (report["overall_cer"], report["total_samples"], report["model_name"]) == (5 / 8, 2, "tuned")  # 1 of 4, and 4 of 4
    assert report["samples"][0] == {"image_path": "../data/pages/a.png", "label": "abcd", "prediction": "abXd", "cer_score": 1 / 4,
                                    "f1_score": 3 / 4}  # fmt: skip
    assert report["samples"][1]["cer_score"] == 1
    assert "2 pages, CER 0.6250" in capsys.readouterr().out
    write_rows(Path("other.jsonl"), [{"page_id": "x", "text": ""}])
    with pytest.raises(ValueError, match=r"other\.jsonl: reads none of the 2 pages"):
        write_report(Path("other.jsonl"), Path("out/report.json"), Path("data/splits/test.jsonl"), None)


def test_a_report_against_a_teacher_says_so_and_follows_the_rules_of_evaluate(project, capsys):
    project.params["evaluate"] |= {"fold": ["width"], "unit": "grapheme"}
    project.save()
    row = {"page_id": "a_p1", "doc_id": "a", "image": "a.png", "text": "A\u0323\u0308 1", "origin": "teacher"}
    write_rows(Path("test.jsonl"), [row])
    write_rows(Path("tuned.jsonl"), [{"page_id": "a_p1", "text": "A \uff11"}, {"page_id": "b_p1", "text": "b"}])
    write_report(Path("tuned.jsonl"), Path("report.json"), Path("test.jsonl"), None)
    report, printed = json.loads(Path("report.json").read_text()), capsys.readouterr()
    assert (report["measures"], report["origins"]) == ("agreement with a teacher", {"teacher": 1})
    assert (report["overall_cer"], report["unit"], report["normalizer"]) == (0.333333, "grapheme", "nfc_ws@1+width@1")
    assert "1 pages, agreement (CER against a teacher) 0.3333" in printed.out and "1 predictions left out" in printed.err


def test_the_command_counts_and_its_status_is_honest(folder, project):
    write_lines(folder / "in.jsonl", [{"image_path": "images/a.png", "text": "1"}, {"image_path": "gone.png", "text": "2"}, "{"])
    status, output = project.run("-m", "tools.convert", "in.jsonl", "out.jsonl", "--to", "deepseek")
    assert status == 0
    assert "convert: 3 in, 1 out, 2 refused" in output
    assert "refused 1: missing image" in output and "refused 1: not JSON" in output
    assert "in.jsonl:2: missing image: gone.png" in output
    write_lines(folder / "in.jsonl", [{"image_path": "gone.png", "text": "2"}])
    status, output = project.run("-m", "tools.convert", "in.jsonl", "out.jsonl", "--to", "deepseek")
    assert status == 1
    assert "error: in.jsonl: not one row could be used" in output
