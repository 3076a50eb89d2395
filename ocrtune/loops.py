"""Find the stretch of a text where a model got stuck and wrote the same thing over and over."""

from typing import NamedTuple

import numpy as np

# Five copies and 24 characters: "ha ha ha", "1000000" and a short row of dots are text, not loops.
MIN_COPIES = 5
MIN_CHARS = 24
MAX_PERIOD = 512


class Loop(NamedTuple):
    """A repetition: `unit` begins at `start` and fills at least `MIN_COPIES` copies, one after the other."""

    start: int
    unit: str


def find_loop(text: str) -> Loop | None:
    """Return the repetition with the shortest unit anywhere in the text, the first of these, or None.

    A repetition is a unit of 1 to `MAX_PERIOD` characters that follows itself at least
    `MIN_COPIES` times in all and covers at least `MIN_CHARS` characters. It need not reach the end:
    a model may find its way out. A list that counts up while it loops ("1. a 2. a") is not found.

    >>> find_loop("Amen. " + "and so " * 9 + "on")
    Loop(start=5, unit=' and so')
    >>> find_loop("to be or not to be")
    """
    # A text repeats with period p where it equals itself shifted by p.
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    for period in range(1, min(MAX_PERIOD, len(text) // MIN_COPIES) + 1):
        needed = max(MIN_COPIES * period, MIN_CHARS) - period
        # A run of `needed` equal places covers each needed-th place: look there first, and at all only after a hit.
        if not (codes[period + needed - 1::needed] == codes[needed - 1:-period:needed]).any():
            continue
        same = codes[period:] == codes[:-period]
        sums = np.concatenate(([0], np.cumsum(same)))
        starts = np.flatnonzero(sums[needed:] - sums[:-needed] == needed)
        if starts.size:
            start = int(starts[0])
            return Loop(start, text[start:start + period])
    return None


def falls_into_loop(reference: str, prediction: str) -> bool:
    """Return whether the prediction repeats itself where the reference doesn't.

    A table of contents has rows of dots and a form has rows of underscores: a reader that copies them is right.
    """
    return find_loop(prediction) is not None and find_loop(reference) is None
