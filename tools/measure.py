"""Measure a model on sets of lines, each a folder with one .jsonl of {image, text}, beside other readers.

    python -m tools.measure models/base/tiny data/canary tests/lines/seen tests/lines/unseen tests/lines/long
    python -m tools.measure models/base/tiny ~/scans/lines --by kind --beside tesseract --beside rapidocr
"""

from pathlib import Path
from typing import Annotated

import typer


def read_lines(folder: Path, by: str | None) -> dict[str, list[dict]]:
    """Return the rows of a folder's .jsonl by set: the whole folder, or each value of the column `by`."""
    import hashlib

    from ocrtune.rows import read_rows

    files = sorted(folder.glob("*.jsonl"))
    if len(files) != 1:
        raise ValueError(f"{folder}: expected one .jsonl of lines, found {len(files)}")
    sets: dict[str, list[dict]] = {}
    for row in read_rows(files[0], ("image", "text", *([by] if by else []))):
        image = folder / row["image"]
        line = {"page_id": f"{folder.name}/{row['image']}", "image": image, "text": row["text"],
                "sha256": hashlib.sha256(image.read_bytes()).hexdigest()}
        sets.setdefault(f"{folder}, {row[by]}" if by else str(folder), []).append(line)
    return sets


def measure(readers: dict, sets: dict[str, list[dict]]) -> dict[tuple[str, str], dict]:
    """Return the pooled scores of each set by each reader, read through the store like any page."""
    from ocrtune.reading import Page
    from ocrtune.scoring.scores import score_page
    from ocrtune.scoring.summaries import summarize
    from ocrtune.store.readings import read_pages
    from ocrtune.store.store import open_store

    store, figures = open_store(), {}
    pages = [Page(row["page_id"], row["image"], row["sha256"]) for rows in sets.values() for row in rows]
    for name, reader in readers.items():
        readings = read_pages(reader, pages, store, name)
        for title, rows in sets.items():
            answers = [readings[row["page_id"]][1] for row in rows]
            figures[title, name] = summarize([
                {"doc_id": title, "origin": "gold", "finish_reason": answer.finish_reason, **score_page(row["text"], answer.text, "nfc_ws")}
                for row, answer in zip(rows, answers, strict=True)])
    return figures


def open_readers(model: Path, student: str, beside: list[str]) -> dict:
    """Return the model's reader and those of the teachers named in `beside`."""
    from pydantic import TypeAdapter

    from ocrtune.params.load import read_params
    from ocrtune.params.teachers import Local, Reader
    from ocrtune.readers.open import open_reader

    values = read_params()
    unknown = [name for name in beside if name not in values["teachers"]]
    if unknown:
        raise ValueError(f"--beside {', '.join(unknown)}: not in params.yaml's teachers, which has {', '.join(values['teachers'])}")
    readers = {str(model): open_reader(Local(model=str(model), **values["students"][student]))}
    return readers | {name: open_reader(TypeAdapter(Reader).validate_python(values["teachers"][name]),
        values["prompts"]) for name in beside}


def main(
    model: Annotated[Path, typer.Argument(help="the model's folder")],
    folders: Annotated[list[Path], typer.Argument(help="folders of lines")],
    student: Annotated[str, typer.Option(help="the profile that says how the model is asked")] = "tiny",
    by: Annotated[str | None, typer.Option(help="a column of the rows: measure each of its values by itself")] = None,
    beside: Annotated[list[str] | None, typer.Option(help="a teacher of params.yaml that reads the same lines; repeat for more")] = None,
) -> None:
    """Measure a model on sets of lines, and other readers on the same ones; print a table in Markdown."""
    from ocrtune.params.load import report_errors

    with report_errors():
        sets: dict[str, list[dict]] = {}
        for folder in folders:
            sets |= read_lines(folder, by)
        figures = measure(open_readers(model, student, beside or []), sets)
        print("| lines | read by | how many | CER | WER | perfect |\n|:--|:--|--:|--:|--:|--:|")
        for (title, name), scores in figures.items():
            print(f"| {title} | {name} | {scores['num_pages']} "
                  f"| {scores['cer']:.2%} | {scores['wer']:.2%} | {scores['perfect_rate']:.0%} |")


if __name__ == "__main__":
    typer.run(main)
