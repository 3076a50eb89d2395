"""Find the stretch of a text where a model got stuck and wrote the same thing over and over."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

# Five copies and 24 characters: "ha ha ha", "1000000" and a short row of dots are text, not loops.
MIN_COPIES = 5
MIN_CHARS = 24
MAX_PERIOD = 512
MOST_CHARS = 1_000_000  # looked at: who loops, loops there

# Periods of texts up to this length are looked at all at once, in steps of PAGE_STEP characters of length.
PAGE_CHARS, PAGE_STEP = 16_384, 1024
PROBES = 4  # of a run of equal places, that must be equal before the run is looked at whole


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
    codes = np.frombuffer(text[:MOST_CHARS].encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    for period in suspect_periods(codes):
        needed = needed_run(period)
        same = codes[period:] == codes[:-period]
        sums = np.concatenate(([0], np.cumsum(same)))
        starts = np.flatnonzero(sums[needed:] - sums[:-needed] == needed)
        if starts.size:
            start = int(starts[0])
            return Loop(start, text[start:start + period])
    return None


def needed_run(period: int) -> int:
    """Return how many equal places in a row make a loop of that period."""
    return max(MIN_COPIES * period, MIN_CHARS) - period


def suspect_periods(codes: np.ndarray) -> list[int]:
    """Return the periods, rising, at which a text may loop: some equidistant places in a row equal those a period on."""
    most = min(MAX_PERIOD, len(codes) // MIN_COPIES)
    if len(codes) <= PAGE_CHARS:
        size = (len(codes) + 2 + PAGE_STEP - 1) // PAGE_STEP * PAGE_STEP
        padded = np.arange(0x110000, 0x110000 + size, dtype=np.uint32)  # codes that no text has, each once
        padded[:len(codes)] = codes
        places, shifted, periods = probe_places(size)
        found = np.unique(periods[find_rows_of(padded[places] == padded[shifted])])
        return [int(period) for period in found if period <= most]
    return [period for period in range(1, most + 1) if find_rows_of(
        codes[period + needed_run(period) // PROBES - 1::needed_run(period) // PROBES]
        == codes[needed_run(period) // PROBES - 1:-period:needed_run(period) // PROBES]).size]


def find_rows_of(equal: np.ndarray) -> np.ndarray:
    """Return where `PROBES` equal places in a row begin."""
    if len(equal) < PROBES:
        return np.empty(0, dtype=np.int64)
    whole = equal[:len(equal) - PROBES + 1].copy()
    for shift in range(1, PROBES):
        whole &= equal[shift:len(equal) - PROBES + 1 + shift]
    return np.flatnonzero(whole)


@lru_cache(maxsize=PAGE_CHARS // PAGE_STEP + 1)
def probe_places(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places to probe in a padded text of that size, those a period on, and the periods, all periods one after another.

    Between two periods stands a pair that is never equal: the last two codes of the padding.
    """
    places, periods = [], []
    for period in range(1, MAX_PERIOD + 1):
        step = needed_run(period) // PROBES
        first = np.arange(step - 1, size - period, step, dtype=np.int32)
        places += [first, np.array([size - 2], dtype=np.int32)]
        periods.append(np.full(len(first) + 1, period, dtype=np.int32))
    joined, all_periods = np.concatenate(places), np.concatenate(periods)
    return joined, np.where(joined == size - 2, size - 1, joined + all_periods), all_periods


def falls_into_loop(reference: str, prediction: str) -> bool:
    """Return whether the prediction repeats itself where the reference doesn't.

    A table of contents has rows of dots and a form has rows of underscores: a reader that copies them is right.
    """
    return find_loop(prediction) is not None and find_loop(reference) is None
