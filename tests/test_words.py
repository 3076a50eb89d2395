"""Words and characters by Unicode Standard Annex 29."""

import itertools

import pytest
from hypothesis import given, settings, strategies

from ocrtune.texts.words import PLAIN, WORD_BOUNDARY, WORD_CONTENT, find_words, split_chars

PLAIN_CHARS = [char for char in map(chr, range(0x2500)) if PLAIN.fullmatch(char)]


@pytest.mark.parametrize(("text", "words"), [
    ("", []),
    ("--- ... ____ €", []),
    ("Dies ist ein Beispielsatz!", ["Dies", "ist", "ein", "Beispielsatz"]),
    ("one\ntwo", ["one", "two"]),
    ("well-known l’eau 10.5%", ["well", "known", "l’eau", "10.5"]),
    ("Xin chào thế giới", ["Xin", "chào", "thế", "giới"]),
    ("한국어 문서, 台北", ["한국어", "문서", "台", "北"]),
    ("Schlym\u0303", ["Schlym\u0303"]),
    ("a\ud800b \0c", ["a", "b", "c"]),
])
def test_words(text, words):
    assert find_words(text) == words


def find_words_by_boundaries(text: str) -> list[str]:
    """Return the words without the shortcut for Western texts."""
    return [segment.lstrip("'’") for segment in WORD_BOUNDARY.split(text) if WORD_CONTENT.search(segment)]


@given(strategies.text(strategies.sampled_from(PLAIN_CHARS), max_size=30) | strategies.text("a1_'.:,;·‘’ ß-", max_size=12))
@settings(deadline=None, max_examples=300)
def test_the_shortcut_finds_the_same_words(text):
    assert find_words(text) == find_words_by_boundaries(text)


def test_the_shortcut_finds_the_same_words_around_each_character():
    for char, pattern in itertools.product(PLAIN_CHARS, ("{}", "a{}", "{}a", "a{}b", "1{}2", "a{}1", "1{}a", "_{}_")):
        assert find_words(pattern.format(char)) == find_words_by_boundaries(pattern.format(char)), repr(char)


def test_an_apostrophe_on_a_vowel_stands_apart():
    assert find_words("‘and 'is' l'eau 'tis") == ["and", "is", "l'eau", "tis"]
    assert find_words("台 'and 'is'") == ["台", "and", "is"]


@given(strategies.text(strategies.characters(codec=None), max_size=40))
@settings(deadline=None)
def test_clusters_spell_the_text(text):
    assert "".join(split_chars(text, "grapheme")) == text == split_chars(text, "codepoint")


@pytest.mark.parametrize(("text", "count"), [("", 0), ("abc", 3), ("Schlym\u0303", 6), ("a\r\nb", 3), ("🇩🇪", 1), ("한국", 2), ("क्षि", 1)])
def test_clusters(text, count):
    assert len(split_chars(text, "grapheme")) == count
