"""Edits, counted by hand and by property."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings, strategies

from ocrtune.scoring import edits as edits_module
from ocrtune.scoring.edits import (
    Edits,
    align,
    count_confusions,
    count_edits,
    count_matches,
    count_numbered_edits,
    list_pieces,
    number_units,
)

ANY_TEXT = strategies.text(strategies.characters(codec=None), max_size=40)
NEAR_TEXT = strategies.text("ab ſs", max_size=30)  # few letters, so that most pairs overlap


@pytest.mark.parametrize(("reference", "prediction", "edits"), [
    ("", "", Edits(0, 0, 0, 0)),
    ("", "abc", Edits(0, 3, 0, 0)),
    ("abc", "", Edits(0, 0, 3, 3)),
    ("kitten", "sitting", Edits(2, 1, 0, 6)),
    ("Haus", "Maus", Edits(1, 0, 0, 4)),
    ("Waſſer", "Waffer", Edits(2, 0, 0, 6)),
    ("Abstand", "Sand", Edits(1, 0, 3, 7)),
    ("a b", "ab", Edits(0, 0, 1, 3)),
    ("台北市", "臺北市", Edits(1, 0, 0, 3)),
    ("a\0b", "a\ud800b", Edits(1, 0, 0, 3)),
    ("x" * 50, "y" * 100_000, Edits(50, 99_950, 0, 50)),
])
def test_counted_by_hand(reference, prediction, edits):
    assert count_edits(reference, prediction) == edits


@given(ANY_TEXT | NEAR_TEXT, ANY_TEXT | NEAR_TEXT)
@settings(deadline=None)
def test_counts_add_up(reference, prediction):
    edits = count_edits(reference, prediction)
    matches = sum(len(piece.reference) for piece in list_pieces(reference, prediction) if piece.is_equal)
    assert edits.substitutions + edits.deletions + matches == len(reference) == edits.reference_chars
    assert edits.substitutions + edits.insertions + matches == len(prediction)


@given(ANY_TEXT | NEAR_TEXT, ANY_TEXT | NEAR_TEXT)
@settings(deadline=None)
def test_distance_is_symmetric_and_bounded(one, two):
    there, back = count_edits(one, two), count_edits(two, one)
    assert there.total == back.total
    assert there.insertions - there.deletions == back.deletions - back.insertions == len(two) - len(one)
    assert abs(len(one) - len(two)) <= there.total <= max(len(one), len(two))
    assert (there.total == 0) == (one == two)


@given(ANY_TEXT | NEAR_TEXT, ANY_TEXT | NEAR_TEXT)
@settings(deadline=None)
def test_pieces_spell_both_texts_and_alternate(reference, prediction):
    pieces = list_pieces(reference, prediction)
    assert "".join(piece.reference for piece in pieces) == reference
    assert "".join(piece.prediction for piece in pieces) == prediction
    assert all((piece.reference == piece.prediction) == piece.is_equal for piece in pieces)
    assert all(one.is_equal != two.is_equal for one, two in itertools.pairwise(pieces))


@given(ANY_TEXT | NEAR_TEXT, ANY_TEXT | NEAR_TEXT)
@settings(deadline=None)
def test_overlap_is_symmetric_and_bounded(one, two):
    matches = count_matches(one, two)
    assert matches == count_matches(two, one) <= min(len(one), len(two))
    assert matches >= max(len(one), len(two)) - count_edits(one, two).total  # order can only lose matches


@given(ANY_TEXT | NEAR_TEXT, ANY_TEXT | NEAR_TEXT)
@settings(deadline=None)
def test_counts_are_those_of_the_blocks_shown_and_of_a_plain_count(one, two):
    blocks = align(one, two)
    assert count_edits(one, two) == (
        sum(block.end - block.start for block in blocks if block.tag == "replace"),
        sum(block.prediction_end - block.prediction_start for block in blocks if block.tag == "insert"),
        sum(block.end - block.start for block in blocks if block.tag == "delete"), len(one))
    overlap = (Counter(one) & Counter(two)).total()
    assert count_matches(one, two) == count_matches(list(one), list(two)) == count_matches(*number_units(one, two)) == overlap


def test_word_edits_counted_by_hand():
    words = number_units("this is a test of skill".split(), "this was a messy test".split())
    assert count_numbered_edits(*words) == 4  # is>was, +messy, -of, -skill
    assert count_numbered_edits(*number_units([], ["new"])) == 1
    assert count_numbered_edits(*number_units(["a", "b"], ["a", "b"])) == 0


def test_confusions_keep_short_uneven_runs_and_split_the_rest():
    assert count_confusions("modern barn", "modem bam") == {("rn", "m"): 2}
    assert count_confusions("ſſ", "ff") == {("ſ", "f"): 2}
    assert count_confusions("a b", "ab") == {(" ", ""): 1}
    assert count_confusions("same", "same") == {}
    assert count_confusions(["कि", "a"], ["की", "a", "b"]) == {("कि", "की"): 1, ("", "b"): 1}
    garbled = count_confusions("x", "yyyyyy")
    assert garbled.total() == 6 and garbled["", "y"] == 5


@given(NEAR_TEXT, NEAR_TEXT)
@settings(deadline=None)
def test_confusions_cover_all_edits(reference, prediction):
    found = count_confusions(reference, prediction)
    edits = count_edits(reference, prediction)
    assert sum(max(len(one), len(two)) * times for (one, two), times in found.items()) == edits.total


@given(NEAR_TEXT, NEAR_TEXT)
@settings(deadline=None)
def test_too_long_texts_give_an_upper_bound_and_still_add_up(reference, prediction):
    exact = count_edits(reference, prediction)
    most, edits_module.MOST_CELLS = edits_module.MOST_CELLS, 16
    try:
        bound = count_edits(reference, prediction)
        pieces = list_pieces(reference, prediction)
    finally:
        edits_module.MOST_CELLS = most
    assert exact.total <= bound.total <= len(reference) + len(prediction)
    assert bound.insertions - bound.deletions == len(prediction) - len(reference)
    assert "".join(piece.reference for piece in pieces) == reference and "".join(piece.prediction for piece in pieces) == prediction


def test_ten_million_characters_for_a_page_of_three_thousand():
    page = "the quick brown fox " * 150
    edits = count_edits(page, "e" * 10_000_000)
    assert edits.total >= 10_000_000 - page.count("e") and edits.deletions == 0
    assert count_edits("e" * 10_000_000, "e" * 9_999_999) == (0, 0, 1, 10_000_000)


@pytest.mark.parametrize(("reference", "prediction", "edits"), [
    (["s", "c\u0303"], ["s", "c"], Edits(1, 0, 0, 2)), ([], ["a"], Edits(0, 1, 0, 0)), (["a"], [], Edits(0, 0, 1, 1))])
def test_clusters_are_compared_whole(reference, prediction, edits):
    assert count_edits(reference, prediction) == edits
