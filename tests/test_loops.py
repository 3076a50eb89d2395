"""Loops are found anywhere; ordinary text holds none."""

import random

import pytest
from hypothesis import given, settings, strategies

from ocrtune.scoring.loops import MIN_CHARS, MIN_COPIES, Loop, falls_into_loop, find_loop, needed_chars


def make_paragraph(chars: int) -> str:
    """Return as many letters without any order."""
    return "".join(random.Random(chars).choices("abcdefghij klmnopq", k=chars))


@pytest.mark.parametrize("text", [
    "e" * 24,
    "Dear Sir, " + "I remain " * 5,
    "I remain " * 5 + "yours truly",
    "A\n" + "<td></td>" * 40 + "\nB",
    "x" + "a paragraph of a good sixty characters that comes back again. " * 5 + "y",
    "before " + make_paragraph(600) * 100 + " after",
    make_paragraph(5000) * 5,
    make_paragraph(9000) + make_paragraph(2345) * 5 + make_paragraph(777),
    "\ud800" * 30,
])
def test_found(text):
    assert find_loop(text) is not None


@pytest.mark.parametrize("text", [
    "", "a", "e" * 23, "ha ha ha ha ha", "1,000,000,000", "I remain " * 4,
    "The quick brown fox jumps over the lazy dog. " * 4,
    make_paragraph(5000) * 4,
    "Peter Piper picked a peck of pickled peppers; a peck of pickled peppers Peter Piper picked.",
])
def test_not_found(text):
    assert find_loop(text) is None


@given(strategies.text("ab", max_size=20), strategies.text("xyz", min_size=1, max_size=9), strategies.text("cd", max_size=20))
@settings(deadline=None)
def test_whatever_is_repeated_is_found(before, unit, after):
    copies = max(MIN_COPIES, -(-MIN_CHARS // len(unit)))
    loop = find_loop(before + unit * copies + after)
    assert loop is not None
    text = before + unit * copies + after
    assert text[loop.start:].startswith(loop.unit * MIN_COPIES)


def find_slowly(text: str) -> Loop | None:
    """Return what `find_loop` does, by trying every unit at every place."""
    for period in range(1, len(text) // MIN_COPIES + 1):
        run = 0
        for place in range(len(text) - period):
            run = run + 1 if text[place] == text[place + period] else 0
            if run == needed_chars(period) - period:
                start = place - run + 1
                return Loop(start, text[start:start + period])
    return None


@given(strategies.text("ab", max_size=40), strategies.text("abc", min_size=1, max_size=70), strategies.floats(3, 7),
       strategies.text("ab", max_size=40))
@settings(deadline=None)
def test_the_shortest_unit_is_found_where_it_begins(before, unit, copies, after):
    text = before + (unit * 7)[:int(copies * len(unit))] + after
    assert find_loop(text) == find_slowly(text)


CONTENTS = "Chapter 1 " + "." * 40 + " 7"


@pytest.mark.parametrize("reference", [CONTENTS, "Chapter 1 " + ". " * 40 + " 7", "Name " + "_" * 50])
def test_copying_a_row_of_dots_is_no_loop(reference):
    assert not falls_into_loop(reference, CONTENTS)
    assert falls_into_loop("Chapter 1", CONTENTS)


@pytest.mark.parametrize(("reference", "prediction"), [
    (CONTENTS, "and so it goes " * 500), (CONTENTS, CONTENTS + make_paragraph(600) * 9), ("| 0 " * 9, "| 1 " * 9)])
def test_a_row_of_dots_in_the_reference_excuses_nothing_else(reference, prediction):
    assert falls_into_loop(reference, prediction)


@pytest.mark.parametrize(("reference", "prediction"), [("| 0 | 1 " * 9, "1 0 " * 9), ("0 | " * 9, "0  |  0 | " * 9)])
def test_a_table_with_other_bars_is_no_loop(reference, prediction):
    assert not falls_into_loop(reference, prediction)


def test_long_text_of_one_character():
    assert find_loop("a" * 2_000_000).unit == "a"
    assert falls_into_loop("a", "a" * 2_000_000)
