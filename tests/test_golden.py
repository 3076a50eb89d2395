"""Scores agree with jiwer, dinglehopper, ocreval and PubTabNet's TEDS on their own cases; where they don't, the case is named.

Each difference here is a row of the table in docs/metrics.md.
"""

import json
from pathlib import Path

import pytest

from ocrtune.scoring.scores import score_page, score_texts
from ocrtune.scoring.summaries import summarize
from ocrtune.scoring.tables import parse_html
from ocrtune.scoring.teds import compare_tables
from ocrtune.texts.words import find_words

GOLDEN = Path(__file__).parent / "golden"
DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"


def cases(name: str) -> list[dict]:
    """Return the cases of a file."""
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))["cases"]


def texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


JIWER = [case for case in cases("jiwer") if case["func"].startswith("process_") and "raises" not in case]
JIWER_CER = [case for case in cases("jiwer") if case["func"] in ("cer", "process_characters") and "raises" not in case]


@pytest.mark.parametrize("case", JIWER, ids=lambda case: str(case["reference"])[:30])
def test_jiwer_counts(case):
    rows = [score_texts(*pair) for pair in zip(texts(case["reference"]), texts(case["hypothesis"]), strict=True)]
    expected = case["result"]
    if case["func"] == "process_characters":
        assert [sum(row[kind] for row in rows) for kind in ("substitutions", "insertions", "deletions")] == [
            expected[kind] for kind in ("substitutions", "insertions", "deletions")]
    else:
        assert sum(row["word_edits"] for row in rows) == sum(expected[kind] for kind in ("substitutions", "insertions", "deletions"))


@pytest.mark.parametrize("case", JIWER_CER, ids=lambda case: str(case["reference"])[:30])
def test_jiwer_cer(case):
    rows = [{"page_id": "p", "doc_id": "d", "origin": "gold", "finish_reason": "stop", **score_texts(*pair)}
            for pair in zip(texts(case["reference"]), texts(case["hypothesis"]), strict=True)]
    expected = case["result"] if isinstance(case["result"], int | float) else case["result"]["cer"]
    if not any(row["reference_chars"] for row in rows) and expected:  # empty reference: 1, not the number of insertions
        assert expected == rows[0]["insertions"] and summarize(rows)["cer"] == 1
    else:
        assert summarize(rows)["cer"] == pytest.approx(expected, abs=1e-6)


def test_jiwer_glues_words_across_a_line_break_and_we_do_not():
    assert find_words("one\ntwo, three") == ["one", "two", "three"]  # jiwer: one\ntwo, is a word
    assert score_page("one\ntwo", "one two", "nfc_ws")["word_edits"] == 0


@pytest.mark.parametrize("case", cases("dinglehopper"), ids=lambda case: case["gt"][:30])
def test_dinglehopper(case):
    row = score_page(case["gt"], case["ocr"], "nfc_ws", unit="grapheme")
    if not case["gt"] and case["ocr"]:  # dinglehopper: infinite
        assert case["cer"] in (float("inf"), "inf", None) and row["cer"] == 1
        return
    assert row["reference_chars"] == case["gt_len_graphemes"]
    assert (row["cer"], row["wer"]) == (pytest.approx(float(case["cer"])), pytest.approx(float(case["wer"])))
    assert "gt_words" not in case or find_words(case["gt"]) == case["gt_words"]


@pytest.mark.parametrize("case", cases("ocreval"), ids=lambda case: case.get("id", case["gt"][:30]))
def test_ocreval(case):
    row = score_page(case["gt"], case["ocr"], "nfc_ws")
    assert row["substitutions"] + row["insertions"] + row["deletions"] == case["errors"]
    assert row["reference_chars"] == case["chars"] - case["gt"].endswith("\n")  # a line break at the end is no character
    assert row["reference_words"] == case["words"]
    differs = case.get("id", "").startswith("lorem-ipsum/lorem-ipsum-scan-bad")
    assert row["reference_words"] - row["word_matches"] == case["misrecognized"] + 2 * differs


@pytest.mark.parametrize("case", cases("lines"), ids=lambda case: case["gt"][:20])
def test_real_lines(case):
    row = score_page(case["gt"], case["pred"], "nfc_ws")
    assert row["substitutions"] + row["insertions"] + row["deletions"] == case["distance"]
    clusters = score_page(case["gt"], case["pred"], "nfc_ws", unit="grapheme")
    assert row["cer"] == pytest.approx(case["cer_jiwer"]) and clusters["cer"] == pytest.approx(case["cer_dinglehopper"])
    assert row["wer"] == pytest.approx(case["wer_dinglehopper"])


def test_real_lines_pooled():
    found = cases("lines")
    page = {"page_id": "p", "doc_id": "d", "origin": "gold", "finish_reason": "stop"}
    rows = [page | score_page(case["gt"], case["pred"], "nfc_ws") for case in found]
    figures = summarize(rows)
    assert figures["cer"] == pytest.approx(sum(case["distance"] for case in found) / sum(len(case["gt"]) for case in found), abs=1e-6)
    assert figures["mean_cer"] == pytest.approx(sum(case["cer_jiwer"] for case in found) / len(found), abs=1e-6)


@pytest.mark.parametrize("case", cases("teds"), ids=lambda case: case["id"])
def test_teds(case):
    tables = parse_html(case["gt_html"]), parse_html(case["pred_html"])
    assert compare_tables(*tables) == pytest.approx(case["teds"])
    assert compare_tables(*tables, is_structure=True) == pytest.approx(case["teds_struct"])


def test_each_source_is_named_with_its_licence():
    for path in GOLDEN.glob("*.json"):
        head = json.loads(path.read_text(encoding="utf-8"))
        assert head["origin"] and "Apache-2.0" in head["licence"]
        assert f"tests/golden/{path.name}" in DOCS.read_text(encoding="utf-8")
