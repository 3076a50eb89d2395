"""Count and list the edits that turn a reference into a prediction.

Edits are Levenshtein's (substitution, insertion, deletion, one each), on Unicode code points or
grapheme clusters as they stand: normalize first (`ocrtune.texts.normalizers`). Source: V. I. Levenshtein,
"Binary codes capable of correcting deletions, insertions, and reversals", 1966.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

# A run of adjacent edits up to this long on both sides is one confusion: "rn" read as "m".
MERGED_CHARS = 3

# Characters of one text times characters of the other that are aligned at most: about a second. Beyond are
# predictions of many pages' length for one page, and pairs of books that share nothing.
MOST_CELLS = 1_000_000_000

# Characters and numbers below are counted in a table of that size; others, which are rare, one by one.
MOST_CODES = 0x10000


class Edits(NamedTuple):
    """How many edits lead from a reference to a prediction, and how long the reference is (characters)."""

    substitutions: int
    insertions: int
    deletions: int
    reference_chars: int

    @property
    def total(self) -> int:
        """The Levenshtein distance."""
        return self.substitutions + self.insertions + self.deletions


class Block(NamedTuple):
    """A stretch of an alignment: `equal`, `replace`, `insert` or `delete`; from and to positions in both texts."""

    tag: str
    start: int
    end: int
    prediction_start: int
    prediction_end: int


class Piece(NamedTuple):
    """A stretch of the alignment, texts or lists: `equal`, or `reference` was read as `prediction` (either may be empty)."""

    is_equal: bool
    reference: Sequence[str]
    prediction: Sequence[str]


def number_units(reference: Sequence, prediction: Sequence) -> tuple[list[int], list[int]]:
    """Return numbers instead of words or clusters: rapidfuzz compares by hash, and Python salts the hashes of strings."""
    numbers: dict = {}
    return tuple([numbers.setdefault(unit, len(numbers)) for unit in units] for units in (reference, prediction))


def align(reference: Sequence, prediction: Sequence) -> list[Block]:
    """Return a cheapest alignment of two texts or lists, block by block; where there are several, rapidfuzz's.

    Two texts that are too long for it (`MOST_CELLS`) and too unlike are aligned as far as that reaches,
    and what is left of them counts as replaced, inserted or deleted: an upper bound of the distance.
    """
    if not isinstance(reference, str):
        reference, prediction = number_units(reference, prediction)
    lengths = len(reference), len(prediction)
    if lengths[0] * lengths[1] > MOST_CELLS:
        near = MOST_CELLS // max(lengths)
        if Levenshtein.distance(reference, prediction, score_cutoff=near) > near:
            return align_heads(reference, prediction)
    return [Block(*block) for block in Levenshtein.opcodes(reference, prediction, score_hint=hint_edits(*lengths)).as_list()]


def hint_edits(reference: int, prediction: int) -> int:
    """Return how many edits to expect of such lengths: most predictions are nearly right; told so, rapidfuzz is three times as fast."""
    return max(reference, prediction) // 10


def align_heads(reference: Sequence, prediction: Sequence) -> list[Block]:
    """Return the alignment of the beginnings of two texts, and one block each for what is left of them."""
    shorter = min(len(reference), len(prediction), math.isqrt(MOST_CELLS))
    ends = min(len(reference), MOST_CELLS // shorter), min(len(prediction), MOST_CELLS // shorter)
    if ends[0] > shorter < ends[1]:
        ends = shorter, shorter
    blocks = align(reference[:ends[0]], prediction[:ends[1]])
    paired = min(len(reference) - ends[0], len(prediction) - ends[1])
    starts = ends[0] + paired, ends[1] + paired
    tails = [Block("replace", ends[0], starts[0], ends[1], starts[1]),
             Block("delete", starts[0], len(reference), starts[1], starts[1]),
             Block("insert", len(reference), len(reference), starts[1], len(prediction))]
    return blocks + [block for block in tails if block.start < block.end or block.prediction_start < block.prediction_end]


def count_edits(reference: Sequence, prediction: Sequence) -> Edits:
    """Count the edits between two texts that are normalized already, or between their lists of grapheme clusters.

    Substitutions, deletions and untouched characters add up to `reference_chars`. The total is
    unique; where several cheapest alignments split it differently, that of `align` is taken.

    >>> count_edits("Abstand", "Sand")
    Edits(substitutions=1, insertions=0, deletions=3, reference_chars=7)
    """
    if not isinstance(reference, str):
        reference, prediction = number_units(reference, prediction)
    lengths = len(reference), len(prediction)
    if lengths[0] * lengths[1] <= MOST_CELLS:  # the same alignment as `align`, without its blocks
        found = [edit[0] for edit in Levenshtein.editops(reference, prediction, score_hint=hint_edits(*lengths)).as_list()]
        return Edits(found.count("replace"), found.count("insert"), found.count("delete"), lengths[0])
    substitutions = insertions = deletions = 0
    for tag, start, end, prediction_start, prediction_end in align(reference, prediction):
        if tag == "replace":
            substitutions += end - start
        elif tag == "insert":
            insertions += prediction_end - prediction_start
        elif tag == "delete":
            deletions += end - start
    return Edits(substitutions, insertions, deletions, len(reference))


def count_numbered_edits(reference: list[int], prediction: list[int]) -> int:
    """Return the Levenshtein distance between two lists of words, as the numbers of `number_units`; a word is equal or not.

    >>> count_numbered_edits(*number_units(["the", "lazy", "dog"], ["lazy", "dogs"]))
    2
    """
    if len(reference) * len(prediction) > MOST_CELLS:
        return count_edits(reference, prediction).total
    return Levenshtein.distance(reference, prediction, score_hint=hint_edits(len(reference), len(prediction)))


def count_matches(reference: str | list, prediction: str | list) -> int:
    """Return the size of the multiset overlap: each element as often as it occurs on both sides, wherever it stands.

    Elements are characters, clusters or words, or their numbers (`number_units`).

    >>> count_matches("letter", "tell"), count_matches([0, 1, 1], [1, 1, 2])
    (3, 2)
    """
    if isinstance(reference, str):
        codes = [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32) for text in (reference, prediction)]
    elif not all(isinstance(units[0], int) for units in (reference, prediction) if units):
        return (Counter(reference) & Counter(prediction)).total()
    else:
        codes = [np.array(numbers, dtype=np.int64) for numbers in (reference, prediction)]
    size = 1 + int(max(part.max(initial=0) for part in codes))
    if size > MOST_CODES:
        return (Counter(reference) & Counter(prediction)).total()
    return int(np.minimum(*(np.bincount(part, minlength=size) for part in codes)).sum())


def list_pieces(reference: Sequence[str], prediction: Sequence[str]) -> list[Piece]:
    """Return the alignment of texts or lists of clusters as pieces in order, equal and changed by turns; together they spell both.

    >>> list_pieces("barn", "bam")
    [Piece(is_equal=True, reference='ba', prediction='ba'), Piece(is_equal=False, reference='rn', prediction='m')]
    """
    pieces: list[Piece] = []
    for block in align(reference, prediction):
        piece = Piece(block.tag == "equal", reference[block.start:block.end], prediction[block.prediction_start:block.prediction_end])
        if pieces and pieces[-1].is_equal == piece.is_equal:
            last = pieces.pop()
            piece = Piece(piece.is_equal, last.reference + piece.reference, last.prediction + piece.prediction)
        pieces.append(piece)
    return pieces


def count_confusions(reference: Sequence[str], prediction: Sequence[str]) -> Counter:
    """Count what was read as what in texts or lists of clusters: (reference, prediction) -> times, either side may be empty.

    Adjacent edits stay together when both sides have at most `MERGED_CHARS` characters and differ
    in length ("rn" as "m"); every other run counts character by character along the alignment, so
    that a garbled line adds to the single confusions instead of becoming one that nothing else shares.

    >>> dict(count_confusions("barn, ſo", "bam, fo!"))
    {('rn', 'm'): 1, ('ſ', 'f'): 1, ('', '!'): 1}
    """
    found: Counter = Counter()
    for is_equal, before, after in list_pieces(reference, prediction):
        if is_equal:
            continue
        if len(before) != len(after) and max(len(before), len(after)) <= MERGED_CHARS:
            found["".join(before), "".join(after)] += 1
            continue
        for tag, start, end, prediction_start, prediction_end in align(before, after):
            if tag == "replace":
                found.update(zip(before[start:end], after[prediction_start:prediction_end], strict=True))
            elif tag != "equal":
                found.update((char, "") for char in before[start:end])
                found.update(("", char) for char in after[prediction_start:prediction_end])
    return found
