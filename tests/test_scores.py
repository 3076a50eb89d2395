"""Scores counted by hand, their sums, and the CSV there and back."""

from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies

from ocrtune.rows import RowError
from ocrtune.scoring.scores import STATES, count_page_edits, find_state, score_page
from ocrtune.scoring.scores_csv import SCORE_COLUMNS, read_scores_csv, write_scores_csv
from ocrtune.scoring.summaries import add_up, name_rates, plain_rates, summarize

ANY_TEXT = strategies.text(strategies.characters(codec=None), max_size=40)


def score(page_id: str, reference: str, prediction: str, doc_id: str = "d1", **values) -> dict:
    """Return the row of a page."""
    return {"page_id": page_id, "doc_id": doc_id, "origin": "teacher", **score_page(reference, prediction, "nfc_ws"),
            "finish_reason": "stop"} | values


@pytest.mark.parametrize(("reference", "prediction", "cer", "wer", "char_f1", "word_f1"), [
    # "qu1ck" for "quick" and "ovr" for "over": 2 edits of 43 characters, 2 of 9 words; 41 of 43 and 42 characters overlap
    ("The quick brown fox\njumps over the lazy dog", "The qu1ck brown fox jumps ovr the lazy dog",
     Fraction(2, 43), Fraction(2, 9), Fraction(2 * 41, 43 + 42), Fraction(2 * 7, 9 + 9)),
    # swapped words: 6 character edits, 2 word edits, but nothing is lost from the bags
    ("Dies ist ein Beispielsatz!", "Dies ein ist Beispielsatz!", Fraction(6, 26), Fraction(2, 4), 1, 1),
    ("Xin chào thế giới", "Xin chao the gioi", Fraction(3, 17), Fraction(3, 4), Fraction(2 * 14, 34), Fraction(2, 8)),
    # punctuation is read wrongly: characters count it, words don't
    ("Ende.", "Ende!", Fraction(1, 5), 0, Fraction(8, 10), 1),
    ("Foo", "", 1, 1, 0, 0),
    ("Foo", "Foo bar bar", Fraction(8, 3), 2, Fraction(6, 14), Fraction(2, 4)),
    ("e\u0301  e\u0301", "\u00e9 \u00e9\n", 0, 0, 1, 1),
])
def test_counted_by_hand(reference, prediction, cer, wer, char_f1, word_f1):
    row = score_page(reference, prediction, "nfc_ws")
    assert [row[name] for name in ("cer", "wer", "char_f1", "word_f1")] == pytest.approx([float(x) for x in (cer, wer, char_f1, word_f1)])


@pytest.mark.parametrize(("prediction", "cer", "insertions"), [("", 0, 0), (" \n", 0, 0), ("made up", 1, 7)])
def test_empty_reference_counts_at_most_as_wrong(prediction, cer, insertions):
    row = score_page("", prediction, "nfc_ws")
    assert (row["cer"], row["wer"], row["insertions"]) == (cer, cer, insertions)
    assert row["char_f1"] == row["word_f1"] == 1 - cer


@given(ANY_TEXT, ANY_TEXT)
@settings(max_examples=60, deadline=None)
def test_any_unicode_within_bounds(reference, prediction):
    for normalizer, unit in (("raw", "codepoint"), ("nfc_ws", "grapheme"), ("text", "codepoint"), ("alnum+width", "codepoint")):
        row = score_page(reference, prediction, normalizer, unit)
        assert 0 <= row["ned"] <= 1 and row["ned"] <= row["cer"]
        assert row["cer"] >= 0 and row["wer"] >= 0 and 0 <= row["char_f1"] <= 1 and 0 <= row["word_f1"] <= 1
        assert row["word_matches"] <= min(row["reference_words"], row["prediction_words"])
        assert row["char_matches"] <= min(row["reference_chars"], row["prediction_chars"])


