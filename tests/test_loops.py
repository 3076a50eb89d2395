"""Loops are found anywhere; ordinary text holds none."""

import pytest
from hypothesis import given, settings, strategies

from ocrtune.scoring.loops import MIN_CHARS, MIN_COPIES, falls_into_loop, find_loop


@pytest.mark.parametrize("text", [
    "e" * 24,
    "Dear Sir, " + "I remain " * 5,
    "I remain " * 5 + "yours truly",
    "A\n" + "<td></td>" * 40 + "\nB",
    "x" + "a paragraph of a good sixty characters that comes back again. " * 5 + "y",
    "\ud800" * 30,
])
def test_found(text):
    assert find_loop(text) is not None


@pytest.mark.parametrize("text", [
    "", "a", "e" * 23, "ha ha ha ha ha", "1,000,000,000", "I remain " * 4,
    "The quick brown fox jumps over the lazy dog. " * 4,
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


def test_copying_a_row_of_dots_is_no_loop():
    contents = "Chapter 1 " + "." * 40 + " 7"
    assert not falls_into_loop(contents, contents)
    assert falls_into_loop("Chapter 1", contents)


def test_long_text_of_one_character():
    assert find_loop("a" * 2_000_000).unit == "a"
