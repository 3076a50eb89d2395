"""Pieces of HTML that several pages of the studio show."""

import html
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from ocrtune.studio.marked_edits import show
from ocrtune.studio.pictures import DocumentPage, Gallery
from ocrtune.studio.project import Project

# A list's rows carry `data-pick`; a click on one tells Python which.
PICK = """element.addEventListener('click', event => {
  const row = event.target.closest('[data-pick]');
  if (row) trigger('select', {pick: row.dataset.pick});
});"""

TOOLS = "".join(f'<button data-zoom="{how}" title="{title}">{sign}</button>' for how, title, sign in (
    ("in", "closer (+)", "+"), ("out", "farther (-)", "−"), ("fit", "whole picture (0)", "fit"), ("large", "fill the window (z)", "⤢")))


def percent(share: float | None) -> str:
    """Return a share in percent; a dash where there is none."""
    if share is None:
        return "–"
    return f"{100 * share:.{2 if 0 < abs(share) < 0.00995 else 1}f} %"


def notice(text: str, kind: str = "info") -> str:
    """Return a message in place of what can't be shown; `kind`: info, good or bad."""
    return f'<div class="notice {kind}">{show(text)}</div>'


def figures(entries: list[tuple[str, str, str]]) -> str:
    """Return a row of figures: title, value, and what it says."""
    cells = (f'<div class="figure"><span>{html.escape(title)}</span><b>{html.escape(value)}</b><i>{html.escape(note)}</i></div>'
             for title, value, note in entries)
    return f'<div class="figures">{"".join(cells)}</div>'


def grade(cer: float | None) -> str:
    """Return the class that colours a CER."""
    if cer is None:
        return "none"
    return "perfect" if cer == 0 else "fair" if cer < 0.05 else "poor" if cer < 0.3 else "bad"


def cer_pill(cer: float | None) -> str:
    return f'<span class="pill {grade(cer)}">{percent(cer)}</span>'


def text_block(title: str, content: str, name: str, note: str = "") -> str:
    """Return a titled text; `content` is HTML already. Each paragraph finds its own direction."""
    quiet = f'<span class="quiet">{note}</span>' if note else ""
    return f'<section class="text {name}"><h4>{html.escape(title)}{quiet}</h4><div class="body" dir="auto">{content}</div></section>'


def viewer(address: str, alt: str, box: list | None = None, name: str = "") -> str:
    """Return a picture that can be zoomed and moved; `box`: left, top, right, bottom in its pixels."""
    around = f' data-box="{",".join(str(int(edge)) for edge in box)}"' if box else ""
    alt = html.escape(alt, quote=True)
    return (f'<div class="viewer {name}" tabindex="0"{around} aria-label="{alt}">'
            f'<div class="stage"><img src="{address}" alt="{alt}" draggable="false"><div class="box"></div></div>'
            f'<div class="tools">{TOOLS}</div></div>')


def say_missing(project: Project, image: Path | None) -> str:
    """Return why a picture is not shown, and what to do."""
    if image is None:
        return "No picture: these results name none, and no page of data/pages has this id."
    if image.is_relative_to(project.root / "data"):
        return f"{project.show(image)}: no picture there. Run the stage that makes it: ./run dvc repro, or ./run dvc pull."
    why = "lies outside the folders of the results" if image.is_file() else "no such picture"
    return f"{project.show(image)}: {why}. Start the studio with --eval_dir and the folder that it lies in."


def find_document_page(project: Project, page: dict, params: str | None) -> DocumentPage | None:
    """Return the page of a document that a row of pages.jsonl was cut from; `params`: section pdf2img as JSON."""
    documents = project.root / "data" / "documents" / "documents.jsonl"
    if params is None or not page.get("box") or not documents.is_file():
        return None
    row = project.rows(documents, ("doc_id", "file", "media_type"), "doc_id").get(page["doc_id"])
    return DocumentPage(documents.parent / Path(row["file"]), row["media_type"], page["page"], params) if row else None


def page_views(project: Project, gallery: Gallery, page: dict | None, image: Path | None, params: str | None) -> tuple[str, str]:
    """Return the picture that was read; and for a line or block the page with the place that it was cut from, else nothing."""
    name = page["page_id"] if page else image.name if image else "picture"
    hung = gallery.hang(image) if image else None
    cut = (viewer(hung, name, name="crop" if page and page.get("box") else "whole") if hung else
           notice(say_missing(project, image), "bad" if image else "info"))
    source = find_document_page(project, page, params) if page else None
    address = gallery.hang(source) if source else None
    if address is None:
        return cut, ""
    whole = viewer(address, f"{page['doc_id']}, page {page['page']}", page["box"], "source")
    return cut, (f'<details class="where" open><summary>where it lies on page {page["page"]} of {show(page["doc_id"])}</summary>'
                 f'{whole}</details>')


def say_errors(num_outputs: int, others: tuple | None = None) -> Callable:
    """Return a decorator: a `ValueError` or `OSError` becomes a message in the first output.

    `others`: what the other outputs become; None: they stay as they are.
    """
    def wrap(function: Callable) -> Callable:
        @wraps(function)
        def guarded(*args, **kwargs):
            import gradio as gr

            try:
                return function(*args, **kwargs)
            except (ValueError, OSError) as error:
                said = notice(str(error), "bad")
                rest = [gr.skip() for _ in range(num_outputs - 1)] if others is None else others
                return (said, *rest) if num_outputs > 1 else said

        return guarded

    return wrap
