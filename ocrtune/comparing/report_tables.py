"""The tables of a comparison as rows of cells, for Markdown and HTML alike."""

from typing import NamedTuple

from ocrtune.comparing.changed_pages import Confusion
from ocrtune.comparing.comparison import ORIGINS, Comparison
from ocrtune.comparing.marked_text import show_spaces
from ocrtune.comparing.verdict import percent, points, say_change


class Foreign(str):
    """Text that is not ours: an id, a slice's value, what a model wrote. Whoever shows it escapes it."""


class Table(NamedTuple):
    """A header and rows; the first `num_texts` columns hold texts, the others numbers."""

    header: list[str]
    rows: list[list[str]]
    num_texts: int = 1


def list_figures_table(comparison: Comparison, unit: str) -> Table:
    """Return the figures: a column a reader, the last one what changed from baseline to candidate."""
    figures = [reader.figures for reader in comparison.readers]
    num_pages, cer = comparison.num_pages, comparison.name_rate("CER")

    def row(title: str, key: str, show=percent) -> list[str]:
        return [title, *(show(figure[key]) for figure in figures), points(figures[1][key] - figures[0][key])[0]]

    def show_share(share: float) -> str:
        return f"{percent(share)} ({round(share * num_pages)})"

    def edits_row(title: str, key: str) -> list[str]:
        counts = [sum(row[key] for row in reader.rows.values()) for reader in comparison.readers]
        return [title, *(f"{number:,}" for number in counts), f"{counts[1] - counts[0]:+,}"]

    has_structure = all("teds" in figure for figure in figures), all("reading_order" in figure for figure in figures)
    rows = [
        [f"**{comparison.score_name.replace('character error rate', 'CER')}**, pooled", *(f"**{percent(cer)}**" for cer in comparison.cers),
         f"**{say_change(*comparison.cers[:2])}**"],
        [f"{100 * comparison.confidence:g} % interval", *("-" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"
                                                       for interval in comparison.intervals), ""],
        *([f"against {origin}", *map(percent, cers), points(cers[1] - cers[0])[0]]
          for origin, cers in comparison.origin_cers().items() if len(comparison.origins) > 1),
        row(comparison.name_rate("WER"), "wer"), row("character F1", "char_f1"), row("word F1", "word_f1"),
        row("normalised edit distance", "ned"),
        row(f"perfect {unit}s", "perfect_rate", show_share),
        row(f"{cer}, mean of a {unit}", "mean_cer"), row("... cut at 100 %", "clipped_mean_cer"), row(f"{cer}, median", "median_cer"),
        edits_row("substitutions", "substitutions"), edits_row("insertions", "insertions"), edits_row("deletions", "deletions"),
        row("insertions among the edits", "insertion_share"),
        row(f"empty {unit}s", "empty_rate", show_share), row("cut off", "truncated_rate", show_share),
        row("looping", "loop_rate", show_share), row("failed", "failed_rate", show_share),
        row("useless: looping, or CER of 100 % and more", "catastrophe_rate", show_share),
        row(f"{cer}, without these", "cer_without_catastrophes"),
        *([row("text made up on blank pages", "invention_rate")] if any(figure["num_blank"] for figure in figures) else []),
        *([row("tables: TEDS", "teds"), row("tables: TEDS-S, structure alone", "teds_structure")] if has_structure[0] else []),
        *([row("reading order, edits", "reading_order")] if has_structure[1] else []),
    ]
    names = [f"`{reader.name}`" for reader in comparison.readers]
    return Table(["", *names, f"{names[1]} less {names[0]}"], rows)


def list_slices_table(comparison: Comparison, unit: str) -> Table:
    """Return the slices with the change's interval and its p-value, adjusted by Holm's method."""
    rows = []
    for test in comparison.slices:
        interval, p = show_interval(test.interval), show_p(test.adjusted_p)
        shown = ORIGINS.get(test.value, Foreign(test.value)) if test.column == "origin" else Foreign(test.value)
        rows.append([Foreign(test.column), shown, f"{test.num_pages:,}", str(test.num_documents), *map(percent, test.cers[:2]),
                     say_change(*test.cers[:2]), interval, p])
    names = [f"`{reader.name}`" for reader in comparison.readers[:2]]
    interval = f"{100 * comparison.confidence:g} % interval"
    return Table(["slice", "", f"{unit}s", "documents", *names, "change, points", interval, "p (Holm)"], rows, 2)


def list_further_table(comparison: Comparison) -> Table:
    """Return the readers beside baseline and candidate, each with its difference from both."""
    rows = [[f"`{reader.name}`", f"`{other.name}`", percent(reader.figures["cer"]), say_change(other.figures["cer"], reader.figures["cer"]),
             show_interval(difference.interval), show_p(adjusted), *(f"{number:,}" for number in difference.documents)]
            for reader, other, difference, adjusted in comparison.further]
    interval = f"{100 * comparison.confidence:g} % interval"
    return Table(["reader", "against", comparison.name_rate("CER"), "change, points", interval, "p (Holm)", "documents better", "same",
                  "worse"], rows, 2)


def show_interval(interval: tuple[float, float] | None) -> str:
    """Return the bounds of a change in points."""
    return "-" if interval is None else " to ".join(points(*interval))


def show_p(p: float) -> str:
    """Return a p-value for a table."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def list_documents_table(comparison: Comparison, unit: str) -> Table:
    """Return the documents, worst after first."""
    documents = sorted(comparison.documents, key=lambda document: (-document.cer(1), document.doc_id))
    rows = [[Foreign(document.doc_id), str(document.num_pages), f"{document.reference_chars:,}", percent(document.cer(0)),
             percent(document.cer(1)), points(document.cer(1) - document.cer(0))[0]] for document in documents]
    return Table(["document", f"{unit}s", "characters", f"`{comparison.baseline.name}`", f"`{comparison.candidate.name}`", "change"], rows)


def list_confusions_table(comparison: Comparison, confusions: list[Confusion]) -> Table:
    """Return what was read as what, and how often."""
    def show(text: str) -> str:
        return Foreign(show_spaces(text)) if text else "*(nothing)*"

    rows = [[show(pair.reference), show(pair.prediction), f"{pair.before:,}", f"{pair.after:,}"] for pair in confusions]
    return Table(["reference", "read as", f"`{comparison.baseline.name}`", f"`{comparison.candidate.name}`"], rows, 2)


def list_transitions_table(comparison: Comparison) -> Table:
    """Return how many pages went from which state (rows, baseline) to which (columns, candidate)."""
    moves = comparison.transitions
    states = sorted({state for pair in moves for state in pair}, key=lambda state: (state != "fine", state))
    rows = [[f"{before} with `{comparison.baseline.name}`", *(f"{moves[before, after]:,}" for after in states)] for before in states]
    return Table(["", *(f"{after} with `{comparison.candidate.name}`" for after in states)], rows)
