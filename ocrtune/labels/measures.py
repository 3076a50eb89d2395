"""Measure what verdicts are made of, once for each text: loops, foreign letters, and the distance to other readings of the page."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import regex
from rapidfuzz.distance import Levenshtein

from ocrtune.reading import Page, Reading
from ocrtune.scoring import loops
from ocrtune.scoring.loops import find_loop
from ocrtune.scoring.rates import error_rate
from ocrtune.store.store import Store, reading_key
from ocrtune.texts import normalizers
from ocrtune.texts.normalizers import find_normalizer

NORMALIZER = "nfc_ws"
MOST_CHARS = 1_000_000  # looked at; a server may send more
# Measures are kept under a key that hangs on the code that makes them: whoever mends it measures anew, without a model.
CODE = hashlib.sha256(b"".join(Path(module.__file__).read_bytes() for module in (loops, normalizers))).hexdigest()
IDENTITY = {"type": "measures", "version": 1, "code": CODE}


class Distance(NamedTuple):
    """How far a text is from another reading of its page, both normalized."""

    edits: int
    chars: int  # of the other reading

    @property
    def cer(self) -> float:
        return error_rate(self.edits, self.chars)


class Measures(NamedTuple):
    """What was measured of a text."""

    has_loop: bool
    letters: int
    other_letters: int  # of scripts that are not expected
    text_layer: Distance | None  # None: there is none to compare with
    second: Distance | None


@lru_cache(maxsize=4096)
def is_expected(letter: str, scripts: tuple[str, ...]) -> bool:
    """Return whether a letter belongs to one of these Unicode scripts, or, like `ª`, to none."""
    return regex.match("|".join(rf"\p{{Script_Extensions={name}}}" for name in (*scripts, "Common", "Inherited")), letter) is not None


def count_letters(text: str, scripts: tuple[str, ...]) -> tuple[int, int]:
    """Return how many letters a text has, and how many of them belong to none of these scripts (no scripts: all are welcome).

    >>> count_letters("Straße 7, Москва", ("Latin",))
    (12, 6)
    """
    letters = [character for character in text if character.isalpha()]
    return len(letters), sum(not is_expected(letter, scripts) for letter in letters) if scripts else 0


def measure_distance(text: str, other: str | None) -> Distance | None:
    """Return the distance to another reading of the same page."""
    if other is None:
        return None
    normalize = find_normalizer(NORMALIZER).normalize
    text, other = normalize(text[:MOST_CHARS]), normalize(other[:MOST_CHARS])
    return Distance(Levenshtein.distance(other, text), len(other))


def measure_text(text: str, scripts: tuple[str, ...], text_layer: str | None, second: str | None) -> Measures:
    """Measure a text and its distance to the page's text layer and to the second teacher's reading (None: there is none)."""
    text = text[:MOST_CHARS]
    return Measures(find_loop(text) is not None, *count_letters(text, scripts),
                    measure_distance(text, text_layer), measure_distance(text, second))


def find_measures(store: Store, text: str, scripts: tuple[str, ...], text_layer: str | None, second: str | None) -> Measures:
    """Return the measures of a text, from the store where it was measured before."""
    asked = json.dumps([text, scripts, text_layer, second]).encode()
    key = reading_key(Page("", Path(), hashlib.sha256(asked).hexdigest()), IDENTITY)
    found = store.get(key)
    if found is None:
        found = Reading(json.dumps(measure_text(text, scripts, text_layer, second)))
        store.put(key, found, IDENTITY)
    *counts, layer, other = json.loads(found.text)
    return Measures(*counts, layer and Distance(*layer), other and Distance(*other))
