"""Named, versioned ways to make two texts comparable before their edits are counted.

The same normalizer is applied to the reference and to the prediction, and its label (`nfc_ws@1`)
stands in every metrics file: two scores are comparable only where the labels are equal. Whoever
changes what a normalizer does raises its version.
"""

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from ocrtune.rows import RowError


class Normalizer(NamedTuple):
    """A way to prepare texts; `normalize` must be idempotent and take any string, lone surrogates and NUL too."""

    name: str
    version: int
    normalize: Callable[[str], str]

    @property
    def label(self) -> str:
        """The name and version to write into metrics files."""
        return f"{self.name}@{self.version}"


def keep_text(text: str) -> str:
    """Return the text as it is."""
    return text


def join_whitespace(text: str) -> str:
    """Return the text in Unicode NFC, each run of whitespace as one space, none at the ends.

    Composed and decomposed accents look alike, and so do a line break and a space in a rendered
    page: neither is a reading error. Case, punctuation and everything else still count. Invisible
    characters that are no whitespace (NUL, byte order mark, soft hyphen) count as characters.

    >>> join_whitespace("  Le\\u0301on \\n says")
    'Léon says'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


NORMALIZERS = {normalizer.name: normalizer for normalizer in (Normalizer("raw", 1, keep_text), Normalizer("nfc_ws", 1, join_whitespace))}


def find_normalizer(name: str) -> Normalizer:
    """Return a normalizer by its name (`nfc_ws`) or by its label in a metrics file (`nfc_ws@1`).

    An unknown name, and a version that is not today's, is a `RowError`: the scores under it can't be continued.
    """
    bare = name.partition("@")[0]
    if bare not in NORMALIZERS:
        raise RowError(f"normalizer {name!r}: unknown; choose one of {', '.join(NORMALIZERS)}")
    normalizer = NORMALIZERS[bare]
    if name not in (bare, normalizer.label):
        raise RowError(f"normalizer {name!r}: today's is {normalizer.label}; rerun evaluate to score anew (no model runs)")
    return normalizer
