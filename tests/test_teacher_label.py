"""The teacher reads what is new; every page becomes a label or a refusal; params filter and read nothing again."""

from pathlib import Path

import pytest
from conftest import page_row

from ocrtune.params.teacher_label import TeacherLabelParams
from ocrtune.reading import Reading
from ocrtune.rows import read_rows, write_rows
from ocrtune.verdicts import judge, refusal
from stages.teacher_label import main

PAGES, LABELS = Path("data/pages"), Path("data/labels")
TEXTS = ["a letter", "", None, "x", "and so on " * 40, "ein Brieſ"]
PARAMS = TeacherLabelParams()


@pytest.fixture
def pages(project) -> list[dict]:
    """Write six pages, four of them with a text layer that can be learnt from."""
    project.params["teacher_label"] |= {"min_chars": 1, "refuse_loops": True}
    project.save()
    rows = [page_row(PAGES, "doc", number, f"image {number}") | {"text_layer": text} for number, text in enumerate(TEXTS, 1)]
    write_rows(PAGES / "pages.jsonl", rows)
    return rows


def labels() -> dict[str, str]:
    return {row["page_id"]: row["text"] for row in read_rows(LABELS / "labels.jsonl")}


def refused() -> dict[str, str]:
    return {row["page_id"]: row["reason"] for row in read_rows(LABELS / "refused.jsonl")}


def test_each_page_is_a_label_or_a_refusal_once(pages, capsys):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    main(PAGES, LABELS)
    assert labels() == {"doc_p1": "a letter", "doc_p4": "x", "doc_p6": "ein Brieſ"}
    assert refused() == {"doc_p2": "text shorter than teacher_label.min_chars", "doc_p5": "text repeats itself",
                         "doc_p3": "nothing to read from: this page has no text layer"}
    for row in read_rows(LABELS / "labels.jsonl"):
        assert list(row) == ["page_id", "text", "teacher", "key", "verdicts"]
        assert (row["teacher"], len(row["key"]), row["verdicts"]) == ("text-layer", 64, [])
    assert "teacher_label: 6 in, 3 out, 3 refused" in capsys.readouterr().out
    assert all(path.read_bytes() == content for path, content in before.items())
    written = {path for path in Path().rglob("*") if path.is_file()} - before.keys()
    assert {path for path in written if path.parts[0] != ".readings"} == {LABELS / "labels.jsonl", LABELS / "refused.jsonl"}


def test_a_second_run_reads_nothing_and_writes_the_same_bytes(pages, capsys):
    main(PAGES, LABELS)
    first = {path.name: path.read_bytes() for path in LABELS.iterdir()}
    write_rows(PAGES / "pages.jsonl", pages[::-1], key=None)
    main(PAGES, LABELS)
    assert {path.name: path.read_bytes() for path in LABELS.iterdir()} == first
    assert "6 pages, 6 in the store, 0 to read" in capsys.readouterr().out


def test_a_new_page_is_read_alone(pages, capsys):
    main(PAGES, LABELS)
    write_rows(PAGES / "pages.jsonl", [*pages, page_row(PAGES, "new", 1, "new page")])
    main(PAGES, LABELS)
    assert "7 pages, 6 in the store, 1 to read" in capsys.readouterr().out
    assert labels()["new_p1"] == "new page"


def test_a_changed_filter_reads_nothing_again(pages, project, capsys):
    main(PAGES, LABELS)
    project.params["teacher_label"] |= {"min_chars": 2, "refuse_loops": False, "max_chars": 500}
    project.save()
    main(PAGES, LABELS)
    assert labels().keys() == {"doc_p1", "doc_p5", "doc_p6"}
    assert [row["verdicts"] for row in read_rows(LABELS / "labels.jsonl") if row["page_id"] == "doc_p5"] == [["loop"]]
    assert "6 in the store, 0 to read" in capsys.readouterr().out


def test_it_runs_as_a_stage_does(pages, project):
    status, output = project.run("-m", "stages.teacher_label", PAGES, LABELS)
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
        main(PAGES, LABELS)
    assert stop.value.code == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("reading", "verdicts", "reason"), [
    (Reading("fine"), [], None),
    (Reading("", "none"), ["none"], "nothing to read from"),
    (Reading("", "error"), ["error"], "the teacher failed"),
    (Reading("cut o", "length"), ["unfinished"], "cut off"),
    (Reading("bad words", "content_filter"), ["unfinished"], "cut off"),
    (Reading(" \n\t"), [], "shorter"),
    (Reading("ab" * 60_000, "length"), ["unfinished", "loop"], "cut off"),
])
def test_verdicts_and_reasons(reading, verdicts, reason):
    assert judge(reading) == verdicts
    found = refusal(reading, verdicts, PARAMS)
    assert found == reason if reason is None else reason in found


def test_filters_can_be_opened():
    lax = TeacherLabelParams(min_chars=0, refuse_loops=False, refuse_unfinished=False)
    assert refusal(Reading("", "stop"), [], lax) is None
    assert refusal(Reading("ab" * 40, "length"), ["unfinished", "loop"], lax) is None
    assert refusal(Reading("", "error"), ["error"], lax) is not None
    assert "longer" in refusal(Reading("abc"), [], TeacherLabelParams(max_chars=2))
