"""The teacher reads what is new; every page becomes a label or a refusal; params filter and read nothing again."""

import json
from pathlib import Path

import pytest
from conftest import draw_line, page_row
from teacher_server import Teacher

from ocrtune.rows import read_rows, write_rows
from stages.teacher_label import main

PAGES, GOLD, LABELS, METRICS = Path("data/pages"), Path("data/gold.jsonl"), Path("data/labels"), Path("metrics/teacher_label.json")
TEXTS = ["a letter", "", None, "x", "and so on " * 40, "ein Brieſ"]


@pytest.fixture
def teachers(project):
    """Return two servers, the first of which is the teacher."""
    servers = {name: Teacher(name) for name in ("first", "second")}
    project.params["teachers"] |= {name: server.profile() for name, server in servers.items()}
    project.params["teacher"] = "first"
    project.save()
    yield servers["first"], servers["second"]
    for server in servers.values():
        server.close()


@pytest.fixture(autouse=True)
def pages(project) -> list[dict]:
    """Write six pages, four of them with a text layer that can be learnt from, and no gold."""
    rows = [page_row(PAGES, "doc", number, f"image {number}") | {"text_layer": text} for number, text in enumerate(TEXTS, 1)]
    write_rows(PAGES / "pages.jsonl", rows)
    GOLD.touch()
    return rows


def run() -> None:
    main(PAGES, GOLD, LABELS, METRICS)


def set_params(project, **params) -> None:
    project.params["teacher_label"] |= params
    project.save()


def labels() -> dict[str, str]:
    return {row["page_id"]: row["text"] for row in read_rows(LABELS / "labels.jsonl")}


def refused() -> dict[str, str]:
    return {row["page_id"]: row["reason"] for row in read_rows(LABELS / "refused.jsonl")}


def figures() -> dict:
    return json.loads(METRICS.read_text())


def test_each_page_is_a_label_or_a_refusal_once(capsys):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    run()
    assert labels() == {"doc_p1": "a letter", "doc_p4": "x", "doc_p6": "ein Brieſ"}
    assert refused() == {"doc_p2": "the teacher found no text", "doc_p5": "text repeats itself",
                         "doc_p3": "nothing to read from: this page has no text layer"}
    for row in read_rows(LABELS / "labels.jsonl"):
        assert list(row) == ["page_id", "text", "teacher", "key", "verdicts"]
        assert (row["teacher"], len(row["key"]), row["verdicts"]) == ("text-layer", 64, [])
    assert [(row["text"], row["verdicts"], row.get("finish_reason")) for row in read_rows(LABELS / "refused.jsonl")] == [
        ("", ["empty"], None), ("", ["none"], "none"), (TEXTS[4], ["loop", "dense"], None)]
    assert figures() == {"teacher": "text-layer", "num_pages": 6, "num_labels": 3, "num_refused": 3,
                         "verdicts": {"dense": 1, "empty": 1, "loop": 1, "none": 1}, "normalizer": "nfc_ws@1"}
    assert "teacher_label: 6 in, 3 out, 3 refused" in capsys.readouterr().out
    assert all(path.read_bytes() == content for path, content in before.items())
    written = {path for path in Path().rglob("*") if path.is_file()} - before.keys()
    assert {path for path in written if path.parts[0] != ".readings"} == {LABELS / "labels.jsonl", LABELS / "refused.jsonl", METRICS}


def test_a_second_run_reads_nothing_and_writes_the_same_bytes(pages, capsys):
    def outs() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (*LABELS.iterdir(), METRICS)}

    run()
    first = outs()
    write_rows(PAGES / "pages.jsonl", pages[::-1], key=None)
    for path in PAGES.rglob("*.png"):
        path.unlink()  # neither text nor ink is looked at again
    run()
    assert outs() == first
    assert "6 pages, 6 in the store, 0 to read" in capsys.readouterr().out


def test_a_new_page_is_read_alone(pages, capsys):
    run()
    write_rows(PAGES / "pages.jsonl", [*pages, page_row(PAGES, "new", 1, "new page")])
    run()
    assert "7 pages, 6 in the store, 1 to read" in capsys.readouterr().out
    assert labels()["new_p1"] == "new page"


def test_a_changed_filter_reads_nothing_again(project, capsys):
    run()
    set_params(project, min_chars=2, refuse=["short", "long"], max_chars=500)
    run()
    assert labels().keys() == {"doc_p1", "doc_p2", "doc_p5", "doc_p6"}
    assert [row["verdicts"] for row in read_rows(LABELS / "labels.jsonl") if row["page_id"] == "doc_p5"] == [["loop"]]
    assert "6 in the store, 0 to read" in capsys.readouterr().out


