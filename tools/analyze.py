"""Look at train, val and test before trusting a score: what they hold, how far apart they are, and whether one leaks into another.

    python -m tools.analyze data/splits --out metrics/splits.json

Exits with 1 where documents of two splits are nearly the same, by text or by picture.
"""

from pathlib import Path
from typing import Annotated

import typer

NAMES = ("train", "val", "test")
DRIFT = {"char_divergence": "characters, divergence in bits", "length_gap": "lengths, largest gap",
         "unseen_share": "share of characters unseen in train"}


def analyze(folder: Path, documents: Path | None, least: float, has_images: bool) -> dict:
    """Return statistics of each split, drift from train where both have rows, and near-duplicates between splits."""
    from ocrtune.rows import index_rows, iterate_rows, read_rows
    from ocrtune.splits.near_duplicates import find_image_twins, find_text_twins
    from ocrtune.splits.statistics import describe_drift, describe_split

    splits = {name: read_rows(folder / f"{name}.jsonl", ("page_id", "doc_id", "image", "text", "origin")) for name in NAMES
              if (folder / f"{name}.jsonl").is_file()}
    if len(splits) < 2:
        raise ValueError(f"{folder}: found {', '.join(splits) or 'neither train, val nor test'}; run split")
    known = {} if documents is None else index_rows(iterate_rows(documents, ("doc_id", "url")), "doc_id", str(documents))
    train = splits.get("train", [])
    twins = find_text_twins(splits, least) + (find_image_twins(splits, folder, least) if has_images else [])
    return {"splits": {name: describe_split(rows, known) for name, rows in splits.items()},
            "drift": {name: describe_drift(train, rows) for name, rows in splits.items() if name != "train" and train and rows},
            "near_duplicates": [twin._asdict() for twin in twins]}


def print_tables(found: dict) -> None:
    """Print the analysis as Markdown."""
    splits, drift = found["splits"], found["drift"]

    def show(value) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{key} {number:{'.1%' if isinstance(number, float) else ','}}" for key, number in value.items()) or "-"
        return f"{value:,}"

    print("| | " + " | ".join(splits) + " |\n|:--|" + "--:|" * len(splits))
    for key in next(iter(splits.values())):
        print(f"| {key.removeprefix('num_').replace('_', ' ')} | " + " | ".join(show(part[key]) for part in splits.values()) + " |")
    for key, title in DRIFT.items():
        print(f"| {title} | " + " | ".join(f"{drift[name][key]:.4f}" if name in drift else "" for name in splits) + " |")
    empty = [name for name in NAMES if not splits.get(name, {}).get("num_pages")]
    if empty:
        measured = "no drift is measured" if "train" in empty else "drift from train is not measured"
        print(f"\nNo rows: {', '.join(f'{name}.jsonl' for name in empty)}; {measured}")
    for name, figures in drift.items():
        if figures["unseen"]:
            print(f"\nOf {name}, train never shows: " + " ".join(f"{char!r} ({count})" for char, count in figures["unseen"].items()))


def main(
    folder: Annotated[Path, typer.Argument(help="folder of train.jsonl, val.jsonl and test.jsonl")] = Path("data/splits"),
    documents: Annotated[Path | None, typer.Option(help="documents.jsonl, for sources and kinds")] = None,
    least: Annotated[float, typer.Option(min=0.1, max=1, help="share of text or images from which documents are alike")] = 0.6,
    images: Annotated[bool, typer.Option(help="compare pictures too: reads every image")] = True,
    out: Annotated[Path | None, typer.Option(help="JSON file to write everything to")] = None,
) -> None:
    """Describe the splits and fail where one leaks into another."""
    import sys

    from ocrtune.params.load import report_errors
    from ocrtune.rows import write_json

    with report_errors():
        if documents is None and Path("data/documents/documents.jsonl").is_file():
            documents = Path("data/documents/documents.jsonl")
        found = analyze(folder, documents, least, images)
        print_tables(found)
        if out:
            write_json(out, found)
    if found["near_duplicates"]:
        lines = ["{doc_id} ({split}) and {other_id} ({other_split}): {likeness:.0%} of {by}".format(**twin)
                 for twin in found["near_duplicates"]]
        print("error: documents of two splits are nearly the same; take one out of the documents", *lines, sep="\n  ", file=sys.stderr)
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
