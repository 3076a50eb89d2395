"""Describe the splits: how much text, which characters and scripts, from where, and how far apart they are."""

import math
import statistics
import unicodedata
from collections import Counter

from ocrtune.scoring.slices import find_source
from ocrtune.texts.words import find_words

MOST_UNSEEN = 30


def name_script(char: str) -> str:
    """Return a letter's script by the first word of its Unicode name (LATIN, CJK, ARABIC); others are `other`."""
    return unicodedata.name(char, "other").split()[0].lower() if unicodedata.category(char)[0] == "L" else "other"


def describe_lengths(lengths: list[int]) -> dict:
    """Return quantiles of lengths in characters, between two of them by linear interpolation."""
    if not lengths:
        return {}
    cuts = statistics.quantiles(lengths, n=20, method="inclusive") if len(lengths) > 1 else lengths * 19
    return {"shortest": min(lengths), "5 %": round(cuts[0]), "median": round(cuts[9]), "95 %": round(cuts[18]), "longest": max(lengths)}


def describe_split(rows: list[dict], documents: dict[str, dict]) -> dict:
    """Return what a split holds; `documents`: rows of documents.jsonl by doc_id, for sources and kinds."""
    chars = Counter(char for row in rows for char in row["text"])
    letters = Counter(script for char, count in chars.items() for script in [name_script(char)] * count if script != "other")
    found = [documents.get(doc_id, {}) for doc_id in {row["doc_id"] for row in rows}]
    total = letters.total() or 1
    return {
        "num_pages": len(rows), "num_documents": len(found),
        "num_chars": chars.total(), "num_words": sum(len(find_words(row["text"])) for row in rows), "num_distinct_chars": len(chars),
        "lengths": describe_lengths([len(row["text"]) for row in rows]),
        "scripts": {script: round(count / total, 4) for script, count in letters.most_common()},
        "origins": dict(sorted(Counter(row["origin"] for row in rows).items())),
        "sources": dict(sorted(Counter(find_source(row["url"]) for row in found if "url" in row).items())),
        "media_types": dict(sorted(Counter(row["media_type"] for row in found if "media_type" in row).items())),
    }


def divergence(one: Counter, two: Counter) -> float:
    """Return the Jensen-Shannon divergence of two distributions in bits: 0 alike, 1 nothing in common.

    Source: J. Lin, "Divergence Measures Based on the Shannon Entropy", 1991.
    """
    totals = one.total(), two.total()
    if not all(totals):
        return 0.0 if totals[0] == totals[1] else 1.0
    found = 0.0
    for key in one.keys() | two.keys():
        shares = one[key] / totals[0], two[key] / totals[1]
        found += sum(share / 2 * math.log2(2 * share / sum(shares)) for share in shares if share)
    return max(0.0, found)


def largest_gap(one: list[int], two: list[int]) -> float:
    """Return the largest difference between two cumulative distributions, from 0 to 1.

    Source: N. V. Smirnov, "Table for Estimating the Goodness of Fit of Empirical Distributions", 1948.
    """
    if not one or not two:
        return 0.0 if len(one) == len(two) else 1.0
    counts = Counter(one), Counter(two)
    gap, below = 0.0, [0, 0]
    for value in sorted(counts[0].keys() | counts[1].keys()):
        below = [below[side] + counts[side][value] for side in (0, 1)]
        gap = max(gap, abs(below[0] / len(one) - below[1] / len(two)))
    return gap


def describe_drift(train: list[dict], other: list[dict]) -> dict:
    """Return how far another split lies from train, both with rows: characters, lengths, and characters that train never shows."""
    chars = [Counter(char for row in rows for char in row["text"]) for rows in (train, other)]
    unseen = Counter({char: count for char, count in chars[1].items() if char not in chars[0]})
    lengths = [[len(row["text"]) for row in rows] for rows in (train, other)]
    return {
        "char_divergence": round(divergence(*chars), 4), "length_gap": round(largest_gap(*lengths), 4),
        "unseen_share": round(unseen.total() / (chars[1].total() or 1), 6),
        "unseen": {char: count for char, count in sorted(unseen.items(), key=lambda item: (-item[1], item[0]))[:MOST_UNSEEN]},
    }
