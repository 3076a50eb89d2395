"""Tell a person what a comparison found, as one HTML file that needs no other: charts and pages lie in it.

Whatever a model wrote is text here: it is escaped, and the file's own policy lets no script run and nothing load.
"""

import html
import re

from ocrtune.comparing.changed_pages import ChangedPage, Confusion, list_improved, list_worsened, list_worst
from ocrtune.comparing.comparison import Comparison
from ocrtune.comparing.embedded_images import address, embed_image
from ocrtune.comparing.marked_text import MOST_CHARS, mark_html, name_chars
from ocrtune.comparing.plots import Picture
from ocrtune.comparing.report_style import STYLE
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
    points,
    relative,
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

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
MOST_ROWS = 25
MARKS = ((re.compile(r"\*\*(.+?)\*\*"), r"<b>\1</b>"),
         (re.compile(r"`(.+?)`"), r"<code>\1</code>"), (re.compile(r"\*\((.+?)\)\*"), r"<i>(\1)</i>"))


def inline(text: str) -> str:
    """Return a sentence of ours, or foreign text, as HTML."""
    if isinstance(text, Foreign):
        return name_chars(text)
    shown = html.escape(text)
    for pattern, replacement in MARKS:
        shown = pattern.sub(replacement, shown)
    return shown


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{inline(text)}</p>"


def section(title: str, *parts: str) -> str:
    """Return a section with its title."""
    return f"<section><h2>{html.escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def write_table(table: Table) -> str:
    """Return a table, folded where it is long."""
    def cells(tag: str, row: list[str]) -> str:
        return "".join(f'<{tag}{" class=text" if place < table.num_texts else ""}>{inline(cell)}</{tag}>' for place, cell in enumerate(row))

    rows = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows)
    shown = f"<div class=wide><table><thead><tr>{cells('th', table.header)}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
    return shown if len(table.rows) <= MOST_ROWS else f"<details><summary>All {len(table.rows)} rows</summary>{shown}</details>"


def write_tiles(comparison: Comparison) -> str:
    """Return the few numbers that matter most, large."""
    difference = comparison.difference
    names = comparison.baseline.name, comparison.candidate.name
    kinds = [(kind, name, percent(cer)) for kind, name, cer in zip(("before", "after"), names, comparison.cers, strict=False)]
    (change, *bounds) = points(difference.absolute, *(difference.interval or ()))
    clear = ("good" if difference.absolute < 0 else "bad") if difference.is_clear and not comparison.learnt else "even"
    level = f"points, {100 * comparison.confidence:g} % interval"
    interval = f"{level} {' to '.join(bounds)}" if bounds else "points; one document, no interval"
    kinds.append((clear, interval, change))
    if difference.relative is not None:
        kinds.append((clear, "relative to before", relative(difference.relative)))
    tiles = (f"<div class='tile {kind}'><b>{inline(value)}</b><span>{html.escape(label)}</span></div>" for kind, label, value in kinds)
    return f"<div class=tiles>{''.join(tiles)}</div>"


def write_gate(comparison: Comparison) -> str:
    """Return the gate's bounds as labels; nothing where it is not asked."""
    kinds = (" class=open" if not bound.is_judged else "" if bound.has_passed else " class=failed" for bound in comparison.bounds)
    shown = "".join(f"<li{kind}>{inline(text)}</li>" for kind, text in zip(kinds, say_gate(comparison), strict=True))
    if not shown:
        return paragraph("No gate is set (`compare.gate` in params.yaml).") if comparison.has_gate else ""
    return f"<ul class=gate>{shown}</ul>"


def write_picture(picture: Picture) -> str:
    """Return a chart."""
    caption = html.escape(picture.caption)
    return f'<figure><img alt="{caption}" src="{address(picture.svg, "image/svg+xml")}"><figcaption>{caption}</figcaption></figure>'


