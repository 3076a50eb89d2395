"""Score stored predictions against references, side by side from two files, without keeping either in memory."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ocrtune.evaluation.reader_scores import ReaderScores, Rules
from ocrtune.rows import RowError, iterate_rows, write_json
from ocrtune.scoring.evaluated_pages import check_texts, choose_some
from ocrtune.scoring.scores_csv import ScoresWriter

MOST_NAMED = 5


def iterate_sorted(path: Path, columns: tuple[str, ...]) -> Iterator[dict]:
    """Yield the rows of a file by rising page_id; a page_id that is no string or occurs twice is a `RowError`.

    Our own files are sorted and are read as they lie. Of one that is not, the places of the rows are kept, and no row.
    """
    previous, is_sorted = None, True
    for row in iterate_rows(path, columns):
        if not isinstance(row["page_id"], str):
            raise RowError(f"{path}: page_id {row['page_id']!r} is not a string")
        is_sorted = is_sorted and (previous is None or previous <= row["page_id"])
        previous = row["page_id"]
    previous = None
    for row in iterate_rows(path, columns) if is_sorted else iterate_by_place(path):
        if row["page_id"] == previous:
            raise RowError(f"{path}: page_id {previous!r} occurs twice; a row must be found by its id")
        previous = row["page_id"]
        yield row


def iterate_by_place(path: Path) -> Iterator[dict]:
    """Yield the rows of a file of valid rows by rising page_id, each sought where it lies."""
    places = []
    with path.open("rb") as file:
        place = 0
        for line in file:
            places.append((json.loads(line)["page_id"], place))
            place += len(line)
        for _, place in sorted(places):
            file.seek(place)
            yield json.loads(file.readline())


def name_pages(names: list[str], count: int) -> str:
    """Return the first few names and how many more there are."""
    return ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")


class Unpaired:
    """Pages of one file that the other lacks: the first few by name, all by number."""

    def __init__(self):
        self.names: list[str] = []
        self.count = 0

    def add(self, name: str) -> None:
        """Count a page."""
        self.count += 1
        if len(self.names) < MOST_NAMED:
            self.names.append(name)


def join(references: Iterator[dict], predictions: Iterator[dict], unknown: Unpaired) -> Iterator[tuple[dict, dict | None]]:
    """Yield each reference with its prediction, or with None; predictions of other pages are counted in `unknown`."""
    prediction = next(predictions, None)
    for reference in references:
        while prediction is not None and prediction["page_id"] < reference["page_id"]:
            unknown.add(prediction["page_id"])
            prediction = next(predictions, None)
        if prediction is not None and prediction["page_id"] == reference["page_id"]:
            yield reference, prediction
            prediction = next(predictions, None)
        else:
            yield reference, None
    while prediction is not None:
        unknown.add(prediction["page_id"])
        prediction = next(predictions, None)


def list_ids(path: Path) -> list[str]:
    """Return the page ids of a file of references."""
    return [row["page_id"] for row in iterate_sorted(path, ("page_id",))]


def is_of_other_pages(predictions: Path, known: set[str]) -> bool:
    """Return whether a file has predictions, and none of them of a known page."""
    has_rows = False
    for row in iterate_rows(predictions, ("page_id", "text")):
        has_rows = True
        if isinstance(row["page_id"], str) and row["page_id"] in known:
            return False
    return has_rows


def rescore(predictions: Path, references: Path, out: Path, rules: Rules, confusions: int, missing_as_empty: bool = False,
            name: str | None = None, top_k: int | None = None, find_slices: Callable[[dict], dict] = lambda row: {}) -> dict:
    """Score a file of predictions and write `<name>.json` and `<name>.csv` into `out` (None: the file's); return the figures.

    References are rows of a split (page_id, doc_id, text, origin), predictions rows of page_id and text,
    with finish_reason where it is known. Predictions of pages that have no reference are a `RowError` that
    names them, and so are references without prediction, unless these shall count as read with nothing found.
    `top_k`: so many pages only, those that evaluate draws; `find_slices`: a reference's slices (`ocrtune.scoring.slices`).
    """
    name = name or predictions.stem
    chosen = {row["page_id"] for row in choose_some([{"page_id": page_id} for page_id in list_ids(references)], top_k)} if top_k else None
    scores, missing, unknown = ReaderScores(rules), Unpaired(), Unpaired()
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".{name}.csv.{os.getpid()}.partial"
    pairs = join(iterate_sorted(references, ("page_id", "doc_id", "text", "origin")), iterate_sorted(predictions, ("page_id", "text")),
                 unknown)
    try:
        with partial.open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = ScoresWriter(file)
            for reference, prediction in pairs:
                check_texts([reference], str(references))
                if chosen is not None and reference["page_id"] not in chosen:
                    continue
                if prediction is None:
                    missing.add(reference["page_id"])
                found = prediction or {"text": "", "finish_reason": "error"}
                if not isinstance(found["text"], str):
                    raise RowError(f"{predictions}: {reference['page_id']}: text is {type(found['text']).__name__}, not a string")
                writer.write(scores.add(reference | find_slices(reference), found["text"], found.get("finish_reason", "stop")))
        if writer.writer is None:
            raise RowError(f"{references}: no references in it, nothing to score against")
        if unknown.count:
            raise RowError(f"{predictions}: predictions of pages that {references} lacks: {name_pages(unknown.names, unknown.count)}")
        if missing.count and not missing_as_empty:
            raise RowError(f"{predictions}: no prediction of {name_pages(missing.names, missing.count)}; "
                           "--missing-as-empty counts them as read with nothing found")
        figures = {"reader": name, "split": references.stem, "top_k": top_k, **scores.figures(confusions), "num_missing": missing.count}
        partial.replace(out / f"{name}.csv")
        write_json(out / f"{name}.json", figures)
        return figures
    finally:
        partial.unlink(missing_ok=True)
