"""Measure a model on sets of lines, each a folder with one .jsonl of {image, text}, beside other readers.

    python -m tools.measure models/base/tiny data/canary tests/lines/seen tests/lines/unseen tests/lines/long
    python -m tools.measure models/base/tiny ~/scans/lines --by kind --beside tesseract --beside rapidocr
    python -m tools.measure models/base/tiny build/lines/seen-600 --by language

The CER stands with its 95 % interval: a bootstrap over lines, or over the column that --group names, for lines of one page are alike.
"""

from pathlib import Path
from typing import Annotated

import typer

DRAWS = 10_000
CONFIDENCE = 0.95


def read_lines(folder: Path, by: str | None, group: str | None) -> dict[str, list[dict]]:
    """Return the rows of a folder's .jsonl by set: the whole folder, or each value of the column `by`; `group` names what is alike."""
    import hashlib

    from ocrtune.rows import read_rows

    files = sorted(folder.glob("*.jsonl"))
    if len(files) != 1:
        raise ValueError(f"{folder}: expected one .jsonl of lines, found {len(files)}")
    sets: dict[str, list[dict]] = {}
    for row in read_rows(files[0], ("image", "text", *(name for name in (by, group) if name))):
        image = folder / row["image"]
        line = {"page_id": f"{folder}/{row['image']}", "image": image, "text": row["text"], "doc_id": str(row[group or "image"]),
                "sha256": hashlib.sha256(image.read_bytes()).hexdigest()}
        sets.setdefault(f"{folder}, {row[by]}" if by else str(folder), []).append(line)
    return sets


def interval(scored: list[dict]) -> tuple[float, float]:
    """Return the bounds of the pooled CER, drawn anew by doc_id."""
    from collections import Counter

    from ocrtune.comparing.paired import draw_rates, percentile_interval
    from ocrtune.scoring.scores import count_page_edits

    edits, lengths = Counter(), Counter()
    for row in scored:
        edits[row["doc_id"]] += count_page_edits(row)
        lengths[row["doc_id"]] += row["reference_chars"]
    rates = draw_rates([[edits[name]] for name in lengths], list(lengths.values()), DRAWS, seed=0)
    return percentile_interval(rates[:, 0], CONFIDENCE)


def measure(readers: dict, sets: dict[str, list[dict]]) -> dict[tuple[str, str], dict]:
    """Return the pooled scores of each set by each reader, with `cer_low` and `cer_high`, read through the store like any page."""
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
            scored = [{"doc_id": row["doc_id"], "origin": "gold", "finish_reason": answer.finish_reason,
                       **score_page(row["text"], answer.text, "nfc_ws")} for row, answer in zip(rows, answers, strict=True)]
            low, high = interval(scored)
            figures[title, name] = {**summarize(scored), "cer_low": low, "cer_high": high}
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
    if student not in values["students"]:
        raise ValueError(f"--student {student}: not in params.yaml's students, which has {', '.join(values['students'])}")
    readers = {str(model): open_reader(Local(model=str(model), **values["students"][student]))}
    return readers | {name: open_reader(TypeAdapter(Reader).validate_python(values["teachers"][name]),
        values["prompts"]) for name in beside}


def main(
    model: Annotated[Path, typer.Argument(help="the model's folder")],
    folders: Annotated[list[Path], typer.Argument(help="folders of lines")],
    student: Annotated[str, typer.Option(help="the profile that says how the model is asked")] = "tiny",
    by: Annotated[str | None, typer.Option(help="a column of the rows: measure each of its values by itself")] = None,
    group: Annotated[str | None, typer.Option(help="a column of the rows: lines of one page or document are drawn together")] = None,
    beside: Annotated[list[str] | None, typer.Option(help="a teacher of params.yaml that reads the same lines; repeat for more")] = None,
) -> None:
    """Measure a model on sets of lines, and other readers on the same ones; print a table in Markdown."""
    from ocrtune.params.load import report_errors

    with report_errors():
        sets: dict[str, list[dict]] = {}
        for folder in folders:
            sets |= read_lines(folder, by, group)
        figures = measure(open_readers(model, student, beside or []), sets)
        print("| lines | read by | how many | CER | 95 % interval | WER | perfect |\n|:--|:--|--:|--:|:-:|--:|--:|")
        for (title, name), scores in figures.items():
            bounds = f"{scores['cer_low']:.2%} to {scores['cer_high']:.2%}"
            print(f"| {title} | {name} | {scores['num_pages']} | {scores['cer']:.2%} | {bounds} "
                  f"| {scores['wer']:.2%} | {scores['perfect_rate']:.0%} |")


if __name__ == "__main__":
    typer.run(main)
