"""Normalizers are named, versioned, idempotent, and take any string."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from ocrtune.params.evaluate import EvaluateParams
from ocrtune.rows import RowError
from ocrtune.texts.foldings import FOLDINGS
from ocrtune.texts.normalizers import NORMALIZERS, find_normalizer

ANY_TEXT = strategies.text(strategies.characters(codec=None))  # lone surrogates and NUL too


MARKED_TEXT = strategies.text(strategies.sampled_from(list("<>&;|*_#`~[]()!\\-=+. \n\tab12ltgamp\"'–“x38,ＡｶﾞيكｰΣς")), max_size=60)


@pytest.mark.parametrize("options", [(), ("arabic", "width")])
@pytest.mark.parametrize("name", NORMALIZERS)
@given(text=ANY_TEXT | MARKED_TEXT)
@settings(deadline=None)
def test_idempotent_on_any_unicode(name, options, text):
    normalize = find_normalizer(name, options).normalize
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize("depth", [3, 12, 50])
def test_markup_in_markup_comes_to_an_end(depth):
    text = "x"
    for _ in range(depth):
        text = f"<<b>b>&{text}&#108;t;"
    once = NORMALIZERS["text"].normalize(text)
    assert "x" in once and NORMALIZERS["text"].normalize(once) == once


@pytest.mark.parametrize("unit", ["<", "[a](", "&amp;", "| ", "* ", "# ", "- # > ", "\\", "<b", "<b a=1 ", "<b a ", "</a", "`", "[[1, 2"])
def test_hostile_text_takes_linear_time(unit):
    assert isinstance(NORMALIZERS["text"].normalize(unit * (500_000 // len(unit))), str)  # quadratic would take an hour


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


@pytest.mark.parametrize(("text", "expected"), [
    ("# Title #\n\n**Bold** and *thin*, __both__ and _this_", "Title Bold and thin, both and this"),
    ("- one\n* two\n+ three\n> four\n---\nfive", "one two three four five"),
    ("snake_case 2 * 3 * 4 a < b > c # 5 x_1", "snake_case 2 * 3 * 4 a < b > c # 5 x_1"),
    ("[text](http://a.b/c) ![alt](x.png \"t\")", "text alt"),
    ("```python\nx = 1\n```\n`y`", "x = 1 y"),
    ("| a | b |\n|:--|--:|\n| 1 | 2 |", "a b 1 2"),
    ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
    ("<p>one</p><p>two<br>three</p> <b>four</b>five", "one two three fourfive"),
    ("if a<b then c>d, x <p and q> y", "if a<b then c>d, x <p and q> y"),
    ("Mr. <John Smith> said <sic>", "Mr. <John Smith> said <sic>"),
    ("<td nowrap COLSPAN=2 class='x y'>a</TD><img src=\"a b.png\" hidden/><hr />b", "a b"),
    ("<page_number>7</page_number> <mi>x</mi>", "7 x"),
    ("- 5 °C\n− 5 °C\n+ 7 %\n> 5 kg\n>> .5\n- £5", "- 5 °C - 5 °C + 7 % > 5 kg >> .5 - £5"),
    ("* 5\n• 6\n>> quoted\n- > # x", "5 6 quoted x"),
    ("a &lt; b &amp;amp; c&nbsp;d &#8212; &unknown;", "a < b & c d - &unknown;"),
    ("<|ref|>title<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|> <｜end▁of▁sentence｜>x", "title x"),
    ("“two” ‘one’ «three» – — ‑ …", '"two" \'one\' "three" - - - ...'),
    ("so\u00adft \ufeffbom zero\u200bwidth می\u200cخواهم", "soft bom zerowidth می\u200cخواهم"),
    ("\\*not bold\\* 1\\. x", "not bold 1. x"),
    ("e\u0301 Caſe", "é Caſe"),
])
def test_text(text, expected):
    assert find_normalizer("text").normalize(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("**No. 7**, “Straße”—links!", "no 7 strasse links"), ("3,50 € ½", "3 50 ½"), ("हिन्दी, 台北!", "हिन्दी 台北"), ("\0\ud800", ""),
])
def test_alnum(text, expected):
    assert find_normalizer("alnum").normalize(text) == expected


@pytest.mark.parametrize(("option", "text", "expected"), [
    ("arabic", "كتابي ١٢ ۳", "کتابی 12 3"), ("arabic", "ﻛﺘﺎب مُحَمَّد سـلام", "کتاب محمد سلام"), ("arabic", "Latin é", "Latin é"),
    ("width", "Ｎｏ．１　ｶﾞｽ", "No.1 ガス"), ("width", "①㈱ ﬁ", "①㈱ ﬁ"),
])
def test_options(option, text, expected):
    assert find_normalizer("nfc_ws", [option]).normalize(text) == expected
    if expected != text:
        assert find_normalizer("nfc_ws").normalize(text) != expected


def test_options_stand_in_the_label():
    normalizer = find_normalizer("nfc_ws", ["width", "arabic"])
    assert normalizer.label == "nfc_ws@1+arabic@1+width@1"
    assert find_normalizer(normalizer.label).label == normalizer.label
    assert find_normalizer(normalizer.label).normalize("１") == "1"
    with pytest.raises(RowError, match="option 'cyrillic': unknown"):
        find_normalizer("nfc_ws", ["cyrillic"])


def test_params_and_tool_offer_what_there_is():
    fields = EvaluateParams.model_fields
    assert set(fields["normalizer"].annotation.__args__) == set(NORMALIZERS)
    assert set(fields["fold"].annotation.__args__[0].__args__) == set(FOLDINGS)
    tool = (Path(__file__).parents[1] / "tools/rescore.py").read_text(encoding="utf-8")
    assert all(f'"{name}"' in tool for name in [*NORMALIZERS, *FOLDINGS])


def test_found_by_name_and_by_label():
    assert find_normalizer("nfc_ws") is find_normalizer("nfc_ws@1")
    assert find_normalizer("nfc_ws").label == "nfc_ws@1"


@pytest.mark.parametrize("name", ["nfc", "", "nfc_ws@2", "nfc_ws@", "@1", "nfc_ws@1+width@9"])
def test_unknown_name_or_other_version_is_named(name):
    with pytest.raises(RowError, match=re.escape(f"normalizer {name!r}")):
        find_normalizer(name)