def test_it_runs_as_a_stage_does(project):
    status, output = project.run("-m", "stages.teacher_label", PAGES, GOLD, LABELS, METRICS)
    assert status == 0, output
    assert "teacher_label: 6 in, 3 out, 3 refused" in output


@pytest.mark.parametrize(("rows", "message"), [
    (lambda rows: [*rows, rows[0]], "page_id 'doc_p1' occurs twice"),
    (lambda rows: [{"page_id": "a", "image": "a.png", "text_layer": None}], "pages.jsonl:1: not a row: missing sha256"),
    (lambda rows: [row | {"text_layer": None} for row in rows], "no page got a label (see refused.jsonl); choose another teacher"),
])
def test_what_can_not_be_used_fails_with_a_message(pages, capsys, rows, message):
    write_rows(PAGES / "pages.jsonl", rows(pages), key=None)
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 1
    assert message in capsys.readouterr().err


@pytest.fixture
def scripted(teachers, pages) -> tuple[Teacher, Teacher]:
    """Let both teachers answer each page with its text layer, or with words of their own where there is none."""
    for teacher in teachers:
        teacher.answers = {row["sha256"]: row["text_layer"] or "image" for row in pages}
    return teachers


def test_each_verdict_is_reached_through_a_real_teacher(scripted, pages, project):
    first, second = scripted
    digest = draw_line(PAGES / "images/blank.png", "")
    texts = ["a letter", "cut o", "", "Письмо", "something else", "image"]
    rows = [*pages, pages[0] | {"page_id": "doc_p7", "image": "images/blank.png", "sha256": digest}]
    rows = [row | {"text_layer": None} for row in rows]
    rows[4]["text_layer"] = "the PDF's own text, which is longer"
    write_rows(PAGES / "pages.jsonl", rows)
    for row, text in zip(rows, [*texts, "on white"], strict=True):
        first.answers[row["sha256"]] = second.answers[row["sha256"]] = text
    first.answers[rows[1]["sha256"]] = ("cut o", "length")
    second.answers[rows[5]["sha256"]] = "figure"
    set_params(project, scripts=["Latin"], max_text_layer_cer=0.5, second_teacher="second", max_second_teacher_cer=0.5)
    run()
    assert {row["page_id"]: row["verdicts"] for row in read_rows(LABELS / "refused.jsonl")} == {
        "doc_p2": ["unfinished"], "doc_p3": ["empty"], "doc_p4": ["script"], "doc_p5": ["text_layer"], "doc_p6": ["second_teacher"],
        "doc_p7": ["blank"]}
    assert refused()["doc_p2"] == "the teacher was cut off before the end: finish_reason length"
    assert labels() == {"doc_p1": "a letter"}
    assert figures()["verdicts"] == dict.fromkeys(("blank", "empty", "script", "second_teacher", "text_layer", "unfinished"), 1)
    assert figures()["second_teacher"]["num_pages"] == 7
    assert {row["page_id"]: row["text"] for row in read_rows(LABELS / "second.jsonl")}["doc_p6"] == "figure"
    asked = len(first.asked), len(second.asked)
    set_params(project, scripts=[], max_text_layer_cer=None, max_second_teacher_cer=None, refuse=["empty"])
    run()
    assert labels().keys() == {f"doc_p{number}" for number in (1, 2, 4, 5, 6, 7)}
    assert (len(first.asked), len(second.asked)) == asked == (7, 7)
    set_params(project, second_teacher="text-layer")
    run()
    assert not (LABELS / "second.jsonl").exists()


def test_post_processing_is_applied_to_what_the_store_holds(scripted, pages, project):
    first, _ = scripted
    first.answers[pages[0]["sha256"]] = "<|x|>a letter"
    run()
    row = read_rows(LABELS / "labels.jsonl")[0]
    assert (row["text"], "raw" in row) == (first.answers[pages[0]["sha256"]], False)
    project.params["teachers"]["first"]["postprocess"] = "deepseek-ocr"
    project.save()
    run()
    row = read_rows(LABELS / "labels.jsonl")[0]
    assert (row["text"], row["raw"]) == ("a letter", first.answers[pages[0]["sha256"]])
    assert len(first.asked) == 6


def test_the_teachers_errors_are_told_against_gold_and_text_layers(scripted, pages):
    first, _ = scripted
    first.answers |= {pages[0]["sha256"]: "a better", pages[3]["sha256"]: "and so on " * 9, pages[2]["sha256"]: None}
    before = [{"sha256": pages[0]["sha256"], "text": "a  letter"}, {"sha256": pages[3]["sha256"], "text": "xx"},
              {"sha256": pages[2]["sha256"], "text": "ten chars."}, {"sha256": "00" * 32, "text": "of no page"}]
    write_rows(GOLD, before, key=None)
    with pytest.raises(SystemExit):
        run()  # one page of six failed: more than the shipped bound
    assert read_rows(GOLD) == before
    assert not METRICS.exists()


