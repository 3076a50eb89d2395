"""Read what evaluate wrote about readers, and refuse what can't be compared, naming the pages."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrtune.rows import RowError, index_rows, iterate_rows
from ocrtune.scoring.edits import count_edits
from ocrtune.scoring.evaluated_pages import read_references
from ocrtune.scoring.scores_csv import SLICE, read_scores_csv
from ocrtune.scoring.summaries import plain_rates, pool
from ocrtune.texts.normalizers import find_normalizer
from ocrtune.texts.words import split_chars

# What scores must have in common to be compared.
RULES = ("normalizer", "unit", "structure", "split", "top_k")
FIGURES = ("cer", "wer", "char_f1", "word_f1", "mean_cer", "median_cer", "clipped_mean_cer", "perfect_rate", "substitution_rate",
           "insertion_rate", "deletion_rate", "empty_rate", "truncated_rate", "loop_rate", "ned", "mean_ned", "failed_rate",
           "catastrophe_rate", "cer_without_catastrophes", "insertion_share", "invention_rate")
# Those of pages that have tables or blocks.
STRUCTURE_FIGURES = ("teds", "teds_structure", "reading_order")
# Keys of the metrics file of compare, beside the readers' names.
RESERVED = (*RULES, "learnt", "origins", "num_pages", "num_documents", "reference_chars", "difference", "further", "transitions", "slices",
            "canary", "likeness")


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

    @property
    def slice_columns(self) -> list[str]:
        """The columns that pages can be sliced by: origin, and those that evaluate was told of."""
        row = next(iter(self.rows.values()), {})
        return ["origin", *(name for name in row if name.startswith(SLICE) and name != SLICE + "origin")]


def name_some(names, most: int = 5) -> str:
    """Return the first few names, sorted, and how many more there are."""
    names = sorted(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def find_readers(folder: Path, params, known: Sequence[str]) -> list[str]:
    """Return the names to compare: baseline, candidate, then those of params, or all others of `known`, in its order.

    `known` are the readers that evaluate has in params.yaml. What lies in the folder beside them was written for a
    reader that is no longer there: it is left aside, and said so.
    """
    scored = sorted(path.stem for path in folder.glob("*.json"))
    first = [params.baseline, params.candidate]
    names = first + (params.readers if params.readers is not None else [name for name in known if name not in first])
    gone = [name for name in names if name not in known]
    if gone:
        raise RowError(f"params.yaml: compare names {name_some(gone)}, which evaluate.readers lacks; it has: {', '.join(known)}")
    missing = [name for name in names if name not in scored]
    if missing:
        raise RowError(f"{folder}: no scores of {name_some(missing)}; scored are: {', '.join(scored) or 'none'}; rerun evaluate")
    stale = [name for name in scored if name not in known]
    if stale:
        print(f"  left aside: {name_some(stale)}, scored once but no longer in evaluate.readers; {folder}/{stale[0]}.* may be deleted")
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
    figures = plain_rates(figures) if isinstance(figures, dict) else figures
    missing = [key for key in ("normalizer", "unit", "num_pages", *FIGURES) if not isinstance(figures, dict) or key not in figures]
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
        for rule in RULES:
            if other.figures.get(rule) != first.figures.get(rule):
                raise RowError(f"{first.name} is scored with {rule} {first.figures.get(rule)}, {other.name} with "
                               f"{other.figures.get(rule)}; rerun evaluate for both")
        unlike = [page_id for page_id, row in first.rows.items()
                  if any(row[key] != other.rows[page_id][key] for key in ("doc_id", "origin", "reference_chars"))]
        if unlike:
            raise RowError(f"{first.name} and {other.name} were scored against other references: {name_some(unlike)}; rerun evaluate")


def index_references(path: Path, top_k: int | None, reader: ScoredReader) -> dict[str, dict]:
    """Return the scored rows of a split by page_id; pages that the split and the scores don't share are a `RowError`."""
    rows = index_rows(read_references(path, top_k))
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
    if len(missing) == reader.figures.get("num_missing"):  # scored as read with nothing found
        rows |= {page_id: {"text": ""} for page_id in missing}
    elif missing:
        raise RowError(f"{path}: no prediction of {name_some(missing)}; rerun evaluate")
    normalize, unit = find_normalizer(reader.figures["normalizer"]).normalize, reader.figures["unit"]
    unlike = [page_id for page_id, row in reader.rows.items()
              if count_edits(*(split_chars(normalize(text), unit) for text in (references[page_id], rows[page_id]["text"])))
              != (row["substitutions"], row["insertions"], row["deletions"], row["reference_chars"])]
    if unlike:
        raise RowError(f"{path}: texts and scores of {reader.name} disagree on {name_some(unlike)}; rerun evaluate")
    return {page_id: rows[page_id]["text"] for page_id in reader.rows}
