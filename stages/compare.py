"""Compare readers on the same pages: the verdict with its interval, as JSON, CSV, Markdown and pictures.

    python -m stages.compare data/pages data/splits data/predictions metrics/evaluate \\
        metrics/compare.json metrics/compare.csv metrics/compare.md metrics/plots

Fails when the gate (params.yaml, compare.gate) does not pass, after everything is written.
"""

from pathlib import Path
from typing import Annotated

import typer


def find_unit(rows: list[dict]) -> str:
    """Return what the rows of pages.jsonl are: line, block or page, by their ids (`..._l003`, `..._b003`)."""
    kinds = {"page" if row["line"] is None else "block" if row["page_id"].rpartition("_")[2].startswith("b") else "line" for row in rows}
    return kinds.pop() if len(kinds) == 1 else "page"


def compare(inputs: tuple[Path, Path, Path, Path], metrics: Path, table: Path, report: Path, plots: Path, params) -> list[str]:
    """Write the reports by `CompareParams` and return what the gate does not let pass; `inputs`: pages, splits, predictions, scores."""
    from ocrtune.changed_pages import list_changed_pages, rank_confusions
    from ocrtune.comparison import compare_readers, list_figures, write_comparison_csv
    from ocrtune.plots import draw_pictures
    from ocrtune.report import render_markdown, say_verdict
    from ocrtune.rows import check_counts, index_rows, iterate_rows, write_json, write_text
    from ocrtune.scored_readers import check_readers, find_readers, index_test_rows, read_predictions, read_reader

    folder, splits, predictions, scores = inputs
    readers = [read_reader(scores, name) for name in find_readers(scores, params)]
    check_readers(readers)
    comparison = compare_readers(readers, params)

    test = index_test_rows(splits / "test.jsonl", readers[0])
    known = index_rows(iterate_rows(folder / "pages.jsonl", ("page_id", "line", "width")), source=str(folder / "pages.jsonl"))
    references = {page_id: row["text"] for page_id, row in test.items()}
    before, after = (read_predictions(predictions / f"{reader.name}.jsonl", reader, references) for reader in readers[:2])
    images = {page_id: splits / row["image"] for page_id, row in test.items()}
    pages = list_changed_pages(comparison, known, images, references, before, after)
    unit, confusions = find_unit([known[page.page_id] for page in pages]), rank_confusions(pages)

    pictures = draw_pictures(plots, comparison, pages, confusions, unit)
    write_text(report, render_markdown(comparison, pages, confusions, pictures, report, unit, params.worst))
    rows_out = write_comparison_csv(table, comparison)
    write_json(metrics, list_figures(comparison))
    check_counts("compare", len(test), rows_out, 0)
    print(say_verdict(comparison, unit))
    return [f"{bound.key}: {'nothing was measured' if bound.increase is None else f'{bound.increase:+.4f}'}, allowed is {bound.bound:+.4f}"
            for bound in comparison.bounds if not bound.has_passed]


def main(
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl and images")],
    splits: Annotated[Path, typer.Argument(help="folder of test.jsonl")],
    predictions: Annotated[Path, typer.Argument(help="folder of <reader>.jsonl")],
    scores: Annotated[Path, typer.Argument(help="folder of <reader>.json and <reader>.csv that evaluate wrote")],
    metrics: Annotated[Path, typer.Argument(help="JSON file to write figures to")],
    table: Annotated[Path, typer.Argument(help="CSV file to write a row a page to")],
    report: Annotated[Path, typer.Argument(help="Markdown file to write the report to")],
    plots: Annotated[Path, typer.Argument(help="folder to write pictures to")],
) -> None:
    """Compare readers on the same pages and fail when the gate does not pass."""
    import sys

    from ocrtune.params.compare import CompareParams
    from ocrtune.params.load import load_section, report_errors

    with report_errors():
        params = load_section("compare", CompareParams)
        failures = compare((pages, splits, predictions, scores), metrics, table, report, plots, params)
    if failures:
        print(f"error: compare.gate in params.yaml does not pass; see {report}", *failures, sep="\n  ", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
