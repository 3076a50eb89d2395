"""Compare readers on the same pages: the verdict with its interval, as JSON, CSV, Markdown, HTML and pictures.

    python -m stages.compare data/pages data/splits data/splits/train.jsonl data/splits/val.jsonl data/predictions \\
        metrics/evaluate metrics/train metrics/compare.json metrics/compare.csv metrics/compare.md metrics/compare.html \\
        metrics/plots metrics/tables

Fails when the gate (params.yaml, compare.gate) does not pass, after everything is written.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer


class Inputs(NamedTuple):
    """The folders that compare reads, and the rows that the student learnt from."""

    pages: Path
    splits: Path
    train: Path
    val: Path
    predictions: Path
    scores: Path
    training: Path


class Outputs(NamedTuple):
    """What compare writes: figures, a row a page, the report twice, pictures, and the tables behind them."""

    metrics: Path
    table: Path
    report: Path
    page: Path
    plots: Path
    tables: Path


def find_unit(rows: list[dict]) -> str:
    """Return what the rows of pages.jsonl are: line, block or page, by their ids (`..._l003`, `..._b003`)."""
    kinds = {"page" if row["line"] is None else "block" if row["page_id"].rpartition("_")[2].startswith("b") else "line" for row in rows}
    return kinds.pop() if len(kinds) == 1 else "page"


def read_losses(folder: Path) -> list[tuple[int, float]]:
    """Return steps and training losses that train logged; none where there was no training."""
    import csv

    path = folder / "plots" / "metrics" / "loss.tsv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file, delimiter="\t")]


def compare(inputs: Inputs, outputs: Outputs, params, evaluated: dict) -> list[str]:
    """Write the reports by `CompareParams` and return what the gate does not let pass.

    `evaluated` is section `evaluate` of params.yaml, which names readers and pages.
    """
    from ocrtune.changed_pages import list_changed_pages, rank_confusions
    from ocrtune.comparison import compare_readers, list_figures, write_comparison_csv
    from ocrtune.html_report import render_html
    from ocrtune.leaks import find_leaks
    from ocrtune.plot_tables import write_plot_tables
    from ocrtune.plots import draw_pictures
    from ocrtune.report import render_markdown
    from ocrtune.rows import check_counts, index_rows, iterate_rows, write_json, write_text
    from ocrtune.scored_readers import check_readers, find_readers, index_references, read_predictions, read_reader
    from ocrtune.verdict import say_verdict

    readers = [read_reader(inputs.scores, name) for name in find_readers(inputs.scores, params, list(evaluated["readers"]))]
    check_readers(readers)
    tested, least = inputs.splits / f"{evaluated['split']}.jsonl", params.gate.max_likeness
    rows = index_references(tested, evaluated["top_k"], readers[0])
    comparison = compare_readers(readers, params, find_leaks(tested, [inputs.train, inputs.val], least) if least else [])
    known = index_rows(iterate_rows(inputs.pages / "pages.jsonl", ("page_id", "line")), source=f"{inputs.pages}/pages.jsonl")
    references = {page_id: row["text"] for page_id, row in rows.items()}
    before, after = (read_predictions(inputs.predictions / f"{reader.name}.jsonl", reader, references) for reader in readers[:2])
    images = {page_id: inputs.splits / row["image"] for page_id, row in rows.items()}
    pages = list_changed_pages(comparison, images, references, before, after)
    unit, confusions = find_unit([known.get(page_id, {"line": None}) for page_id in rows]), rank_confusions(pages)

    pictures = draw_pictures(outputs.plots, comparison, pages, confusions, read_losses(inputs.training), unit)
    write_plot_tables(outputs.tables, comparison, pages, confusions)
    write_text(outputs.report, render_markdown(comparison, pages, confusions, pictures, outputs.report, unit, params.worst))
    write_text(outputs.page, render_html(comparison, pages, confusions, pictures, unit, params.worst))
    rows_out = write_comparison_csv(outputs.table, comparison)
    write_json(outputs.metrics, list_figures(comparison))
    check_counts("compare", len(rows), rows_out, 0)
    print(say_verdict(comparison, unit))
    return [bound.say_failure() for bound in comparison.bounds if not bound.has_passed]


def main(
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl and images")],
    splits: Annotated[Path, typer.Argument(help="folder of the split's .jsonl")],
    train: Annotated[Path, typer.Argument(help="rows that the student learnt from")],
    val: Annotated[Path, typer.Argument(help="rows that its weights were chosen by")],
    predictions: Annotated[Path, typer.Argument(help="folder of <reader>.jsonl")],
    scores: Annotated[Path, typer.Argument(help="folder of <reader>.json and <reader>.csv that evaluate wrote")],
    training: Annotated[Path, typer.Argument(help="folder of what train logged")],
    metrics: Annotated[Path, typer.Argument(help="JSON file to write figures to")],
    table: Annotated[Path, typer.Argument(help="CSV file to write a row a page to")],
    report: Annotated[Path, typer.Argument(help="Markdown file to write the report to")],
    page: Annotated[Path, typer.Argument(help="HTML file to write the report to")],
    plots: Annotated[Path, typer.Argument(help="folder to write pictures to")],
    tables: Annotated[Path, typer.Argument(help="folder to write the pictures' numbers to")],
) -> None:
    """Compare readers on the same pages and fail when the gate does not pass."""
    import sys

    from ocrtune.params.compare import CompareParams
    from ocrtune.params.load import load_section, read_params, report_errors

    with report_errors():
        params = load_section("compare", CompareParams)
        values = read_params()
        inputs = Inputs(pages, splits, train, val, predictions, scores, training)
        failures = compare(inputs, Outputs(metrics, table, report, page, plots, tables), params, values["evaluate"])
    if failures:
        print(f"error: compare.gate in params.yaml does not pass; see {report}", *failures, sep="\n  ", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
