"""Walk through a long list a part at a time."""

from collections.abc import Callable

ROWS = 50  # of a list at a time: 50,000 pages stay quick


def place(ids: list[str], picked: str | None, start: int, step: int) -> tuple[str | None, int]:
    """Return which id is picked after `step` places, and where the part of the list begins that shows it.

    An id that is not in the list gives way to the one at `start`.
    """
    if not ids:
        return None, 0
    at = ids.index(picked) + step if picked in ids else start
    at = min(max(at, 0), len(ids) - 1)
    return ids[at], at - at % ROWS


def say_place(start: int, length: int) -> str:
    """Return which part of the list is shown."""
    return f'<span class="quiet">{start + 1 if length else 0:,} to {min(start + ROWS, length):,} of {length:,}</span>'


def turn_by(see: Callable, **options) -> Callable:
    """Return `see` with its options set, as a function of its own: Gradio asks functions for their arguments."""
    def turn(*values):
        return see(*values, **options)

    return turn


def lay_out_steps() -> tuple:
    """Lay out the buttons under a list: earlier part, where one is, later part, up, down."""
    import gradio as gr

    with gr.Row():
        before = gr.Button("← earlier", size="sm", elem_classes=["key-p"])
        told = gr.HTML(elem_classes=["told"])
        after = gr.Button("later →", size="sm", elem_classes=["key-n"])
        up = gr.Button("↑ k", size="sm", elem_classes=["key-k"], min_width=40)
        down = gr.Button("↓ j", size="sm", elem_classes=["key-j"], min_width=40)
    return before, told, after, up, down
