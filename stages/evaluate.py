"""Let a reader read the test split and score it, page by page; clean print too, to see what was forgotten.

    python -m stages.evaluate tuned models/merged data/pages data/splits data/canary \\
        data/predictions/tuned.jsonl metrics/evaluate/tuned.json metrics/evaluate/tuned.csv
"""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(name: str, model: Path, folders: tuple[Path, Path, Path], predictions: Path, summary: Path, scores: Path) -> None:
    """Write a reader's predictions, its scores a page and their summary; `folders`: pages, splits, canary."""
    from ocrtune.normalizers import find_normalizer
    from ocrtune.params.evaluate import EvaluateParams
    from ocrtune.params.evaluate import Student as ChosenStudent
    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.teachers import Local
    from ocrtune.readers.open import open_reader
    from ocrtune.reading import Page
    from ocrtune.readings import read_pages
    from ocrtune.rows import check_counts, index_rows, read_rows, write_json, write_rows
    from ocrtune.scores import score_page, summarize, write_scores_csv
    from ocrtune.store import open_store

    pages, splits, canary = folders
    params = load_section("evaluate", EvaluateParams)
    values = read_params()
    if name not in params.readers:
        raise ValueError(f"evaluate.readers has no {name!r}; it has: {', '.join(params.readers)}")
    profile = params.readers[name].reader
    if isinstance(profile, ChosenStudent):
        student = values["student"]
        folder = model / student if model.name == "base" else model  # models/base holds every student as it came
        profile = Local(model=str(folder), **values["students"][student])
    reader, store = open_reader(profile, values["prompts"]), open_store()

    known = index_rows(read_rows(pages / "pages.jsonl", ("page_id", "image", "sha256", "text_layer")), source=str(pages))
    rows = read_rows(splits / "test.jsonl", ("page_id", "doc_id", "image", "text", "origin"))
    index_rows(rows, source=f"{splits}/test.jsonl")
    clean = read_rows(canary / "canary.jsonl", ("page_id", "image", "text", "sha256"))
    index_rows(clean, source=f"{canary}/canary.jsonl")
    if not rows:
        raise ValueError(f"{splits}/test.jsonl: no pages to score; label more documents or raise split.test")
    unknown = [row["page_id"] for row in rows if row["page_id"] not in known]
    if unknown:
        raise ValueError(f"{splits}/test.jsonl: {unknown[0]} and {len(unknown) - 1} more are no pages of {pages}; run split again")
    found = [(row, known[row["page_id"]]) for row in rows]
    test = [Page(row["page_id"], splits / row["image"], page["sha256"], page["text_layer"]) for row, page in found]
    readings = read_pages(reader, test, store, name)
    scored = []
    for row in rows:
        reading = readings[row["page_id"]][1]  # a page the reader failed on has an empty text: it counts in full
        scored.append({"page_id": row["page_id"], "doc_id": row["doc_id"], "origin": row["origin"],
                       **score_page(row["text"], reading.text, params.normalizer), "finish_reason": reading.finish_reason})
    write_rows(predictions, [{"page_id": page_id, "text": reading.text, "key": key, "finish_reason": reading.finish_reason}
                             for page_id, (key, reading) in readings.items()])
    write_scores_csv(scores, scored)

    clean_pages = [Page(row["page_id"], canary / row["image"], row["sha256"], row["text"]) for row in clean]
    readings = read_pages(reader, clean_pages, store, f"{name} on clean print")
    remembered = summarize([{"doc_id": "canary", "origin": "gold", "finish_reason": "stop",
                             **score_page(row["text"], readings[row["page_id"]][1].text, params.normalizer)} for row in clean])
    figures = {"reader": name, "normalizer": find_normalizer(params.normalizer).label, **summarize(scored),
               "canary": {"num_lines": len(clean), "cer": remembered["cer"]}}
    write_json(summary, figures)
    check_counts(f"evaluate {name}", len(rows), len(scored), 0)
    print(f"  CER {figures['cer']:.4f}  WER {figures['wer']:.4f}  character F1 {figures['char_f1']:.4f}  "
          f"clean print CER {remembered['cer']:.4f}")


def main(
    name: Annotated[str, typer.Argument(help="a reader in params.yaml, evaluate.readers")],
    model: Annotated[Path, typer.Argument(help="what the reader rests on: a model's folder")],
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl and images")],
    splits: Annotated[Path, typer.Argument(help="folder of test.jsonl")],
    canary: Annotated[Path, typer.Argument(help="folder of canary.jsonl: clean print")],
    predictions: Annotated[Path, typer.Argument(help="file to write predictions to")],
    summary: Annotated[Path, typer.Argument(help="JSON file to write figures to")],
    scores: Annotated[Path, typer.Argument(help="CSV file to write a row a page to")],
) -> None:
    """Let a reader read the test split and score it."""
    from ocrtune.params.load import report_errors

    with report_errors():
        evaluate(name, model, (pages, splits, canary), predictions, summary, scores)


if __name__ == "__main__":
    typer.run(main)
