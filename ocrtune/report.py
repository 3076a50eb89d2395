"""Tell a person what a comparison found, as Markdown: the verdict first, then tables, pictures and pages."""

import html
import os
from pathlib import Path
from urllib.parse import quote

from ocrtune.changed_pages import ChangedPage, Confusion, list_improved, list_worsened, list_worst
from ocrtune.comparison import ORIGINS, Comparison
from ocrtune.marked_text import escape, mark_prediction, show_reference, show_spaces
from ocrtune.plots import Picture

MOST_WIDTH = 760
MOST_ROWS = 25  # of the table of documents that are shown unfolded


def percent(share: float) -> str:
    """Return a share in percent, with a second digit where the first would hide it."""
    return f"{100 * share:.{2 if 0 < abs(share) < 0.00995 else 1}f} %"


def points(*changes: float) -> list[str]:
    """Return changes of a share in percentage points, signed, alike in digits."""
    digits = 2 if 0 < max(map(abs, changes)) < 0.00995 else 1
    return [f"{100 * change:+.{digits}f}" if round(100 * change, digits) else f"{0:.{digits}f}" for change in changes]


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def say_verdict(comparison: Comparison, unit: str) -> str:
    """Return the finding as one plain sentence; "lowered" or "raised" only where the interval leaves out 0."""
    difference, (before, after) = comparison.difference, comparison.cers[:2]
    names = comparison.baseline.name, comparison.candidate.name
    subject = "Fine-tuning" if names == ("base", "tuned") else f"Reading with {names[1]} instead of {names[0]}"
    score = comparison.score_name
    over = f"over {count(len(comparison.documents), 'document')}, {count(comparison.num_pages, unit)}"
    if difference.interval is None:
        (change,) = points(difference.absolute)
        return (f"The {score} is {percent(before)} with {names[0]} and {percent(after)} with {names[1]} ({change} points, {over}); "
                "one document alone can't say how far that holds for others.")
    change, low, high = points(difference.absolute, *difference.interval)
    numbers = f"({change} points, {100 * comparison.confidence:g} % interval {low} to {high}, {over})"
    if not difference.is_clear:
        return f"{subject} made no clear difference to the {score}: {percent(before)} before, {percent(after)} after {numbers}."
    verb = "lowered" if difference.absolute < 0 else "raised"
    return f"{subject} {verb} the {score} from {percent(before)} to {percent(after)} {numbers}."


def say_outcomes(comparison: Comparison, unit: str) -> str:
    """Return how evenly the difference falls on documents and pages, and how likely chance alone makes it."""
    difference = comparison.difference
    relative = "" if difference.relative is None else f" Relative to before, that is {100 * difference.relative:+.0f} %."
    parts = [f"Of {count(sum(outcomes), noun)}, {outcomes.wins:,} got better, {outcomes.ties:,} stayed the same "
             f"and {outcomes.losses:,} got worse." for outcomes, noun in ((difference.documents, "document"), (difference.pages, unit))]
    p = "p < 0.001" if difference.p_value < 0.001 else f"p = {difference.p_value:.3f}"
    few = " With so few documents the interval tends to be too narrow." if len(comparison.documents) < 10 else ""
    return " ".join(parts) + relative + f" If the two read alike, chance would part them this far with {p} (sign flips by document).{few}"


def say_gate(comparison: Comparison) -> list[str]:
    """Return the bounds of the gate, a line each."""
    def say(bound) -> str:
        if bound.increase is None:
            return f"`{bound.key}`: **not passed**, nothing was measured on clean print"
        change, allowed = points(bound.increase, bound.bound)
        return f"`{bound.key}`: {'passed' if bound.has_passed else '**not passed**'}, {change} points, at most {allowed} allowed"

    if not comparison.bounds:
        return ["No gate is set (params.yaml, `compare.gate`)."]
    return ["The gate (params.yaml, `compare.gate`):", "", *(f"- {say(bound)}" for bound in comparison.bounds)]


def table(header: list[str], rows: list[list[str]], num_texts: int = 1) -> list[str]:
    """Return a Markdown table; the first `num_texts` columns hold texts, the others numbers."""
    rules = [":--"] * num_texts + ["--:"] * (len(header) - num_texts)
    return [f"| {' | '.join(header)} |", f"|{'|'.join(rules)}|", *(f"| {' | '.join(row)} |" for row in rows)]


