"""Find values in JSON by a path such as `result.pages[*].text`."""

import json
import re
from typing import Any

EVERY = slice(None)
STEP = re.compile(r"""\.?([^.\[\]"'*\s][^.\[\]]*)|\[(\d+)\]|\[(\*)\]|\.(\*)|\[("(?:[^"\\]|\\.)*")\]""")


def parse_path(path: str) -> tuple[str | int | slice, ...]:
    """Return the steps of a path: keys, places counted from 0, and `EVERY`. An empty path has none; `$` may stand first.

    >>> parse_path('$.pages[0].lines[*]["text.raw"]')
    ('pages', 0, 'lines', slice(None, None, None), 'text.raw')
    """
    rest, steps = path.removeprefix("$"), []
    if rest.startswith("*"):
        rest = f".{rest}"
    while rest:
        found = STEP.match(rest)
        if not found or (found[0][0] == "." and not steps and not path.startswith(("$", "*"))):
            raise ValueError(f"{path!r}: no path at {rest!r}; write it like result.pages[*].text or pages[0][\"full text\"]")
        key, place, every, also_every, quoted = found.groups()
        steps.append(EVERY if every or also_every else int(place) if place else json.loads(quoted) if quoted else key)
        rest = rest[found.end() :]
    return tuple(steps)


def find_values(value: Any, steps: tuple[str | int | slice, ...]) -> list[Any]:
    """Return what stands at the end of a path, in the order of the JSON; `EVERY` takes each item of an array or object.

    Nothing at all is an empty list after an `EVERY` that met an empty array; a step without a match is a `LookupError` that says
    what there is instead.
    """
    if not steps:
        return [value]
    step, rest = steps[0], steps[1:]
    if step == EVERY:
        if not isinstance(value, list | dict):
            raise LookupError(f"[*] found {describe(value)}")
        return [found for item in (value.values() if isinstance(value, dict) else value) for found in find_values(item, rest)]
    held = (isinstance(value, dict) and step in value) if isinstance(step, str) else isinstance(value, list) and step < len(value)
    if not held:
        raise LookupError(f"no {step!r} in {describe(value)}")
    return find_values(value[step], rest)


def describe(value: Any) -> str:
    """Return what kind of JSON a value is, in few words and without its content."""
    if isinstance(value, dict):
        return f"an object with {', '.join(map(repr, list(value)[:8])) or 'no keys'}"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return {str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
