"""Tell a person what a comparison found, as Markdown: the verdict first, then tables, pictures and pages."""

import html
import os
from pathlib import Path
from urllib.parse import quote

from ocrtune.comparing.changed_pages import ChangedPage, Confusion, list_improved, list_worsened, list_worst
from ocrtune.comparing.comparison import Comparison
from ocrtune.comparing.embedded_images import read_width
from ocrtune.comparing.marked_text import escape, mark_prediction, show_reference
from ocrtune.comparing.plots import Picture
from ocrtune.comparing.report_tables import (
    Foreign,
    Table,
    list_confusions_table,
    list_documents_table,
    list_figures_table,
    list_further_table,
    list_slices_table,
    list_transitions_table,
)
from ocrtune.comparing.verdict import (
    percent,
    say_adjusted,
    say_confusions,
    say_forgetting,
    say_gate,
    say_outcomes,
    say_quote,
    say_references,
    say_transitions,
    say_verdict,
)

MOST_WIDTH = 760
MOST_ROWS = 25  # of the table of documents that are shown unfolded


def show_id(name: str) -> str:
    """Return an id, escaped but for underscores, which are no markup inside a word."""
    return escape(name).replace("&#95;", "_")


def write_table(table: Table) -> list[str]:
    """Return a table's lines."""
    def show(cell: str) -> str:
        return show_id(cell) if isinstance(cell, Foreign) else cell

    rules = [":--"] * table.num_texts + ["--:"] * (len(table.header) - table.num_texts)
    return [f"| {' | '.join(table.header)} |", f"|{'|'.join(rules)}|", *(f"| {' | '.join(map(show, row))} |" for row in table.rows)]


def fold_table(table: Table, noun: str) -> list[str]:
    """Return a table's lines, folded where it is long."""
    lines = write_table(table)
    if len(table.rows) <= MOST_ROWS:
        return lines
    return ["<details>", f"<summary>{len(table.rows)} {noun}, worst first</summary>", "", *lines, "", "</details>"]


def list_gate(comparison: Comparison) -> list[str]:
    """Return the lines about the gate; none where it is not asked."""
    bounds = say_gate(comparison)
    if not bounds:
        return ["No gate is set (params.yaml, `compare.gate`).", ""] if comparison.has_gate else []
    return ["The gate (params.yaml, `compare.gate`):", "", *(f"- {bound}" for bound in bounds), ""]


def link(target: Path, report: Path) -> str:
    """Return the address of a file as seen from the report."""
    return quote(Path(os.path.relpath(target, report.parent)).as_posix())


def show_page(page: ChangedPage, comparison: Comparison, report: Path) -> list[str]:
    """Return a page: its image, its reference, and both texts with their edits marked."""
    width = read_width(page.image)
    size = "" if width is None else f' width="{min(width, MOST_WIDTH)}"'
    image = f'<img src="{link(page.image, report)}" alt="{html.escape(page.page_id)}"{size}>'
    before, after = (f"`{reader.name}`, {percent(cer)}" for reader, cer in
                     ((comparison.baseline, page.cer_before), (comparison.candidate, page.cer_after)))
    return [f"**{show_id(page.page_id)}**", "", image, "", "| read by | text |", "|:--|:--|",
            f"| reference | {show_reference(page.reference)} |",
            f"| {before} | {mark_prediction(page.reference, page.before)} |",
            f"| {after} | {mark_prediction(page.reference, page.after)} |", ""]


def show_pages(title: str, chosen: list[ChangedPage], most: int, nothing: str, comparison: Comparison, report: Path) -> list[str]:
    """Return a section with the first `most` pages, or the sentence that there are none."""
    if not chosen:
        return [f"## {title}", "", nothing, ""]
    shown = [f"The first {most} of {len(chosen):,}.", ""] if len(chosen) > most else []
    return [f"## {title}", "", *shown, *(line for page in chosen[:most] for line in show_page(page, comparison, report))]


def show_all_pages(comparison: Comparison, pages: list[ChangedPage], report: Path, unit: str, most: int) -> list[str]:
    """Return the sections of pages: worst, most improved, got worse."""
    units = f"{unit.capitalize()}s"
    return [
        "In the following tables **bold** was written wrongly or is not there, <del>struck</del> is missing; ␣ is such a space.", "",
        *show_pages(f"{units} that are still worst", list_worst(pages), most, f"Every {unit} is read perfectly.", comparison, report),
        *show_pages(f"{units} that improved most", list_improved(pages), most, f"No {unit} improved.", comparison, report),
        *show_pages(f"{units} that got worse", list_worsened(pages), most, f"No {unit} got worse.", comparison, report)]


def render_markdown(comparison: Comparison, pages: list[ChangedPage], confusions: list[Confusion], pictures: list[Picture],
                    report: Path, unit: str, worst: int) -> str:
    """Return the report as Markdown; `report` is where it will lie (links are relative to it), `unit`: line, block or page."""
    slices, further, forgetting = list_slices_table(comparison, unit), list_further_table(comparison), say_forgetting(comparison)
    has_failures = set(comparison.transitions) != {("fine", "fine")}
    return "\n".join([
        f"# `{comparison.baseline.name}` and `{comparison.candidate.name}`, compared", "",
        f"**{say_verdict(comparison, unit)}**", "", say_quote(comparison, unit), "", say_outcomes(comparison, unit), "",
        *list_gate(comparison),
        "## Figures", "", *write_table(list_figures_table(comparison, unit)), "", say_references(comparison), "",
        *(["## Further readers", "", *write_table(further), "", say_adjusted("comparisons"), ""] if further.rows else []),
        *(["## Slices", "", *write_table(slices), "", say_adjusted("slices"), ""] if slices.rows else []),
        "## Failures", "", say_transitions(comparison, unit), "",
        *([*write_table(list_transitions_table(comparison)), ""] if has_failures else []),
        *(["## Forgetting", "", forgetting, ""] if forgetting else []),
        "## Pictures", "",
        *(line for picture in pictures for line in (f"![{escape(picture.caption)}]({link(picture.path, report)})", "")),
        "## Documents", "", *fold_table(list_documents_table(comparison, unit), "documents"), "",
        *(["## What is taken for what", "", say_confusions(comparison, unit), "",
           *write_table(list_confusions_table(comparison, confusions)), ""] if confusions else []),
        *(show_all_pages(comparison, pages, report, unit, worst) if worst else []),
    ]).rstrip("\n") + "\n"
