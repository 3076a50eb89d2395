"""What compare refuses: other pages, other rules, broken files."""

import csv
import json
import re
from pathlib import Path

import pytest
from compared import PARAMS

from ocrtune.params.compare import CompareParams
from ocrtune.rows import RowError, read_rows, write_rows
from ocrtune.scoring.scores_csv import SCORE_COLUMNS


def drop_page(path: Path, page_id: str) -> None:
    """Delete a page's line from a file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if page_id not in line]
    path.write_text("".join(lines), encoding="utf-8")


def count_one_page_less(path: Path) -> None:
    """Make a reader's metrics agree with a scores file that lost a page."""
    figures = json.loads(path.read_text())
    rows = list(csv.DictReader(path.with_suffix(".csv").open()))
    edits, chars = (sum(int(row[key]) for row in rows for key in keys) for keys in (SCORE_COLUMNS[5:8], SCORE_COLUMNS[3:4]))
    path.write_text(json.dumps(figures | {"num_pages": len(rows), "agreement_cer": edits / chars}))


def test_pages_that_one_reader_lacks_are_named(scored):
    page_id, scores = scored.pages[7], scored.folder / "metrics/evaluate"
    drop_page(scores / "tuned.csv", page_id)
    with pytest.raises(RowError, match=r"tuned.json: does not sum up tuned.csv \(30 pages there, 29 here\)"):
        scored.compare()
    count_one_page_less(scores / "tuned.json")
    with pytest.raises(RowError, match=f"base has pages that tuned lacks: {page_id};"):
        scored.compare()
    drop_page(scores / "base.csv", page_id)
    count_one_page_less(scores / "base.json")
    with pytest.raises(RowError, match=f"test.jsonl: not the pages that base was scored on: {page_id};"):
        scored.compare()


def test_other_normalizer_is_refused(scored):
    scored.add("tuned", 0.1, normalizer="raw")
    with pytest.raises(RowError, match="base is scored with normalizer nfc_ws@1, tuned with raw"):
        scored.compare()


def test_predictions_that_are_not_the_scored_ones_are_refused(scored):
    path = scored.folder / "data/predictions/tuned.jsonl"
    rows = read_rows(path)
    write_rows(path, [row | {"text": row["text"] + "!"} if row["page_id"] == scored.pages[4] else row for row in rows])
    with pytest.raises(RowError, match=f"texts and scores of tuned disagree on {scored.pages[4]};"):
        scored.compare()
    write_rows(path, rows[1:])
    with pytest.raises(RowError, match=f"tuned.jsonl: no prediction of {scored.pages[0]};"):
        scored.compare()


@pytest.mark.parametrize(("breakage", "message"), [
    (lambda folder: (folder / "metrics/evaluate/tuned.json").unlink(), "no scores of tuned; scored are: base"),
    (lambda folder: (folder / "metrics/evaluate/tuned.csv").unlink(), "tuned.csv: no such file"),
    (lambda folder: (folder / "metrics/evaluate/tuned.json").write_text("{"), "tuned.json: not JSON"),
    (lambda folder: (folder / "metrics/evaluate/tuned.json").write_text("[]"), "tuned.json: not the metrics of a reader"),
    (lambda folder: (folder / "data/predictions/base.jsonl").unlink(), "base.jsonl: no such file"),
    (lambda folder: (folder / "data/splits/test.jsonl").write_text("{}\n"), "test.jsonl:1: not a row: missing page_id"),
])
def test_broken_input_is_named(scored, breakage, message):
    breakage(scored.folder)
    with pytest.raises(RowError, match=re.escape(message)):
        scored.compare()


def test_a_reader_must_not_bear_a_key_of_the_metrics(scored):
    scored.add("canary", 0.1)
    with pytest.raises(RowError, match="can't be called 'canary'"):
        scored.compare()


def test_a_reader_that_params_no_longer_name_is_left_aside(scored, capsys):
    scored.add("tesseract", 0.2)
    scored.readers.remove("tesseract")
    scored.compare()
    assert "left aside: tesseract, scored once" in capsys.readouterr().out
    assert "tesseract" not in scored.report + scored.page and "tesseract" not in scored.figures
    with pytest.raises(RowError, match=r"compare names tesseract, which evaluate\.readers lacks; it has: base, tuned"):
        scored.compare(readers=["tesseract"])


@pytest.mark.parametrize(("rule", "value"), [("unit", "grapheme"), ("split", "val"), ("top_k", 5), ("structure", True)])
def test_other_rules_are_refused(scored, rule, value):
    path = scored.folder / "metrics/evaluate/tuned.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {rule: value}))
    with pytest.raises(RowError, match=f"base is scored with {rule} .*, tuned with {value}; rerun evaluate for both"):
        scored.compare()


def test_params_refuse_a_reader_against_itself():
    with pytest.raises(ValueError, match="must differ"):
        CompareParams.model_validate(PARAMS | {"candidate": "base"})
