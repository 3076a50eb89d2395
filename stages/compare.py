"""Compare readers on the same pages: the verdict with its interval, as JSON, CSV, Markdown, HTML and pictures.

    python -m stages.compare data/pages data/splits data/splits/train.jsonl data/splits/val.jsonl data/predictions \\
        metrics/evaluate metrics/train metrics/compare.json metrics/compare.csv metrics/compare.md metrics/compare.html \\
        metrics/plots metrics/tables

Fails when the gate (params.yaml, compare.gate) does not pass, after everything is written; with `fails: false` it says so alone.
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


def read_curve(folder: Path, name: str) -> list[tuple[int, float]]:
    """Return steps and values that train logged under that name; none where there was no training."""
    import csv

    path = folder / "plots" / "metrics" / f"{name}.tsv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file, delimiter="\t")]


def compare(inputs: Inputs, outputs, params, evaluated: dict) -> list[str]:
    """Write the reports to `ocrtune.comparing.files.Outputs` by `CompareParams` and return what the gate does not let pass.

    `evaluated` is section `evaluate` of params.yaml, which names readers and pages.
    """
    from ocrtune.comparing.comparison import compare_readers
    from ocrtune.comparing.files import write_comparison
    from ocrtune.comparing.scored_readers import check_readers, find_readers, index_references, read_reader
    from ocrtune.comparing.verdict import find_unit, say_quote, say_verdict
    from ocrtune.splits.leaks import find_leaks, find_learnt

    readers = [read_reader(inputs.scores, name) for name in find_readers(inputs.scores, params, list(evaluated["readers"]))]
    check_readers(readers)
    tested, least = inputs.splits / f"{evaluated['split']}.jsonl", params.gate.max_likeness
    rows = index_references(tested, evaluated["top_k"], readers[0])
    learnt = find_learnt(tested, {"train": inputs.train, "val": inputs.val})
    leaks = find_leaks(tested, [inputs.train, inputs.val], least) if least and not learnt else []
    comparison = compare_readers(readers, params, leaks, learnt)
    unit = find_unit(rows)
    rows = {page_id: row | {"image": inputs.splits / row["image"]} for page_id, row in rows.items()}
    predictions = tuple(inputs.predictions / f"{reader.name}.jsonl" for reader in readers[:2])
    curves = read_curve(inputs.training, "loss"), read_curve(inputs.training, "val_cer")
    write_comparison(comparison, rows, predictions, outputs, unit, params.worst, curves)
    print(say_verdict(comparison, unit), say_quote(comparison, unit), sep="\n")
    return [bound.say_failure() for bound in comparison.bounds if not bound.has_passed]


def main(
    pages: Annotated[Path, typer.Argument(help="folder of the images that the rows name")],
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
    import os
    import sys

    from ocrtune.comparing.files import Outputs
    from ocrtune.params.compare import CompareParams
    from ocrtune.params.load import load_section, read_params, report_errors

    with report_errors():
        params = load_section("compare", CompareParams)
        values = read_params()
        inputs = Inputs(pages, splits, train, val, predictions, scores, training)
        failures = compare(inputs, Outputs(metrics, table, report, page, plots, tables), params, values["evaluate"])
    if failures:
        kind = "error" if params.gate.fails else "warning"
        print(f"{kind}: compare.gate in params.yaml does not pass; see {report}", *failures, sep="\n  ", file=sys.stderr)
    if failures and params.gate.fails:
        if "DVC_EXP_NAME" in os.environ:  # DVC tells a stage which experiment it belongs to, and drops one that fails
            print("no experiment is kept of this run, but all that was trained and read is in DVC's cache: the same again with "
                  "-S compare.gate.fails=false runs compare alone, and keeps it", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
