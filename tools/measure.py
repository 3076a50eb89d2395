"""Measure a model on sets of lines, each a folder with one .jsonl of {image, text}.

    python -m tools.measure models/base/tiny data/canary tests/lines/seen tests/lines/unseen
"""

from pathlib import Path
from typing import Annotated

import typer


def measure(model: Path, folders: list[Path], student: str) -> dict[str, dict]:
    """Return the pooled scores of each set, read through the store like any page."""
    from ocrtune.params.load import read_params
    from ocrtune.params.teachers import Local
    from ocrtune.readers.student import StudentReader
    from ocrtune.reading import Page
    from ocrtune.rows import read_rows
    from ocrtune.scores import score_page, summarize
    from ocrtune.store import Store, read_pages, store_folder

    profile = Local(model=str(model), **read_params()["students"][student])
    reader, store, figures = StudentReader(model, profile), Store(store_folder()), {}
    for folder in folders:
        files = sorted(folder.glob("*.jsonl"))
        if len(files) != 1:
            raise ValueError(f"{folder}: expected one .jsonl of lines, found {len(files)}")
        rows = read_rows(files[0], ("page_id", "image", "text", "sha256"))
        readings = read_pages(reader, [Page(row["page_id"], folder / row["image"], row["sha256"]) for row in rows], store, str(folder))
        figures[str(folder)] = summarize([
            {"doc_id": folder.name, "origin": "gold", "finish_reason": readings[row["page_id"]][1].finish_reason,
             **score_page(row["text"], readings[row["page_id"]][1].text, "nfc_ws")} for row in rows])
    return figures


def main(
    model: Annotated[Path, typer.Argument(help="the model's folder")],
    folders: Annotated[list[Path], typer.Argument(help="folders of lines")],
    student: Annotated[str, typer.Option(help="the profile that says how the model is asked")] = "tiny",
) -> None:
    """Measure a model on sets of lines."""
    from ocrtune.params.load import report_errors

    with report_errors():
        for folder, scores in measure(model, folders, student).items():
            print(f"{folder}: {scores['num_pages']} lines, CER {scores['cer']:.4f}, WER {scores['wer']:.4f}, "
                  f"perfect {scores['perfect_rate']:.2f}")


if __name__ == "__main__":
    typer.run(main)
