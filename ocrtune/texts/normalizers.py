"""Named, versioned ways to make two texts comparable before their edits are counted.

The same normalizer is applied to the reference and to the prediction, and its label (`nfc_ws@1`, with
options `nfc_ws@1+width@1`) stands in every metrics file: two scores are comparable only where the labels
are equal. Whoever changes what a normalizer does raises its version.
"""

import unicodedata
from collections.abc import Callable, Iterable
from typing import NamedTuple

import regex

from ocrtune.rows import RowError
from ocrtune.texts.foldings import FOLDINGS
from ocrtune.texts.markup import drop_marks, strip_markup

# Markup in markup (an escaped entity of a tag) is taken out layer by layer; no honest text has as many.
MOST_LAYERS = 8
NOT_ALNUM = regex.compile(r"[^\p{L}\p{M}\p{N}]+")


class Normalizer(NamedTuple):
    """A way to prepare texts; `normalize` must be idempotent and take any string, lone surrogates and NUL too."""

    name: str
    version: int
    normalize: Callable[[str], str]
    options: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name and version to write into metrics files, those of the options behind it."""
        return "+".join([f"{self.name}@{self.version}", *(f"{option}@{FOLDINGS[option].version}" for option in self.options)])


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


def settle(change: Callable[[str], str], text: str, give_up: Callable[[str], str]) -> str:
    """Return the text after `change` was repeated until it changes nothing; beyond `MOST_LAYERS` times, `give_up` comes first."""
    for _ in range(MOST_LAYERS):
        before, text = text, change(text)
        if text == before:
            return text
    return settle(change, give_up(text), give_up)


def keep_words(text: str) -> str:
    """Return what is written without its markup: no Markdown, HTML or special tags, one kind of quotes and dashes.

    Runs of whitespace are one space, as in `nfc_ws`. For readers that answer in different formats.

    >>> keep_words("## The *Ferry* Steps\\n\\n<td>30th&nbsp;April</td> “1890”")
    'The Ferry Steps 30th April "1890"'
    """
    # Marks at a line's beginning are told by its line: whitespace is joined when all markup is gone.
    bare = settle(strip_markup, unicodedata.normalize("NFC", text), drop_marks)
    joined = join_whitespace(bare)
    return joined if joined == bare else settle(lambda text: join_whitespace(strip_markup(text)), joined, drop_marks)


def keep_alnum(text: str) -> str:
    """Return the letters, marks and digits of a text in folded case, its words parted by one space.

    What scene-text benchmarks compare (J. Baek et al., "What Is Wrong With Scene Text Recognition Model
    Comparisons?", 2019), with spaces and beyond ASCII.

    >>> keep_alnum("**No. 7**, Straße—links!")
    'no 7 strasse links'
    """
    def fold(text: str) -> str:
        return unicodedata.normalize("NFC", NOT_ALNUM.sub(" ", text).casefold()).strip()

    return settle(fold, keep_words(text), drop_marks)


NORMALIZERS = {normalizer.name: normalizer for normalizer in (
    Normalizer("raw", 1, keep_text), Normalizer("nfc_ws", 1, join_whitespace),
    Normalizer("text", 2, keep_words), Normalizer("alnum", 2, keep_alnum))}


def add_options(normalizer: Normalizer, options: Iterable[str]) -> Normalizer:
    """Return the normalizer with foldings before and after it."""
    chosen = tuple(sorted(set(options)))
    unknown = [option for option in chosen if option not in FOLDINGS]
    if unknown:
        raise RowError(f"normalizer option {unknown[0]!r}: unknown; choose of {', '.join(FOLDINGS)}")
    if not chosen:
        return normalizer

    def change(text: str) -> str:
        for option in chosen:
            text = FOLDINGS[option].fold(text)
        return normalizer.normalize(text)

    return normalizer._replace(options=chosen, normalize=lambda text: settle(change, text, drop_marks))


def find_normalizer(name: str, options: Iterable[str] = ()) -> Normalizer:
    """Return a normalizer by its name (`nfc_ws`) and options, or by its label in a metrics file (`nfc_ws@1+width@1`).

    An unknown name, and a version that is not today's, is a `RowError`: the scores under it can't be continued.
    """
    first, *labelled = name.split("+")
    bare = first.partition("@")[0]
    if bare not in NORMALIZERS:
        raise RowError(f"normalizer {name!r}: unknown; choose one of {', '.join(NORMALIZERS)}")
    normalizer = add_options(NORMALIZERS[bare], [*options, *(option.partition("@")[0] for option in labelled)])
    if name not in (bare, normalizer.label, "+".join([bare, *normalizer.options])):
        raise RowError(f"normalizer {name!r}: today's is {normalizer.label}; rerun evaluate to score anew (no model runs)")
    return normalizer
