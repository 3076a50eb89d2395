"""Paths into JSON are read as people write them, and say where they lead nowhere."""

import pytest

from ocrtune.params.json_path import EVERY, find_values, parse_path


@pytest.mark.parametrize(("path", "steps"), [
    ("", ()), ("$", ()), ("text", ("text",)), ("$.text", ("text",)), ("a.b.c", ("a", "b", "c")), ("pages[*].text", ("pages",
    EVERY, "text")),
    ("[0].a", (0, "a")), ("$[0]", (0,)), ("*.text", (EVERY, "text")), ("a.*.b", ("a", EVERY, "b")), ('a["full text.raw"]', ("a",
    "full text.raw")),
    ('["q\\"x"]', ('q"x',)), ("a b.c", ("a b", "c")), ("größe", ("größe",)), ("a[10][2]", ("a", 10, 2)),
])
def test_paths(path, steps):
    assert parse_path(path) == steps


@pytest.mark.parametrize("path", ["a..b", ".a", "a.", "a[", "a[]", "a[x]", "a[-1]", "a]", "[*", "a.[0]"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="no path at"):
        parse_path(path)


JSON = {"pages": [{"text": "a", "n": 1}, {"text": None}], "empty": [], "by_name": {"x": {"t": 1}, "y": {"t": 2}}}


@pytest.mark.parametrize(("path", "values"), [
    ("", [JSON]), ("pages[*].text", ["a", None]), ("pages[1].text", [None]), ("empty[*].text", []), ("by_name.*.t", [1, 2]), ("pages[0].n",
    [1]),
])
def test_values(path, values):
    assert find_values(JSON, parse_path(path)) == values


@pytest.mark.parametrize(("path", "message"), [
    ("page", "no 'page' in an object with 'pages', 'empty', 'by_name'"), ("pages[2]", "no 2 in an array of 2"), ("pages.text",
    "no 'text' in an array"),
    ("pages[*].n", "no 'n' in an object with 'text'"), ("pages[0].text[*]", r"\[\*\] found a text"), ("pages[1].text.x", "no 'x' in null"),
])
def test_a_step_that_leads_nowhere_says_what_is_there(path, message):
    with pytest.raises(LookupError, match=message):
        find_values(JSON, parse_path(path))