def test_summary_pools_counts_before_dividing():
    rows = [score("p1", "abcd", "abcd"), score("p2", "ab", "xyabzz", "d2"), score("p3", "abcd", "", "d2", finish_reason="error"),
            score("p4", "", "zz", "d3", origin="gold", finish_reason="length")]
    figures = summarize(rows)
    assert figures["edits"] == {"substitutions": 0, "insertions": 6, "deletions": 4}
    assert figures["cer"] == pytest.approx(10 / 10) and figures["insertion_rate"] == 0.6 and figures["deletion_rate"] == 0.4
    assert figures["mean_cer"] == pytest.approx((0 + 2 + 1 + 1) / 4) and figures["clipped_mean_cer"] == pytest.approx(3 / 4)
    assert figures["median_cer"] == 1 and figures["perfect_rate"] == 1 / 4
    assert figures["empty_rate"] == figures["truncated_rate"] == 1 / 4 and figures["loop_rate"] == 0
    assert (figures["num_pages"], figures["num_documents"], figures["reference_chars"]) == (4, 3, 10)
    assert figures["origins"] == {"gold": 1, "teacher": 3}
    assert figures["char_f1"] == pytest.approx(2 * 6 / (10 + 12), abs=1e-6)


def test_summary_counts_loops_and_blank_pages():
    figures = summarize([score("p1", "Amen", "and so " * 20), score("p2", "", "")])
    assert figures["loop_rate"] == 1 / 2
    assert figures["empty_rate"] == 0  # nothing was there to be read
    assert figures["perfect_rate"] == 1 / 2


def test_clusters_count_as_one_character():
    code, cluster = (score_page("Schlym\u0303", "Schlyw\u0303", "nfc_ws", unit) for unit in ("codepoint", "grapheme"))
    assert (code["reference_chars"], code["substitutions"], cluster["reference_chars"], cluster["substitutions"]) == (7, 1, 6, 1)
    assert cluster["char_matches"] == 5 < code["char_matches"] == 6


@pytest.mark.parametrize(("reference", "prediction", "finish_reason", "state", "useless"), [
    ("abc", "abc", "stop", "fine", False), ("abc", "", "error", "failed", True), ("abc", "", "none", "failed", True),
    ("abc", "and so " * 20, "length", "loop", True), ("abcdef", "abc", "length", "truncated", False),
    ("abc", "", "stop", "empty", True), ("", "abc", "stop", "invented", True), ("", "", "stop", "fine", False),
    ("ab", "xyz", "stop", "fine", True),
])
def test_states(reference, prediction, finish_reason, state, useless):
    row = score("p", reference, prediction, finish_reason=finish_reason)
    assert find_state(row) == state and state in STATES
    figures = summarize([row, score("q", "abcd", "abce")])
    assert figures["catastrophe_rate"] == useless / 2
    if useless:
        assert figures["cer_without_catastrophes"] == 0.25


def test_blank_pages_and_insertions():
    figures = summarize([score("p1", "", "made up"), score("p2", "", ""), score("p3", "abcd", "abXdYZ")])
    assert (figures["num_blank"], figures["invention_rate"]) == (2, 0.5)
    assert figures["insertion_share"] == round(9 / 10, 6)  # 7 made up, 2 behind the end, 1 read for another
    assert figures["states"] == {"failed": 0, "loop": 0, "truncated": 0, "empty": 0, "invented": 1, "fine": 2}


def test_normalised_edit_distance_divides_by_the_longer():
    figures = summarize([score("p1", "ab", "abcd"), score("p2", "abcd", "abxx")])
    assert (figures["ned"], figures["mean_ned"]) == (0.5, 0.5) and figures["cer"] == round(4 / 6, 6)


def test_totals_do_not_hang_on_the_order():
    rows = [score(f"p{number}", "abc" * number, "abd" * number) for number in range(1, 9)]
    assert add_up(rows).summarize() == add_up(rows[::-1]).summarize()


