"""Normalizers are named, versioned, idempotent, and take any string."""

import pytest
from hypothesis import given, settings, strategies

from ocrtune.normalizers import NORMALIZERS, find_normalizer
from ocrtune.rows import RowError

ANY_TEXT = strategies.text(strategies.characters(codec=None))  # lone surrogates and NUL too


@pytest.mark.parametrize("name", NORMALIZERS)
@given(text=ANY_TEXT)
@settings(deadline=None)
def test_idempotent_on_any_unicode(name, text):
    once = NORMALIZERS[name].normalize(text)
    assert NORMALIZERS[name].normalize(once) == once


def test_raw_changes_nothing():
    assert find_normalizer("raw").normalize(" e\u0301\r\n\0\ud800\ufeff") == " e\u0301\r\n\0\ud800\ufeff"


@pytest.mark.parametrize(("text", "expected"), [
    ("  two\r\n\twords\u00a0here ", "two words here"),
    ("e\u0301", "é"),
    ("\u3000", ""),
    ("\0 \ud800", "\0 \ud800"),
    ("Caſe — “kept”", "Caſe — “kept”"),
])
def test_nfc_ws(text, expected):
    assert find_normalizer("nfc_ws").normalize(text) == expected


def test_found_by_name_and_by_label():
    assert find_normalizer("nfc_ws") is find_normalizer("nfc_ws@1")
    assert find_normalizer("nfc_ws").label == "nfc_ws@1"


@pytest.mark.parametrize("name", ["nfc", "", "nfc_ws@2", "nfc_ws@", "@1"])
def test_unknown_name_or_other_version_is_named(name):
    with pytest.raises(RowError, match=f"normalizer '{name}'"):
        find_normalizer(name)
