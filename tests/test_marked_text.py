"""Predictions are shown as they are and can't break the page that shows them."""

import html
import re

import pytest
from hypothesis import given, settings, strategies

from ocrtune.comparing.marked_text import MOST_CHARS, escape, mark_prediction, show_reference

ANY_TEXT = strategies.text(strategies.characters(codec=None) | strategies.sampled_from("|*_`<>&[]~\\:\n\0"), max_size=40)


@given(ANY_TEXT)
@settings(deadline=None)
def test_escaped_text_holds_no_markup(text):
    shown = escape(text)
    assert "\n" not in shown and not re.search(r"[\\`*_\[\]<>|~$@]", shown)
    shown.encode()  # no lone surrogates
    assert html.unescape(shown) == text or any(not char.isprintable() for char in text)


@given(ANY_TEXT, ANY_TEXT)
@settings(deadline=None)
def test_marked_text_holds_its_own_marks_alone(reference, prediction):
    shown = mark_prediction(reference, prediction)
    if shown not in ("*(nothing)*", "*(empty)*"):
        assert not re.search(r"[\\`*_\[\]<>|~]", re.sub("</?(b|del)>", "", shown))


@pytest.mark.parametrize(("reference", "prediction", "shown"), [
    ("Waſſer", "Waffer", "Wa<b>ff</b>er"),
    ("a b", "ab", "a<del>␣</del>b"),
    ("ab", "a b", "a<b>␣</b>b"),
    ("same", "same", "same"),
    ("lost", "", "*(nothing)*"),
    ("", "", "*(empty)*"),
    ("", "</td>", "<b>&#60;/td&#62;</b>"),
    ("at 3:30", "at 3: 30", "at 3<b>:␣</b>30".replace("3<b>:␣</b>", "3:<b>␣</b>")),
])
def test_marks(reference, prediction, shown):
    assert mark_prediction(reference, prediction) == shown


def test_invisible_characters_are_named():
    assert escape("a\0\u202e\ud800\u00a0b") == "a⟨U+0000⟩⟨U+202E⟩⟨U+D800⟩⟨U+00A0⟩b"


def test_addresses_and_emoji_names_stay_text():
    assert escape("http://x :smile: Note: 1") == "http&#58;//x &#58;smile: Note: 1"


def test_long_texts_are_cut():
    long = "word " * 4000
    assert len(show_reference(long)) < MOST_CHARS + 40 and show_reference(long).endswith("more characters)")
    assert "…" in mark_prediction(long, long + "end") and len(mark_prediction(long, long + "end")) < 300
    assert len(mark_prediction("a", "b" * 50_000)) < MOST_CHARS + 60
    changed = mark_prediction("ab" * 3000, "ac" * 3000)
    assert changed.endswith("more differing stretches)") and len(changed) < 12 * MOST_CHARS