def list_readers(comparison: Comparison, unit: str) -> list[str]:
    """Return the table of figures: a column a reader, the last one what changed from baseline to candidate."""
    figures = [reader.figures for reader in comparison.readers]
    num_pages = comparison.num_pages

    def row(title: str, key: str, show=percent) -> list[str]:
        return [title, *(show(figure[key]) for figure in figures), points(figures[1][key] - figures[0][key])[0]]

    def show_share(share: float) -> str:
        return f"{percent(share)} ({round(share * num_pages)})"

    def edits_row(title: str, key: str) -> list[str]:
        counts = [sum(row[key] for row in reader.rows.values()) for reader in comparison.readers]
        return [title, *(f"{number:,}" for number in counts), f"{counts[1] - counts[0]:+,}"]

    rows = [
        row(f"**{comparison.score_name.replace('character error rate', 'CER')}**, pooled", "cer"),
        [f"{100 * comparison.confidence:g} % interval", *("-" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"
                                                       for interval in comparison.intervals), ""],
        *([f"against {origin}", *map(percent, cers), points(cers[1] - cers[0])[0]]
          for origin, cers in comparison.origin_cers().items() if len(comparison.origins) > 1),
        row("WER", "wer"), row("character F1", "char_f1"), row("word F1", "word_f1"),
        row(f"perfect {unit}s", "perfect_rate", show_share),
        row(f"mean CER of a {unit}", "mean_cer"), row("... cut at 100 %", "clipped_mean_cer"), row("median", "median_cer"),
        edits_row("substitutions", "substitutions"), edits_row("insertions", "insertions"), edits_row("deletions", "deletions"),
        row(f"empty {unit}s", "empty_rate", show_share), row("cut off", "truncated_rate", show_share),
        row("looping", "loop_rate", show_share),
    ]
    names = [f"`{reader.name}`" for reader in comparison.readers]
    return table(["", *names, f"{names[1]} less {names[0]}"], rows)


def say_references(comparison: Comparison) -> str:
    """Return what the references are, who made them and how texts were prepared."""
    origins = comparison.origins
    parts = [f"{number:,} are {origin}" for origin, number in origins.items()]
    made = f"{', '.join(parts[:-1])} and {parts[-1]}" if parts[1:] else f"all are {next(iter(origins))}"
    warning = (" A teacher errs too: a score against its labels measures agreement with the teacher. "
               "Texts that people checked, in `data/gold.jsonl`, make it a CER proper." if ORIGINS["teacher"] in origins else "")
    return (f"Of {count(comparison.num_pages, 'reference')} with {comparison.reference_chars:,} characters, {made}.{warning} "
            f"References and predictions were both prepared with the normalizer `{comparison.baseline.figures['normalizer']}`.")


def say_forgetting(comparison: Comparison) -> str:
    """Return how reading clean print changed."""
    before, after = comparison.baseline.canary_cer, comparison.candidate.canary_cer
    if before is None or after is None:
        return "Clean print was not read (`data/canary` is empty), so nothing is known of what was forgotten."
    (change,) = points(after - before)
    lines = count(comparison.candidate.figures["canary"]["num_lines"], "line")
    return (f"On {lines} of clean print, which has nothing to do with these documents, the CER went from {percent(before)} "
            f"to {percent(after)} ({change} points).")


def list_documents(comparison: Comparison, unit: str) -> list[str]:
    """Return the table of documents, worst after first; folded where it is long."""
    documents = sorted(comparison.documents, key=lambda document: (-document.cer(1), document.doc_id))
    rows = [[show_id(document.doc_id), str(document.num_pages), f"{document.reference_chars:,}", percent(document.cer(0)),
             percent(document.cer(1)), points(document.cer(1) - document.cer(0))[0]] for document in documents]
    lines = table(["document", f"{unit}s", "characters", f"`{comparison.baseline.name}`", f"`{comparison.candidate.name}`", "change"], rows)
    if len(rows) <= MOST_ROWS:
        return lines
    return ["<details>", f"<summary>{len(rows)} documents, worst first</summary>", "", *lines, "", "</details>"]


def list_confusions(comparison: Comparison, confusions: list[Confusion]) -> list[str]:
    """Return the table of what was read as what."""
    def show(text: str) -> str:
        return escape(show_spaces(text)) or "*(nothing)*"

    rows = [[show(pair.reference), show(pair.prediction), f"{pair.before:,}", f"{pair.after:,}"] for pair in confusions]
    return table(["reference", "read as", f"`{comparison.baseline.name}`", f"`{comparison.candidate.name}`"], rows, num_texts=2)


def show_id(name: str) -> str:
    """Return an id, escaped but for underscores, which are no markup inside a word."""
    return escape(name).replace("&#95;", "_")


def link(target: Path, report: Path) -> str:
    """Return the address of a file as seen from the report."""
    return quote(Path(os.path.relpath(target, report.parent)).as_posix())


def show_page(page: ChangedPage, comparison: Comparison, report: Path) -> list[str]:
    """Return a page: its image, its reference, and both texts with their edits marked."""
    image = f'<img src="{link(page.image, report)}" alt="{html.escape(page.page_id)}" width="{min(page.width, MOST_WIDTH)}">'
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
    return "\n".join([
        f"# `{comparison.baseline.name}` and `{comparison.candidate.name}`, compared", "",
        f"**{say_verdict(comparison, unit)}**", "", say_outcomes(comparison, unit), "", *say_gate(comparison), "",
        "## Figures", "", *list_readers(comparison, unit), "", say_references(comparison), "",
        "## Forgetting", "", say_forgetting(comparison), "",
        "## Pictures", "",
        *(line for picture in pictures for line in (f"![{escape(picture.caption)}]({link(picture.path, report)})", "")),
        "## Documents", "", *list_documents(comparison, unit), "",
        *(["## What is taken for what", "", *list_confusions(comparison, confusions), ""] if confusions else []),
        *(show_all_pages(comparison, pages, report, unit, worst) if worst else []),
    ]).rstrip("\n") + "\n"
