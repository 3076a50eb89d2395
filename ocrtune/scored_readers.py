"""Read what evaluate wrote about readers, and refuse what can't be compared, naming the pages."""

import json
from dataclasses import dataclass
from pathlib import Path

from ocrtune.edits import count_edits
from ocrtune.normalizers import find_normalizer
from ocrtune.rows import RowError, index_rows, iterate_rows
from ocrtune.scores import pool, read_scores_csv

FIGURES = ("cer", "wer", "char_f1", "word_f1", "mean_cer", "median_cer", "clipped_mean_cer", "perfect_rate", "substitution_rate",
           "insertion_rate", "deletion_rate", "empty_rate", "truncated_rate", "loop_rate")
# Keys of the metrics file of compare, beside the readers' names.
RESERVED = ("difference", "canary", "num_pages", "num_documents", "reference_chars")


@dataclass(frozen=True)
class ScoredReader:
    """A reader's figures (its metrics file) and its row of every page, by page_id, sorted."""

    name: str
    figures: dict
    rows: dict[str, dict]

    @property
    def canary_cer(self) -> float | None:
        """The CER on clean print; None where it read none."""
        canary = self.figures.get("canary") or {}
        return canary["cer"] if canary.get("num_lines") else None


def name_some(names, most: int = 5) -> str:
    """Return the first few names, sorted, and how many more there are."""
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def find_readers(folder: Path, params) -> list[str]:
    """Return the names to compare: baseline, candidate, then those of params, or all others scored in the folder, sorted."""
    scored = sorted(path.stem for path in folder.glob("*.json"))
    first = [params.baseline, params.candidate]
    names = first + (params.readers if params.readers is not None else [name for name in scored if name not in first])
    missing = [name for name in names if name not in scored]
    if missing:
        raise RowError(f"{folder}: no scores of {name_some(missing)}; scored are: {', '.join(scored) or 'none'}; see params.yaml, compare")
    reserved = [name for name in names if name in RESERVED]
    if reserved:
        raise RowError(f"{folder}: a reader can't be called {reserved[0]!r}: the metrics of compare have a key of that name; rename it")
    return names


def read_reader(folder: Path, name: str) -> ScoredReader:
    """Return a reader's figures and rows from `<name>.json` and `<name>.csv`."""
    path = folder / f"{name}.json"
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RowError(f"{path}: not JSON: {error}; rerun evaluate") from None
    missing = [key for key in ("normalizer", "num_pages", *FIGURES) if not isinstance(figures, dict) or key not in figures]
    if missing:
        raise RowError(f"{path}: not the metrics of a reader: missing {', '.join(missing)}; rerun evaluate")
    rows = index_rows(read_scores_csv(folder / f"{name}.csv"))
    if figures["num_pages"] != len(rows) or abs(figures["cer"] - pool(list(rows.values()))["cer"]) > 1e-6:
        raise RowError(f"{path}: does not sum up {name}.csv ({figures['num_pages']} pages there, {len(rows)} here); rerun evaluate")
    return ScoredReader(name, figures, dict(sorted(rows.items())))


def check_readers(readers: list[ScoredReader]) -> None:
    """Refuse readers that did not read the same pages, or were scored by other rules, and name what differs."""
    first = readers[0]
    if not first.rows:
        raise RowError(f"{first.name}: no scored pages, nothing to compare; the test split is empty")
    for other in readers[1:]:
        for one, two in ((first, other), (other, first)):
            alone = one.rows.keys() - two.rows.keys()
            if alone:
                raise RowError(f"{one.name} has pages that {two.name} lacks: {name_some(alone)}; rerun evaluate for both, "
                               "or leave a reader out by compare.readers in params.yaml")
        if other.figures["normalizer"] != first.figures["normalizer"]:
            raise RowError(f"{first.name} is scored with normalizer {first.figures['normalizer']}, {other.name} with "
                           f"{other.figures['normalizer']}; rerun evaluate for both")
        unlike = [page_id for page_id, row in first.rows.items()
                  if any(row[key] != other.rows[page_id][key] for key in ("doc_id", "origin", "reference_chars"))]
        if unlike:
            raise RowError(f"{first.name} and {other.name} were scored against other references: {name_some(unlike)}; rerun evaluate")


def index_test_rows(path: Path, reader: ScoredReader) -> dict[str, dict]:
    """Return the rows of the test split by page_id; pages that the split and the scores don't share are a `RowError`."""
    rows = index_rows(iterate_rows(path, ("page_id", "doc_id", "image", "text", "origin")), source=str(path))
    unlike = rows.keys() ^ reader.rows.keys()
    if unlike:
        raise RowError(f"{path}: not the pages that {reader.name} was scored on: {name_some(unlike)}; rerun evaluate")
    return rows


def read_predictions(path: Path, reader: ScoredReader, references: dict[str, str]) -> dict[str, str]:
    """Return a reader's text of every scored page; refuse texts that are not the ones scored.

    Rows of other pages are left alone. The edits are counted again: a report must not show other
    edits than it counts.
    """
    rows = index_rows(iterate_rows(path, ("page_id", "text")), source=str(path))
    missing = [page_id for page_id in reader.rows if page_id not in rows]
    if missing:
        raise RowError(f"{path}: no prediction of {name_some(missing)}; rerun evaluate")
    normalize = find_normalizer(reader.figures["normalizer"]).normalize
    unlike = [page_id for page_id, row in reader.rows.items()
              if count_edits(normalize(references[page_id]), normalize(rows[page_id]["text"]))
              != (row["substitutions"], row["insertions"], row["deletions"], row["reference_chars"])]
    if unlike:
        raise RowError(f"{path}: texts and scores of {reader.name} disagree on {name_some(unlike)}; rerun evaluate")
    return {page_id: rows[page_id]["text"] for page_id in reader.rows}
