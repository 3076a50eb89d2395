"""Rules of single scripts that make forms of one letter equal: options of a normalizer, off by default."""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

# Kaf and yeh as Persian writes them, heh with yeh above as heh, both rows of digits as ASCII; no tatweel, no vowel signs.
ARABIC = str.maketrans({
    "ك": "ک", "ي": "ی", "ى": "ی", "ۀ": "ه", "ـ": None, "\u0670": None, **{chr(code): None for code in range(0x064B, 0x0653)},
    **{chr(0x0660 + digit): str(digit) for digit in range(10)}, **{chr(0x06F0 + digit): str(digit) for digit in range(10)}})
ARABIC_PRESENTATION = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]+")
WIDTH_FORMS = re.compile("[\uff00-\uffef\u3000]+")


class Folding(NamedTuple):
    """A rule and its version, which is raised when the rule changes."""

    name: str
    version: int
    fold: Callable[[str], str]


def fold_arabic(text: str) -> str:
    """Return the text with Arabic and Persian forms of a letter made one, for both ways of typing Persian.

    >>> fold_arabic("كتابي ١٢")
    'کتابی 12'
    """
    letters = ARABIC_PRESENTATION.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return unicodedata.normalize("NFC", letters).translate(ARABIC)


def fold_width(text: str) -> str:
    """Return the text with full-width Latin and half-width Katakana and Hangul in their ordinary forms (NFKC of that block alone).

    >>> fold_width("Ｎｏ．１ ｶﾞｽ")
    'No.1 ガス'
    """
    return WIDTH_FORMS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)


FOLDINGS = {folding.name: folding for folding in (Folding("arabic", 1, fold_arabic), Folding("width", 1, fold_width))}