def test_failed_pages_count_in_full_where_they_are_allowed(scripted, pages, project):
    first, _ = scripted
    first.answers |= {pages[0]["sha256"]: "a better", pages[3]["sha256"]: "and so on " * 9, pages[2]["sha256"]: None}
    write_rows(GOLD, [{"sha256": pages[0]["sha256"], "text": "a  letter"}, {"sha256": pages[3]["sha256"], "text": "xx"},
                      {"sha256": pages[2]["sha256"], "text": "ten chars."}], key=None)
    set_params(project, allow_failed=0.2)
    run()
    # Gold: 1 edit of 8, 89 characters where 2 were, 10 of 10 missing; the loop and the failure did not become labels.
    assert figures()["gold"] == {"num_pages": 3, "cer": 5.0, "num_labels": 1, "labels_cer": 0.125}
    # Text layers: as gold on page 1 (8 characters) and 4 (1); pages 5 (399) and 6 (9) are read without error.
    assert figures()["text_layer"] == {"num_pages": 4, "cer": round((1 + 89) / (8 + 1 + 399 + 9), 6), "num_labels": 2,
                                       "labels_cer": round(1 / 17, 6)}
    assert "image not understood" in refused()["doc_p3"] or refused()["doc_p3"] == "the teacher failed on this page"
    assert figures()["verdicts"]["error"] == 1


def test_a_failure_stops_the_stage_and_the_next_run_asks_for_it_alone(scripted, pages, project, capsys):
    first, _ = scripted
    first.answers[pages[0]["sha256"]] = None
    with pytest.raises(SystemExit):
        run()
    assert "teacher first failed on 1 of 6 pages" in (said := capsys.readouterr().err)
    assert "What was read is kept: run again, and only these are asked for; or raise teacher_label.allow_failed" in said
    assert list(LABELS.glob("*")) == []
    first.answers[pages[0]["sha256"]] = "a letter"
    run()
    assert first.asked[6:] == [pages[0]["sha256"]]
    assert labels()["doc_p1"] == "a letter"


def test_only_the_failed_or_only_the_stale_are_asked_for(scripted, pages, project):
    first, _ = scripted
    first.answers[pages[0]["sha256"]] = None
    set_params(project, allow_failed=1.0)
    run()
    write_rows(PAGES / "pages.jsonl", [*pages, new := page_row(PAGES, "new", 1, "new page")])
    set_params(project, retry="stale")
    run()
    assert first.asked[6:] == [new["sha256"]]
    assert refused()["doc_p1"] == "not read yet: teacher_label.retry leaves it out"
    first.answers[pages[0]["sha256"]] = "a letter"
    write_rows(PAGES / "pages.jsonl", [*pages, new, page_row(PAGES, "new", 2, "newer page")])
    set_params(project, retry="failed")
    run()
    assert first.asked[7:] == [pages[0]["sha256"]]
    assert refused()["new_p2"] == "not read yet: teacher_label.retry leaves it out"


def test_a_budget_stops_the_stage_in_good_order(scripted, pages, project):
    first, _ = scripted
    set_params(project, budget={"max_pages": 4, "max_tokens": None, "max_cost": None})
    status, output = project.run("-m", "stages.teacher_label", PAGES, GOLD, LABELS, METRICS)
    assert status == 1, output
    assert "error: teacher first: teacher_label.budget (max_pages 4) is used up: 4 of 6 pages read, 2 to go. What was read is " in output
    assert "Traceback" not in output
    assert not LABELS.exists()
    status, output = project.run("-m", "stages.teacher_label", PAGES, GOLD, LABELS, METRICS)
    assert status == 0, output
    assert sorted(first.asked) == sorted(row["sha256"] for row in pages)


def test_ink_is_not_measured_where_no_filter_wants_it(project):
    set_params(project, refuse=["empty"])
    for path in PAGES.rglob("*.png"):
        path.unlink()
    run()
    assert labels().keys() == {"doc_p1", "doc_p4", "doc_p5", "doc_p6"}
    assert figures()["verdicts"] == {"empty": 1, "loop": 1, "none": 1}


def test_an_image_without_pixels_gets_no_verdict_on_its_ink(pages):
    (PAGES / pages[0]["image"]).write_bytes(b"no image")
    run()
    assert labels()["doc_p1"] == "a letter"


def test_an_unknown_second_teacher_and_an_unknown_script_are_named_at_once(project, capsys):
    set_params(project, second_teacher="nobody", scripts=["Latn", "Klingon"])
    with pytest.raises(SystemExit):
        run()
    said = capsys.readouterr().err
    assert "teacher_label.second_teacher: 'nobody': no such profile; teachers has: " in said
    assert "teacher_label.scripts.1: 'Klingon': no Unicode script; write Latin, " in said
