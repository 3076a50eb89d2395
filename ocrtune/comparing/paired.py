"""Paired statistics of readers that read the same pages, with the document as the unit.

Pages of one scan share font and noise: drawn page by page they would pass for independent and make
every interval too narrow. All functions take one number a document: counts summed over its pages.
Sources: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 16
(percentile interval of a pooled ratio); R. A. Fisher's sign-flip test, "The Design of Experiments", 1935;
S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979; H. S. Bloom, "Minimum
Detectable Effects", 1995.
"""

import statistics
from collections.abc import Sequence
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
    """Return edits / lengths; where the length is 0: 0 without edits, else 1 (as `ocrtune.scoring.rates.error_rate`)."""
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
    counts = np.column_stack([edits, lengths]).astype(np.float64)  # sums below 2 ** 53 are exact, and BLAS adds up
    for start in range(0, draws, CHUNK):
        size, num = min(CHUNK, draws - start), len(lengths)
        chosen = generator.integers(0, num, size=(size, num))
        times = np.bincount((chosen + np.arange(size)[:, None] * num).ravel(), minlength=size * num).reshape(size, num)
        drawn = times.astype(np.float64) @ counts
        rates[start:start + size] = pooled_rates(drawn[:, :-1], drawn[:, -1:])
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
    weights, width = change.astype(np.float64), -(-len(change) // 8)
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        bits = np.frombuffer(generator.bytes(size * width), dtype=np.uint8).reshape(size, width)
        swaps = np.unpackbits(bits, axis=1, count=len(change)).astype(np.float64)
        extreme += int((np.abs(weights.sum() - 2 * (swaps @ weights)) >= seen).sum())
    return extreme / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being several, in their order: the chance that any of them is false stays below the level.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return adjusted


def smallest_effect(differences: np.ndarray, confidence: float, power: float = 0.8) -> float | None:
    """Return the smallest true difference that such a test would find with that power, as a share.

    Bloom's multiple of the standard error, which here is that of the bootstrap's differences: 2.8 of
    them at 95 % confidence and 80 % power. Differences that are all the same, as of a reader and itself,
    say nothing of the error of others: None.
    """
    if np.ptp(differences) == 0:
        return None
    normal = statistics.NormalDist()
    return float((normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(power)) * np.std(differences, ddof=1))