def write_page(page: ChangedPage, comparison: Comparison) -> str:
    """Return a page: its image, its reference, and both texts with their edits coloured."""
    source = embed_image(page.image)
    image = f'<img alt="" src="{source}">' if source else "<p><i>(no image)</i></p>"
    more = len(page.reference) - MOST_CHARS
    reference = name_chars(page.reference[:MOST_CHARS]) + (f" … ({more:,} more characters)" if more > 0 else "") or "<i>(empty)</i>"
    texts = ((comparison.baseline.name, page.cer_before, page.before), (comparison.candidate.name, page.cer_after, page.after))
    return (f"<article class=page><h3>{name_chars(page.page_id)}</h3>{image}<dl><dt>reference</dt><dd>{reference}</dd>" + "".join(
        f"<dt>{html.escape(name)} <b>{percent(cer)}</b></dt><dd>{mark_html(page.reference, text)}</dd>" for name, cer, text in texts)
        + "</dl></article>")


def write_pages(title: str, chosen: list[ChangedPage], most: int, nothing: str, comparison: Comparison) -> str:
    """Return a section with the first `most` pages, or the sentence that there are none."""
    if not chosen:
        return section(title, paragraph(nothing))
    note = f"The first {most} of {len(chosen):,}. " if len(chosen) > most else ""
    legend = ("<mark>orange</mark> was read instead of something else (point at it to see what), <ins>red</ins> is not on the page, "
              "<del>struck</del> is missing; ␣ is such a space.")
    return section(title, f"<p>{note}{legend}</p>", *(write_page(page, comparison) for page in chosen[:most]))


def render_html(comparison: Comparison, pages: list[ChangedPage], confusions: list[Confusion], pictures: list[Picture],
                unit: str, worst: int) -> str:
    """Return the report; `unit`: line, block or page; `worst`: how many pages each list shows."""
    names = f"{comparison.baseline.name} and {comparison.candidate.name}"
    units, slices, further = f"{unit.capitalize()}s", list_slices_table(comparison, unit), list_further_table(comparison)
    forgetting = say_forgetting(comparison)
    charts = {picture.path.stem: write_picture(picture) for picture in pictures}
    has_failures = set(comparison.transitions) != {("fine", "fine")}
    body = [
        f"<header><h1>{html.escape(names)}, compared</h1><p class=verdict>{inline(say_verdict(comparison, unit))}</p>",
        write_tiles(comparison), paragraph(say_quote(comparison, unit)), paragraph(say_outcomes(comparison, unit)),
        write_gate(comparison), "</header>",
        section("Figures", write_table(list_figures_table(comparison, unit)), paragraph(say_references(comparison)),
                charts.get("readers", "")),
        section("Further readers", write_table(further), paragraph(say_adjusted("comparisons"))) if further.rows else "",
        section("How the errors fall", charts["cer_distribution"], charts["scatter"], charts.get("documents", "")),
        section("Slices", write_table(slices), paragraph(say_adjusted("slices"))) if slices.rows else "",
        section("Failures", paragraph(say_transitions(comparison, unit)),
                write_table(list_transitions_table(comparison)) if has_failures else ""),
        section("Forgetting", paragraph(forgetting)) if forgetting else "",
        section("What is taken for what", paragraph(say_confusions(comparison, unit)), charts["confusions"],
                "<details><summary>As a table</summary>", write_table(list_confusions_table(comparison, confusions)),
                "</details>") if confusions else "",
        section("Training", charts["loss"]) if "loss" in charts else "",
        section("Documents", write_table(list_documents_table(comparison, unit))),
        *((write_pages(f"{units} that are still worst", list_worst(pages), worst, f"Every {unit} is read perfectly.", comparison),
           write_pages(f"{units} that improved most", list_improved(pages), worst, f"No {unit} improved.", comparison),
           write_pages(f"{units} that got worse", list_worsened(pages), worst, f"No {unit} got worse.", comparison)) if worst else ()),
    ]
    return "\n".join([
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">', f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">', f"<title>{html.escape(names)}, compared</title>",
        f"<style>{STYLE}</style></head><body><main>", *filter(None, body), "</main></body></html>\n"])
