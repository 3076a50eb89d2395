"""Let one reader read the pages of a split and score it, page by page; clean print too, to see what was forgotten.

    python -m stages.evaluate tuned models/merged data/documents data/pages data/splits data/canary \\
        data/predictions/tuned.jsonl data/predictions/canary/tuned.jsonl metrics/evaluate/tuned.json metrics/evaluate/tuned.csv

The pages are those of `<split>.jsonl` in the folder of splits (params.yaml, evaluate.folder and evaluate.split). What was read of
clean print is kept, too: with its rows the readings travel, and nobody else pays for them.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer


class Inputs(NamedTuple):
    """The folders that evaluate reads."""

    documents: Path
    pages: Path
    splits: Path
    canary: Path


class Outputs(NamedTuple):
    """The files that evaluate writes: rows of the split's pages and of clean print, figures, and scores page by page."""

    predictions: Path
    clean: Path
    summary: Path
    scores: Path


def open_evaluated(name: str, model: Path, params):
    """Return the reader of that name in `EvaluateParams`, and its profile."""
    from ocrtune.machines.spreading import spread
    from ocrtune.params.evaluate import Student
    from ocrtune.params.load import read_params
    from ocrtune.params.teachers import Local
    from ocrtune.readers.open import open_reader

    if name not in params.readers:
        raise ValueError(f"evaluate.readers has no {name!r}; it has: {', '.join(params.readers)}")
    profile, values = params.readers[name].reader, read_params()
    if isinstance(profile, Student):
        student = values["student"]
        folder = model / student if model.name == "base" else model  # models/base holds every student as it came
        profile = Local(model=str(folder), **values["students"][student])
    return spread(open_reader(profile, values["prompts"]), values["executor"], has_model=isinstance(profile, Local)), profile


def read_and_score(title: str, reader, profile, pages: list, rows: list[dict], rules, budget):
    """Return the scores of all rows, a row of scores each, and the predictions, by page_id; `pages` in the rows' order."""
    from ocrtune.evaluation.reader_scores import ReaderScores
    from ocrtune.readers.postprocess import postprocess
    from ocrtune.store.readings import read_pages
    from ocrtune.store.store import open_store

    readings = read_pages(reader, pages, open_store(), title, budget)
    scores, scored, predictions = ReaderScores(rules), [], {}
    for row in rows:
        key, reading = readings[row["page_id"]]  # a page the reader failed on has an empty text: it counts in full
        text = postprocess(getattr(profile, "postprocess", "default"), reading.text)
        predictions[row["page_id"]] = {"page_id": row["page_id"], "text": text, **({} if text == reading.text else {"raw": reading.text}),
                                       "key": key, "finish_reason": reading.finish_reason}
        scored.append(scores.add(row, text, reading.finish_reason))
    return scores, scored, predictions


def evaluate(name: str, model: Path, inputs: Inputs, outputs: Outputs) -> None:
    """Write a reader's predictions, its scores a page and their summary."""
    from ocrtune.evaluation.reader_scores import Rules
    from ocrtune.params.evaluate import EvaluateParams
    from ocrtune.params.load import load_section
    from ocrtune.readers.postprocess import VERSIONS
    from ocrtune.rows import check_counts, write_json, write_rows
    from ocrtune.scoring.evaluated_pages import read_canary, read_evaluated
    from ocrtune.scoring.scores_csv import write_scores_csv
    from ocrtune.scoring.summaries import name_rate
    from ocrtune.store.budget import Budget
    from ocrtune.texts.normalizers import find_normalizer

    params = load_section("evaluate", EvaluateParams)
    reader, profile = open_evaluated(name, model, params)
    rules = Rules(find_normalizer(params.normalizer, params.fold).label, params.unit, params.structure)
    rows, pages = read_evaluated(inputs.splits / f"{params.split}.jsonl", inputs.pages, inputs.documents, params.slices, params.top_k)
    clean, clean_pages = read_canary(inputs.canary)
    budget = Budget(**params.budget.model_dump(), name="evaluate.budget")

    totals, scored, texts = read_and_score(name, reader, profile, pages, rows, rules, budget)
    write_rows(outputs.predictions, texts.values())
    write_scores_csv(outputs.scores, scored)
    remembered, _, kept = read_and_score(f"{name} on clean print", reader, profile, clean_pages, clean, rules._replace(has_structure=False),
                                         budget)
    write_rows(outputs.clean, kept.values())
    applied = getattr(profile, "postprocess", "default")
    figures = {"reader": name, "split": params.split, "top_k": params.top_k, "postprocess": f"{applied}@{VERSIONS[applied]}",
               **totals.figures(params.confusions),
               "canary": {"num_lines": len(clean), **({"cer": round(remembered.totals.pool()["cer"], 6)} if clean else {})}}
    write_json(outputs.summary, figures)
    check_counts(f"evaluate {name}", len(rows), len(scored), 0)
    pooled = totals.totals.pool()
    against = ", ".join(f"{number} {origin}" for origin, number in figures["origins"].items())
    cer, wer = (name_rate(rate, figures["origins"]) for rate in ("CER", "WER"))
    print(f"  {cer} {pooled['cer']:.4f}  {wer} {pooled['wer']:.4f}  character F1 {pooled['char_f1']:.4f}  against {against}"
          + (f"; clean print CER {figures['canary']['cer']:.4f}" if clean else ""))


def main(
    name: Annotated[str, typer.Argument(help="a reader in params.yaml, evaluate.readers")],
    model: Annotated[Path, typer.Argument(help="what the reader rests on: a model's folder")],
    documents: Annotated[Path, typer.Argument(help="folder of documents.jsonl")],
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl and images")],
    splits: Annotated[Path, typer.Argument(help="folder of the split's .jsonl")],
    canary: Annotated[Path, typer.Argument(help="folder of canary.jsonl: clean print")],
    predictions: Annotated[Path, typer.Argument(help="file to write predictions to")],
    clean: Annotated[Path, typer.Argument(help="file to write predictions of clean print to")],
    summary: Annotated[Path, typer.Argument(help="JSON file to write figures to")],
    scores: Annotated[Path, typer.Argument(help="CSV file to write a row a page to")],
) -> None:
    """Let a reader read the pages of a split and score it."""
    from ocrtune.params.load import report_errors

    with report_errors():
        evaluate(name, model, Inputs(documents, pages, splits, canary), Outputs(predictions, clean, summary, scores))


if __name__ == "__main__":
    typer.run(main)
