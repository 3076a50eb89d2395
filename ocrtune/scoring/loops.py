"""Find the stretch of a text where a model got stuck and wrote the same thing over and over."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Five copies and 24 characters: "ha ha ha", "1000000" and a short row of dots are text, not loops.
MIN_COPIES = 5
MIN_CHARS = 24
MOST_CHARS = 1_000_000  # looked at: who loops, loops there

# Windows of the first pass: the longest of which one that repeats must lie in a loop of `MIN_CHARS` characters.
FIRST_WIDTH = 8
FACTOR = np.uint32(0x9E3779B1)  # odd, so that no bit of a hash is lost


class Loop(NamedTuple):
    """A repetition: `unit` begins at `start` and fills at least `MIN_COPIES` copies, one after the other."""

    start: int
    unit: str


def find_loop(text: str) -> Loop | None:
    """Return the repetition with the shortest unit anywhere in the text, the first of these, or None.

    A repetition is a unit of any length that follows itself at least `MIN_COPIES` times in all and covers at
    least `MIN_CHARS` characters. It need not reach the end: a model may find its way out. A list that counts
    up while it loops ("1. a 2. a") is not found.

    >>> find_loop("Amen. " + "and so " * 9 + "on")
    Loop(start=5, unit=' and so')
    >>> find_loop("to be or not to be")
    """
    return next(iterate_loops(text), None)


def iterate_loops(text: str) -> Iterator[Loop]:
    """Yield all repetitions, those of short units first.

    In a repetition a window at least as long as the unit comes again a unit later, and no sooner. Windows of twice
    the width find units of twice the length, so the time is that of reading the text a dozen times, whatever it says.
    """
    text = text[:MOST_CHARS]
    hashes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32) * FACTOR
    width, least = 1, 1
    while needed_chars(least) <= len(text):
        if width >= FIRST_WIDTH:
            yield from list_loops(text, find_returns(hashes, width), least)
            least = width + 1
        hashes = ((hashes >> 15 ^ hashes) * FACTOR)[:-width] + hashes[width:]  # of windows twice as wide
        width *= 2


def needed_chars(period: int) -> int:
    """Return how long a stretch of that period must be to be a loop."""
    return max(MIN_COPIES * period, MIN_CHARS)


def find_returns(hashes: np.ndarray, width: int) -> list[tuple[int, int]]:
    """Return windows that seem to come again within their own width: (place, how much later at first).

    `hashes` are those of the windows at every place. Every width-th window is looked at, counted from the end: each loop
    of a unit of more than half the width holds one of them.
    """
    first = (len(hashes) - 1) % width
    later = hashes[first + 1:].reshape(-1, width)
    found = np.flatnonzero(later == hashes[first:-1:width, None])
    if not found.size:
        return []
    rows = found // width
    return [(first + int(place) // width * width, int(place) % width + 1) for place in found[np.flatnonzero(np.diff(rows, prepend=-1))]]


def list_loops(text: str, returns: list[tuple[int, int]], least: int) -> list[Loop]:
    """Return the loops of units of at least that length in which the windows of `find_returns` lie, the shortest unit first."""
    found, done = [], 0
    for place, period in returns:
        if place < done or period < least:
            continue
        start, end = find_stretch(text, place, period)
        if end - start >= needed_chars(period):
            found.append(Loop(start, text[start:start + period]))
            done = end - period
    return sorted(found, key=lambda loop: (len(loop.unit), loop.start))


def find_stretch(text: str, place: int, period: int) -> tuple[int, int]:
    """Return from where to where around a place a text equals itself shifted by the period."""
    start, end, size = place, place, period
    while size:  # stretches that double while they are equal, then halve
        size = min(size, len(text) - period - end)
        is_equal = text[end:end + size] == text[end + period:end + period + size]
        end, size = (end + size, 2 * size) if is_equal else (end, size // 2)
    size = period
    while size:
        size = min(size, start)
        is_equal = text[start - size:start] == text[start - size + period:start + period]
        start, size = (start - size, 2 * size) if is_equal else (start, size // 2)
    return start, end + period


def falls_into_loop(reference: str, prediction: str) -> bool:
    """Return whether the prediction repeats what the reference doesn't.

    A table of contents has rows of dots and a form has rows of underscores: a reader that copies them is right, and one
    that writes them otherwise, or fewer bars between a table's noughts, did not get stuck: letters and digits decide.
    """
    loops = [find_letters(loop.unit) for loop in iterate_loops(prediction)]
    known = [find_letters(loop.unit) for loop in iterate_loops(reference)] if loops else []
    return not all(any(len(letters) == len(other) and letters in 2 * other for other in known) for letters in loops)


def find_letters(unit: str) -> str:
    """Return the letters and digits of a unit, once if they repeat themselves.

    >>> find_letters("1 | 2 | 1, 2 "), find_letters(" . ")
    ('12', '')
    """
    letters = "".join(filter(str.isalnum, unit))
    return letters[:(2 * letters).find(letters, 1)] if letters else ""
