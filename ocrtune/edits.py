"""Count and list the edits that turn a reference into a prediction.

Edits are Levenshtein's (substitution, insertion, deletion, one each), on Unicode code points as
they stand: normalize first (`ocrtune.normalizers`). Sources: V. I. Levenshtein, "Binary codes
capable of correcting deletions, insertions, and reversals", 1966; words by Unicode Standard Annex 29.
"""

from collections import Counter
from typing import NamedTuple

import regex
from rapidfuzz.distance import Levenshtein

# The default word boundaries of UAX 29: regex's \b under its WORD flag.
WORD_BOUNDARY = regex.compile(r"(?w)\b")
WORD_CONTENT = regex.compile(r"[\p{L}\p{N}]")

# A run of adjacent edits up to this long on both sides is one confusion: "rn" read as "m".
MERGED_CHARS = 3


class Edits(NamedTuple):
    """How many edits lead from a reference to a prediction, and how long the reference is (code points)."""

    substitutions: int
    insertions: int
    deletions: int
    reference_chars: int

    @property
    def total(self) -> int:
        """The Levenshtein distance."""
        return self.substitutions + self.insertions + self.deletions


class Piece(NamedTuple):
    """A stretch of the alignment: `equal`, or `reference` was read as `prediction` (either may be empty)."""

    is_equal: bool
    reference: str
    prediction: str


def count_edits(reference: str, prediction: str) -> Edits:
    """Count the character edits between two texts that are normalized already.

    Substitutions, deletions and untouched characters add up to `reference_chars`. The total is
    unique; where several cheapest alignments split it differently, rapidfuzz's is taken.

    >>> count_edits("Abstand", "Sand")
    Edits(substitutions=1, insertions=0, deletions=3, reference_chars=7)
    """
    sizes = {"replace": 0, "insert": 0, "delete": 0}
    for block in Levenshtein.opcodes(reference, prediction):
        if block.tag != "equal":
            sizes[block.tag] += max(block.src_end - block.src_start, block.dest_end - block.dest_start)
    return Edits(sizes["replace"], sizes["insert"], sizes["delete"], len(reference))


def find_words(text: str) -> list[str]:
    """Return the words of a text: segments of UAX 29 that hold a letter or a number, in order.

    Punctuation is no word and clings to none; scripts written without spaces give one word a
    character, as the annex does without a dictionary.

    >>> find_words("Don't pay 3,50 for 台北!")
    ["Don't", 'pay', '3,50', 'for', '台', '北']
    """
    return [segment for segment in WORD_BOUNDARY.split(text) if WORD_CONTENT.search(segment)]


def count_word_edits(reference_words: list[str], prediction_words: list[str]) -> int:
    """Return the Levenshtein distance between two lists of words, a word being equal or not.

    >>> count_word_edits(["the", "lazy", "dog"], ["lazy", "dogs"])
    2
    """
    # Numbers instead of words: rapidfuzz compares by hash, and Python salts the hashes of strings.
    numbers: dict[str, int] = {}
    reference, prediction = ([numbers.setdefault(word, len(numbers)) for word in words] for words in (reference_words, prediction_words))
    return Levenshtein.distance(reference, prediction)


def count_matches(reference, prediction) -> int:
    """Return the size of the multiset overlap: each element as often as it occurs on both sides, wherever it stands.

    >>> count_matches("letter", "tell")
    3
    """
    return (Counter(reference) & Counter(prediction)).total()


def list_pieces(reference: str, prediction: str) -> list[Piece]:
    """Return the alignment as pieces in order, equal and changed by turns; together they spell both texts.

    >>> list_pieces("barn", "bam")
    [Piece(is_equal=True, reference='ba', prediction='ba'), Piece(is_equal=False, reference='rn', prediction='m')]
    """
    pieces: list[Piece] = []
    for block in Levenshtein.opcodes(reference, prediction):
        piece = Piece(block.tag == "equal", reference[block.src_start:block.src_end], prediction[block.dest_start:block.dest_end])
        if pieces and pieces[-1].is_equal == piece.is_equal:
            last = pieces.pop()
            piece = Piece(piece.is_equal, last.reference + piece.reference, last.prediction + piece.prediction)
        pieces.append(piece)
    return pieces


def count_confusions(reference: str, prediction: str) -> Counter:
    """Count what was read as what: (reference, prediction) -> times, either side may be empty.

    Adjacent edits stay together when both sides have at most `MERGED_CHARS` characters and differ
    in length ("rn" as "m"); every other run counts character by character along the alignment, so
    that a garbled line adds to the single confusions instead of becoming one that nothing else shares.

    >>> dict(count_confusions("barn, ſo", "bam, fo!"))
    {('rn', 'm'): 1, ('ſ', 'f'): 1, ('', '!'): 1}
    """
    found: Counter = Counter()
    for piece in list_pieces(reference, prediction):
        if piece.is_equal:
            continue
        lengths = len(piece.reference), len(piece.prediction)
        if lengths[0] != lengths[1] and max(lengths) <= MERGED_CHARS:
            found[piece.reference, piece.prediction] += 1
            continue
        for block in Levenshtein.editops(piece.reference, piece.prediction):
            found[piece.reference[block.src_pos] if block.tag != "insert" else "",
                  piece.prediction[block.dest_pos] if block.tag != "delete" else ""] += 1
    return found
