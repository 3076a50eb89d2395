"""Show foreign text in Markdown and HTML: escaped, so that no prediction can break the page, with its edits marked."""

import html
import re
import unicodedata
from collections.abc import Callable

from ocrtune.scoring.edits import list_pieces

# What Markdown (with GitHub's tables, math and mentions) reads as markup inside a line, as HTML
# entities: they hold in table cells, where a backslash before a bar does not everywhere.
ENTITIES = {ord(char): f"&#{ord(char)};" for char in "\\`*_[]<>&|~$@"}
# A colon that may begin an emoji's name or stand in an address.
LIVE_COLON = re.compile(r":(?=\S)")
CONTEXT_CHARS = 60
MOST_CHARS = 1200


def name_char(char: str) -> str:
    """Return a visible stand-in for what can't be seen or would rule its surroundings: controls, format marks, surrogates."""
    kind = unicodedata.category(char)
    if char in " \u200c\u200d" or (kind[0] != "C" and kind not in ("Zl", "Zp", "Zs")):
        return char
    return "↵" if char == "\n" else f"⟨U+{ord(char):04X}⟩"


def escape(text: str) -> str:
    """Return text that a table cell of Markdown or HTML shows as it is, on one line.

    >>> escape("a|b <i>*x*</i>")
    'a&#124;b &#60;i&#62;&#42;x&#42;&#60;/i&#62;'
    """
    return LIVE_COLON.sub("&#58;", "".join(map(name_char, text)).translate(ENTITIES))


def show_spaces(text: str) -> str:
    """Return text with its spaces made visible, for stretches where a space is the point."""
    return text.replace(" ", "␣")


def shorten(text: str) -> str:
    """Return an untouched stretch without its middle where it is long."""
    return text if len(text) <= 2 * CONTEXT_CHARS + 3 else f"{text[:CONTEXT_CHARS]} … {text[-CONTEXT_CHARS:]}"


def show_reference(reference: str) -> str:
    """Return a reference, escaped and cut at `MOST_CHARS`."""
    more = len(reference) - MOST_CHARS
    return (escape(reference[:MOST_CHARS]) or "*(empty)*") + (f" … ({more} more characters)" if more > 0 else "")


def join_stretches(reference: str, prediction: str, spell: Callable[[str], str], edit: Callable[[str, str, str], str]) -> str:
    """Return the prediction's stretches in order: right ones by `spell`, others by `edit`, of reference, prediction and what is shown.

    Long right stretches lose their middle, others are cut at `MOST_CHARS`; what lies beyond as many in all is counted only.
    """
    shown, size = [], 0
    pieces = list_pieces(reference, prediction)
    for number, (is_equal, before, after) in enumerate(pieces):
        text = shorten(after) if is_equal else (after or before)[:MOST_CHARS]
        more = 0 if is_equal else len(after or before) - len(text)
        shown.append(spell(text) if is_equal else edit(before, after, text))
        shown.append(f" … ({more:,} more characters)" if more else "")
        size += len(text)
        if size >= MOST_CHARS and number + 1 < len(pieces):
            wrong = sum(not later.is_equal for later in pieces[number + 1:])
            return "".join(shown) + f" … ({wrong:,} more differing stretches)"
    return "".join(shown)


def mark_prediction(reference: str, prediction: str) -> str:
    """Return the prediction for Markdown, escaped, with what is wrong in bold and what is missing struck through.

    >>> mark_prediction("barn door", "bam door ")
    'ba<b>m</b> door<b>␣</b>'
    >>> mark_prediction("two words", "twowords")
    'two<del>␣</del>words'
    """
    if not prediction:
        return "*(nothing)*" if reference else "*(empty)*"

    def edit(_before: str, after: str, text: str) -> str:
        return f"<b>{escape(show_spaces(text))}</b>" if after else f"<del>{escape(show_spaces(text))}</del>"

    return join_stretches(reference, prediction, escape, edit)


def name_chars(text: str) -> str:
    """Return text for HTML as it is, on one line, what can't be seen with a visible stand-in."""
    return html.escape("".join(map(name_char, text)))


def mark_html(reference: str, prediction: str) -> str:
    """Return the prediction as HTML: `<ins>` was added, `<del>` is missing, `<mark>` was read for its title's text.

    >>> mark_html("barn door", "bam door ")
    'ba<mark title="for: rn">m</mark> door<ins>␣</ins>'
    """
    if not prediction:
        return "<i>(nothing)</i>" if reference else "<i>(empty)</i>"

    def edit(before: str, after: str, text: str) -> str:
        spelled = name_chars(show_spaces(text))
        return (f"<del>{spelled}</del>" if not after else f"<ins>{spelled}</ins>" if not before else
                f'<mark title="for: {name_chars(show_spaces(shorten(before)))}">{spelled}</mark>')

    return join_stretches(reference, prediction, name_chars, edit)
