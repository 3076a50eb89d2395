"""Show a reference and a prediction as HTML with their edits coloured, as text and never as markup."""

import html

from ocrtune.comparing.marked_text import name_char
from ocrtune.scoring.edits import list_pieces

MOST_CHARS = 60_000


def show(text: str) -> str:
    """Return text for HTML: escaped, controls and bidirectional overrides made visible, line breaks kept.

    >>> show("<b>\\u202ea")
    '&lt;b&gt;⟨U+202E⟩a'
    """
    return html.escape("".join(char if char == "\n" else name_char(char) for char in text))


def show_edit(text: str) -> str:
    """Return a changed stretch, with the spaces and line breaks that are the point made visible."""
    return show(text).replace(" ", "␣").replace("\n", "↵\n")


def mark(reference: str, prediction: str) -> tuple[str, str]:
    """Return reference and prediction as HTML; pieces that belong together share `data-edit`.

    Other white space for white space is no edit to the scores (normalizer nfc_ws), and isn't marked.
    """
    left, right = [], []
    for number, piece in enumerate(list_pieces(reference[:MOST_CHARS], prediction[:MOST_CHARS])):
        both = piece.reference and piece.prediction
        if piece.is_equal or (both and not (piece.reference + piece.prediction).strip()):
            left.append(show(piece.reference))
            right.append(show(piece.prediction))
            continue
        if piece.reference:
            left.append(f'<mark class="was" data-edit="{number}">{show_edit(piece.reference)}</mark>')
        kind = "changed" if both else "added" if piece.prediction else "missing"
        tip = html.escape(f"reference: {piece.reference}" if piece.reference else "not in the reference", quote=True)
        tag, text = ("mark", piece.prediction) if piece.prediction else ("del", piece.reference)
        right.append(f'<{tag} class="{kind}" data-edit="{number}" title="{tip}">{show_edit(text)}</{tag}>')
    return tail(left, reference), tail(right, prediction)


def tail(parts: list[str], text: str) -> str:
    """Return the parts joined, and how much of a very long text is not shown."""
    more = len(text) - MOST_CHARS
    return "".join(parts) + (f'<span class="quiet"> … {more:,} more characters</span>' if more > 0 else "")
