"""Score one page: counts, the rates that follow from them, and how the reading failed if it did.

An empty reference: a rate whose denominator is 0 is 0 where nothing was to be found and nothing
was written, else 1, so that a page can't count more than wrong. Pooled, its insertions count in full.
A page that the reader failed on is an empty prediction: all its characters are deletions.
`ocrtune.scoring.summaries` pools pages; docs/metrics.md lists every figure with its formula and source.
"""

from ocrtune.scoring.edits import MOST_CELLS, count_edits, count_matches, count_numbered_edits, number_units
from ocrtune.scoring.loops import falls_into_loop
from ocrtune.scoring.rates import error_rate, f1
from ocrtune.scoring.structure import count_structure
from ocrtune.texts.normalizers import find_normalizer
from ocrtune.texts.words import find_words, split_chars

# How a reading went, worst first: a page is in the first state that fits.
STATES = ("failed", "loop", "truncated", "empty", "invented", "fine")


def count_page_edits(row: dict) -> int:
    """Return the character edits of a page's row."""
    return row["substitutions"] + row["insertions"] + row["deletions"]


def score_page(reference: str, prediction: str, normalizer: str, unit: str = "codepoint", has_structure: bool = False) -> dict:
    """Return the counts and rates of one page, both texts normalized by the normalizer of that name or label.

    Characters are code points, or grapheme clusters (`unit`). Character F1 and word F1 compare
    multisets: `char_matches` is how many characters, spaces included, occur on both sides, each as
    often as it does on both; order plays no part. Words are the segments of UAX 29 that hold a letter
    or number (`ocrtune.texts.words`); WER counts them alone. `ned`, the normalised edit distance, divides
    by the longer text, as L. Ouyang et al., "OmniDocBench", 2024, do, and stays within 0 and 1. Where
    `has_structure`, tables and the order of blocks are compared too, in the texts as they are
    (`ocrtune.scoring.structure`).

    >>> row = score_page("The quick fox", "The qu1ck  fox", "nfc_ws")
    >>> row["substitutions"], row["reference_chars"], row["word_edits"], row["reference_words"], row["char_matches"]
    (1, 13, 1, 3, 12)
    """
    structure = count_structure(reference, prediction) if has_structure else {}
    normalize = find_normalizer(normalizer).normalize
    return score_texts(normalize(reference), normalize(prediction), unit) | structure


def score_texts(reference: str, prediction: str, unit: str = "codepoint") -> dict:
    """Return the counts and rates of two texts that are normalized already (see `score_page`)."""
    chars = split_chars(reference, unit), split_chars(prediction, unit)
    edits = count_edits(*chars)
    words = number_units(find_words(reference), find_words(prediction))
    word_edits = count_numbered_edits(*words)
    char_matches, word_matches = count_matches(*chars), count_matches(*words)
    return {
        "reference_chars": len(chars[0]),
        "prediction_chars": len(chars[1]),
        "substitutions": edits.substitutions,
        "insertions": edits.insertions,
        "deletions": edits.deletions,
        "cer": error_rate(edits.total, len(chars[0])),
        "ned": error_rate(edits.total, max(map(len, chars))),
        "reference_words": len(words[0]),
        "word_edits": word_edits,
        "wer": error_rate(word_edits, len(words[0])),
        "char_matches": char_matches,
        "word_matches": word_matches,
        "prediction_words": len(words[1]),
        "char_f1": f1(char_matches, len(chars[0]), len(chars[1])),
        "word_f1": f1(word_matches, len(words[0]), len(words[1])),
        "is_loop": int(falls_into_loop(reference, prediction)),
    }


def find_state(row: dict) -> str:
    """Return how the reading of a page went: one of `STATES`.

    `failed`: the reader gave nothing but an error, or had nothing to read from; `loop`: it repeats itself
    (`ocrtune.scoring.loops`); `truncated`: cut off at its token limit; `empty`: a page with text of which nothing was
    read; `invented`: a page without text on which something was read.
    """
    if row["finish_reason"] in ("error", "none"):
        return "failed"
    if row["is_loop"]:
        return "loop"
    if row["finish_reason"] == "length":
        return "truncated"
    if row["reference_chars"] and not row["prediction_chars"]:
        return "empty"
    return "invented" if row["prediction_chars"] and not row["reference_chars"] else "fine"


def is_catastrophe(row: dict) -> bool:
    """Return whether a page's reading is of no use: it loops, or has as many edits as the page has characters (CER >= 1)."""
    return bool(row["is_loop"]) or row["cer"] >= 1


def is_overlong(row: dict) -> bool:
    """Return whether the texts are so long that their edits may be an upper bound (`ocrtune.scoring.edits.align`)."""
    return row["reference_chars"] * row["prediction_chars"] > MOST_CELLS