@given(strategies.lists(strategies.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_rates_add_up(pairs):
    figures = summarize([score(str(number), *pair) for number, pair in enumerate(pairs)])
    if figures["reference_chars"]:
        assert sum(figures[f"{name}_rate"] for name in ("substitution", "insertion", "deletion")) == pytest.approx(figures["cer"], abs=2e-6)
    assert sum(figures["states"].values()) == figures["num_pages"]


def test_a_score_against_a_teacher_is_no_plain_cer():
    figures = {"cer": 0.1, "wer": 0.2, "mean_cer": 0.3, "char_f1": 0.9, "num_pages": 3}
    named = name_rates(figures, ["gold", "teacher"])
    assert named == {"agreement_cer": 0.1, "agreement_wer": 0.2, "agreement_mean_cer": 0.3, "char_f1": 0.9, "num_pages": 3}
    assert plain_rates(named) == figures == name_rates(figures, ["gold", "text_layer"])
    rates = [name for name in summarize([score("p", "a", "a")]) if "cer" in name or "wer" in name]
    assert all(name.startswith("agreement_") for name in name_rates(dict.fromkeys(rates), ["teacher"]))


def test_all_references_empty():
    assert summarize([score("p1", "", "")])["cer"] == 0
    assert summarize([score("p1", "", "abc")])["cer"] == 1


def test_no_pages_is_an_error():
    with pytest.raises(RowError, match="no pages to score"):
        summarize([])


def test_csv_there_and_back(tmp_path):
    path = tmp_path / "a" / "tuned.csv"
    rows = [score("p2", "Haus, \"Hof\"", "Maus"), score("p1", "x", "x")]
    assert write_scores_csv(path, rows) == 2
    assert path.read_text().splitlines()[0] == ",".join(SCORE_COLUMNS)
    back = read_scores_csv(path)
    assert [row["page_id"] for row in back] == ["p1", "p2"]
    assert rows[0] == pytest.approx(back[1], abs=1e-6)
    one, two = summarize(back), summarize(rows)  # nothing is lost on the way, loops neither
    assert one.keys() == two.keys()
    assert all(one[name] == (pytest.approx(two[name], abs=2e-6) if isinstance(two[name], float) else two[name]) for name in two)
    assert count_page_edits(back[1]) == count_page_edits(rows[0])
    first = path.read_bytes()
    write_scores_csv(path, rows[::-1])
    assert path.read_bytes() == first


@pytest.mark.parametrize(("text", "message"), [
    (b"", "bad.csv:1: not a file of scores"),
    (b"page_id,cer\n", "bad.csv:1: not a file of scores: columns are page_id,cer"),
    (",".join(SCORE_COLUMNS).encode() + b"\np1,d1\n", "bad.csv:2: not a row of scores"),
    (",".join(SCORE_COLUMNS).encode() + b"\n" + b",".join([b"x"] * len(SCORE_COLUMNS)) + b"\n", "bad.csv:2: not a row of scores"),
    (b"\xff\xfe", "not UTF-8"),
])
def test_broken_csv_names_file_and_line(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(text)
    with pytest.raises(RowError, match=message):
        read_scores_csv(path)


def test_slices_and_structure_travel_too(tmp_path):
    path = tmp_path / "x.csv"
    tables = score_page("| a |\n|---|\n| b |", "| a |\n|---|\n| c |", "nfc_ws", has_structure=True)
    row = score("p1", "a", "a") | tables | {"slice_kind": "scan, old"}
    write_scores_csv(path, [row])
    assert read_scores_csv(path) == [pytest.approx(row, abs=1e-6)]
    assert path.read_text().splitlines()[0].endswith("finish_reason,reference_tables,prediction_tables,unscored_tables,teds,"
                                                     "teds_structure,order_blocks,order_edits,slice_kind")


def test_double_page_is_named(tmp_path):
    with pytest.raises(RowError, match="'p1' occurs twice"):
        write_scores_csv(tmp_path / "x.csv", [score("p1", "a", "a"), score("p1", "a", "b")])


def test_missing_file(tmp_path):
    with pytest.raises(RowError, match="no such file"):
        read_scores_csv(tmp_path / "none.csv")
