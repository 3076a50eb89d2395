"""Each test page is scored once, a failed one as an empty prediction; clean print shows what was forgotten."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import page_row

from ocrtune.rows import read_rows, write_rows
from ocrtune.scoring.scores_csv import SCORE_COLUMNS, read_scores_csv
from stages.evaluate import main

FOLDERS = DOCUMENTS, PAGES, SPLITS, CANARY = Path("data/documents"), Path("data/pages"), Path("data/splits"), Path("data/canary")
OUTS = PREDICTIONS, CLEAN, SUMMARY, SCORES = tuple(map(Path, (
    "data/predictions/x.jsonl", "data/predictions/canary/x.jsonl", "metrics/evaluate/x.json", "metrics/evaluate/x.csv")))
READ = ["abc def", "same", None, "long text"]  # the reader's: what the PDF says
TRUE = ["abd def", "same", "lost page", "long"]  # the labels


@pytest.fixture
def corpus(project):
    """Write four pages of two documents, all of them in the test split, and a canary of two lines."""
    reader = {"model": "params.yaml", "reader": {"type": "text-layer"}}
    project.params["evaluate"] |= {"slices": [], "readers": {"x": reader, "other": reader}}
    project.params["compare"] |= {"baseline": "x", "candidate": "other"}
    project.save()
    rows = [page_row(PAGES, f"doc{number % 2}", number, text) | {"text_layer": READ[number]} for number, text in enumerate(TRUE)]
    write_rows(PAGES / "pages.jsonl", rows)
    write_rows(DOCUMENTS / "documents.jsonl", [{"doc_id": f"doc{number}", "url": f"site/{number}/a.pdf"} for number in range(2)], "doc_id")
    examples = [{"page_id": row["page_id"], "doc_id": row["doc_id"], "image": f"../pages/{row['image']}", "text": text,
                 "origin": "gold" if text == "same" else "teacher"} for row, text in zip(rows, TRUE, strict=True)]
    write_rows(SPLITS / "test.jsonl", examples)
    clean = [page_row(CANARY, "canary", number, text) for number, text in enumerate(["clean", "print"])]
    write_rows(CANARY / "canary.jsonl", [
        {"page_id": row["page_id"], "image": row["image"], "text": row["text_layer"], "sha256": row["sha256"]} for row in clean])
    return project


def evaluate(model=Path("params.yaml")) -> dict:
    main("x", model, *FOLDERS, *OUTS)
    return json.loads(SUMMARY.read_text())


def fails(capsys, model=Path("params.yaml")) -> str:
    with pytest.raises(SystemExit) as stop:
        evaluate(model)
    assert stop.value.code == 1
    assert not any(path.exists() for path in OUTS)
    return capsys.readouterr().err


def test_counts_of_each_page_are_those_a_person_counts(corpus, capsys):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    figures = evaluate()
    scores = {row["page_id"]: row for row in read_scores_csv(SCORES)}
    edits = {name: tuple(row[kind] for kind in ("substitutions", "insertions", "deletions")) for name, row in scores.items()}
    assert edits == {"doc0_p0": (1, 0, 0), "doc1_p1": (0, 0, 0), "doc0_p2": (0, 0, 9), "doc1_p3": (0, 5, 0)}
    assert figures["reference_chars"] == 7 + 4 + 9 + 4
    assert figures["agreement_cer"] == round(15 / 24, 6) and "cer" not in figures  # 1 + 0 + 9 + 5 edits, some against a teacher
    assert figures["slices"]["origin"]["gold"]["cer"] == 0 and figures["slices"]["origin"]["teacher"]["agreement_cer"] == round(15 / 20, 6)
    assert figures["confusions"] == [{"reference": "d", "prediction": "c", "count": 1}]  # of pages with a CER below 100 %
    assert (figures["num_pages"], figures["num_documents"], figures["origins"]) == (4, 2, {"gold": 1, "teacher": 3})
    assert (figures["perfect_rate"], figures["empty_rate"]) == (0.25, 0.25)
    assert [figures[name] for name in ("reader", "normalizer", "unit", "split", "top_k", "postprocess")] == [
        "x", "nfc_ws@1", "codepoint", "test", None, "default@1"]
    assert not {"seconds", "latency", "pages_per_second"} & figures.keys()
    assert SCORES.read_text().splitlines()[0].split(",") == list(SCORE_COLUMNS)
    assert "evaluate x: 4 in, 4 out, 0 refused" in capsys.readouterr().out
    assert all(path.read_bytes() == content for path, content in before.items())
    written = {path for path in Path().rglob("*") if path.is_file()} - before.keys()
    assert {path for path in written if path.parts[0] != ".readings"} == set(OUTS)
    assert [row["text"] for row in read_rows(CLEAN, ("key", "finish_reason"))] == ["clean", "print"]


def test_a_failed_page_is_an_empty_prediction_and_never_skipped(corpus):
    evaluate()
    failed = {row["page_id"]: row for row in read_scores_csv(SCORES)}["doc0_p2"]
    assert (failed["finish_reason"], failed["prediction_chars"], failed["cer"]) == ("none", 0, 1.0)
    predictions = {row["page_id"]: row for row in read_rows(PREDICTIONS, ("page_id", "text", "key", "finish_reason"))}
    assert predictions.keys() == {"doc0_p0", "doc1_p1", "doc0_p2", "doc1_p3"}
    assert predictions["doc0_p2"]["text"] == ""


def test_a_second_run_reads_nothing_and_writes_the_same_bytes(corpus, capsys):
    evaluate()
    before = [path.read_bytes() for path in OUTS]
    write_rows(SPLITS / "test.jsonl", read_rows(SPLITS / "test.jsonl")[::-1], key=None)
    evaluate()
    assert [path.read_bytes() for path in OUTS] == before
    assert "x: 4 pages, 4 in the store, 0 to read" in capsys.readouterr().out


def test_a_changed_normalizer_scores_again_without_reading(corpus, capsys):
    rows = read_rows(PAGES / "pages.jsonl")
    write_rows(PAGES / "pages.jsonl", [row | {"text_layer": row["text_layer"] and f" {row['text_layer']}\n"} for row in rows])
    assert evaluate()["edits"]["insertions"] == 5
    corpus.params["evaluate"]["normalizer"] = "raw"
    corpus.save()
    figures = evaluate()
    assert (figures["edits"]["insertions"], figures["normalizer"]) == (5 + 2 * 3, "raw@1")
    assert "x: 4 pages, 4 in the store, 0 to read" in capsys.readouterr().out


def test_clean_print_is_read_too_and_counts_apart(corpus, student):
    """An untrained student reads nothing right: no line of the canary, no page of the test split."""
    corpus.params["evaluate"]["readers"]["x"] = {"model": "models/base", "reader": {"type": "student"}}
    corpus.params["students"]["tiny"]["max_new_tokens"] = 3
    corpus.save()
    figures = evaluate(Path("models/base"))
    assert figures["canary"]["num_lines"] == 2
    assert figures["canary"]["cer"] > 0.5
    assert figures["num_pages"] == 4
    assert {row["page_id"] for row in read_rows(PREDICTIONS)} == {row["page_id"] for row in read_rows(PAGES / "pages.jsonl")}


def test_a_torn_image_counts_as_an_empty_prediction(corpus, student):
    corpus.params["evaluate"]["readers"]["x"] = {"model": "models/merged", "reader": {"type": "student"}}
    corpus.params["students"]["tiny"]["max_new_tokens"] = 3
    corpus.save()
    shutil.move(student, "models/merged")
    torn = PAGES / "images" / "doc1_p1.png"
    torn.write_bytes(torn.read_bytes()[:70])
    evaluate(Path("models/merged"))
    row = {row["page_id"]: row for row in read_scores_csv(SCORES)}["doc1_p1"]
    assert (row["finish_reason"], row["deletions"], row["cer"]) == ("error", 4, 1.0)


def test_a_page_of_another_rendering_is_refused(corpus, capsys):
    write_rows(PAGES / "pages.jsonl", read_rows(PAGES / "pages.jsonl")[1:])
    assert "data/splits/test.jsonl: doc0_p0 and 0 more are no pages of data/pages; run split again" in fails(capsys)


@pytest.mark.parametrize(("path", "rows", "message"), [
    (SPLITS / "test.jsonl", lambda rows: [], "no pages to score"),
    (SPLITS / "test.jsonl", lambda rows: [*rows, rows[0]], "'doc0_p0' occurs twice"),
    (SPLITS / "test.jsonl", lambda rows: [{"page_id": "a"}], "test.jsonl:1: not a row: missing doc_id, image, text, origin"),
    (SPLITS / "test.jsonl", lambda rows: [rows[0] | {"text": 5}], "doc0_p0: text is int, not a string"),
    (SPLITS / "test.jsonl", lambda rows: [rows[0] | {"origin": "me"}], "doc0_p0: origin is 'me'"),
    (DOCUMENTS / "documents.jsonl", lambda rows: [*rows, rows[0]], "'doc0' occurs twice"),
    (PAGES / "pages.jsonl", lambda rows: [*rows, rows[0]], "'doc0_p0' occurs twice"),
    (CANARY / "canary.jsonl", lambda rows: [*rows, rows[0]], "'canary_p0' occurs twice"),
    (CANARY / "canary.jsonl", lambda rows: [{"page_id": "a"}], "canary.jsonl:1: not a row: missing image, text, sha256"),
])
def test_what_does_not_belong_together_is_refused_before_anything_is_written(corpus, capsys, path, rows, message):
    write_rows(path, rows(read_rows(path)), key=None)
    assert message in fails(capsys)


def test_slices_come_from_any_row_that_knows(corpus, capsys):
    corpus.params["evaluate"]["slices"] = ["source", "width"]
    corpus.save()
    slices = evaluate()["slices"]
    assert slices["source"].keys() == {"site/0", "site/1"} and slices["source"]["site/0"]["num_pages"] == 2
    assert slices["width"].keys() == {"120"} and read_scores_csv(SCORES)[0]["slice_source"] == "site/0"
    corpus.params["evaluate"]["slices"] = ["layout"]
    corpus.save()
    with pytest.raises(SystemExit):
        evaluate()
    assert "evaluate.slices: no page has a column 'layout'" in capsys.readouterr().err


def test_top_k_draws_by_hash_and_a_smaller_choice_is_part_of_a_larger(corpus):
    chosen = []
    for top_k in (1, 3, 99):
        corpus.params["evaluate"]["top_k"] = top_k
        corpus.save()
        assert evaluate()["num_pages"] == min(top_k, 4)
        chosen.append({row["page_id"] for row in read_rows(PREDICTIONS)})
    assert chosen[0] < chosen[1] < chosen[2]


def test_another_split_and_a_file_of_ones_own(corpus, student):
    write_rows(SPLITS / "val.jsonl", read_rows(SPLITS / "test.jsonl")[:2])
    corpus.params["evaluate"]["split"] = "val"
    corpus.save()
    assert evaluate()["num_pages"] == 2
    own = Path("mine")
    page = page_row(own, "letter", 1, "Dear Papa")
    row = {"page_id": "letter_1", "doc_id": "letter", "image": page["image"], "text": "Dear Papa", "origin": "gold"}
    write_rows(own / "set.jsonl", [row])
    corpus.params["evaluate"]["split"] = "set"
    corpus.params["evaluate"]["readers"]["x"] = {"model": "models/base", "reader": {"type": "student"}}
    corpus.params["students"]["tiny"]["max_new_tokens"] = 3
    corpus.save()
    main("x", Path("models/base"), DOCUMENTS, PAGES, own, CANARY, *OUTS)
    figures = json.loads(SUMMARY.read_text())
    assert (figures["num_pages"], figures["origins"], figures["split"]) == (1, {"gold": 1}, "set") and "cer" in figures


def test_structure_is_compared_on_request(corpus):
    table = "# Bill\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThe end."
    write_rows(SPLITS / "test.jsonl", [row | {"text": table} for row in read_rows(SPLITS / "test.jsonl")])
    write_rows(PAGES / "pages.jsonl", [row | {"text_layer": table.replace("2", "3")} for row in read_rows(PAGES / "pages.jsonl")])
    assert "teds" not in evaluate()
    corpus.params["evaluate"]["structure"] = True
    corpus.save()
    figures = evaluate()
    assert (figures["num_tables"], figures["teds_structure"], figures["reading_order"]) == (4, 1, 0) and figures["teds"] == round(5 / 6, 6)


def test_a_budget_stops_in_good_order_and_the_next_run_goes_on(corpus, capsys):
    corpus.params["evaluate"]["budget"] = {"max_pages": 3, "max_tokens": None, "max_cost": None}
    corpus.save()
    assert "x: evaluate.budget (max_pages 3) is used up: 3 of 4 pages read, 1 to go. What was read is kept" in fails(capsys)
    assert evaluate()["num_pages"] == 4  # one page, and the two lines of clean print


def test_an_unknown_reader_is_named(corpus, capsys):
    with pytest.raises(SystemExit):
        main("y", Path("params.yaml"), *FOLDERS, *OUTS)
    assert "evaluate.readers has no 'y'; it has: x" in capsys.readouterr().err


def test_it_runs_as_a_stage_does(corpus):
    status, output = corpus.run("-m", "stages.evaluate", "x", "params.yaml", *FOLDERS, *OUTS)
    assert status == 0, output
    assert "CER against labels 0.6250" in output and "against 1 gold, 3 teacher" in output
