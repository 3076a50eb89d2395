"""What a page of the studio shows, in its address: a link to it can be sent, and Back returns to it."""

import html
from collections.abc import Mapping
from urllib.parse import urlencode


def write_query(values: Mapping[str, str | None], defaults: Mapping[str, str]) -> str:
    """Return the query of an address; what is empty or as by default is left out.

    >>> write_query({"results": "base", "order": "best", "page_id": None}, {"order": "best"})
    '?results=base'
    """
    return "?" + urlencode({name: value for name, value in values.items() if value and value != defaults.get(name)})


def mark_query(query: str) -> str:
    """Return the attribute by which an element tells the browser the query of what is shown (studio.js)."""
    return f'data-query="{html.escape(query, quote=True)}"'


def ask(asked: Mapping[str, str], name: str, choices, default: str | None) -> str | None:
    """Return what an address asks for, where it is one of the choices."""
    return asked[name] if asked.get(name) in choices else default
