"""Paired statistics of readers that read the same pages, with the document as the unit.

Pages of one scan share font and noise: drawn page by page they would pass for independent and make
every interval too narrow. All functions take one number a document: counts summed over its pages.
Sources: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 16
(percentile interval of a pooled ratio); R. A. Fisher's sign-flip test, "The Design of Experiments", 1935.
"""

from typing import NamedTuple

import numpy as np

# Draws at a time: bounds memory at a few tens of MB with thousands of documents.
CHUNK = 512


class Outcomes(NamedTuple):
    """On how many documents (or pages) the candidate made fewer edits, as many, or more."""

    wins: int
    ties: int
    losses: int


def count_outcomes(before, after) -> Outcomes:
    """Count wins, ties and losses of `after` over `before`, edits by document or page in one order."""
    change = np.asarray(after, dtype=np.int64) - np.asarray(before, dtype=np.int64)
    return Outcomes(int((change < 0).sum()), int((change == 0).sum()), int((change > 0).sum()))


def pooled_rates(edits: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return edits / lengths; where the length is 0: 0 without edits, else 1 (as `ocrtune.scores.error_rate`)."""
    return np.where(lengths > 0, edits / np.maximum(lengths, 1), np.minimum(edits, 1))


def draw_rates(edits, lengths, draws: int, seed: int) -> np.ndarray:
    """Return pooled error rates of bootstrap samples, shape (draws, readers).

    `edits` has the shape (documents, readers), `lengths` (documents,). Each draw takes as many
    documents as there are, with replacement, the same ones for every reader (that is the pairing),
    adds up their counts and divides once.
    """
    edits, lengths = np.asarray(edits, dtype=np.int64), np.asarray(lengths, dtype=np.int64)
    generator = np.random.default_rng(seed)
    rates = np.empty((draws, edits.shape[1]))
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        chosen = generator.integers(0, len(lengths), size=(size, len(lengths)))
        drawn_lengths = lengths[chosen].sum(axis=1)
        for reader in range(edits.shape[1]):
            rates[start:start + size, reader] = pooled_rates(edits[:, reader][chosen].sum(axis=1), drawn_lengths)
    return rates


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the bounds that leave (1 - confidence) / 2 of the draws out at either end."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def sign_flip_p(before, after, draws: int, seed: int) -> float:
    """Return the two-sided p-value of the difference in pooled edits between two readers.

    If the readers were alike, each document's two counts could have been the other way round: the
    share of such swaps whose difference is at least as large as the one seen is p. All 2 ** n swaps
    are tried where that takes no more than `draws`; else `draws` random ones, and the one seen counts
    among them, so that p is never 0. Two documents can't give less than 0.5.
    """
    change = np.asarray(after, dtype=np.int64) - np.asarray(before, dtype=np.int64)
    change = change[change != 0]
    seen = abs(int(change.sum()))
    if len(change) < 62 and 2 ** len(change) <= draws:
        swaps = np.arange(2 ** len(change), dtype=np.int64)[:, None] >> np.arange(len(change)) & 1
        return float((np.abs((1 - 2 * swaps) @ change) >= seen).mean())
    generator = np.random.default_rng(seed)
    extreme = 1
    for start in range(0, draws, CHUNK):
        swaps = generator.integers(0, 2, size=(min(CHUNK, draws - start), len(change)), dtype=np.int64)
        extreme += int((np.abs((1 - 2 * swaps) @ change) >= seen).sum())
    return extreme / (draws + 1)
