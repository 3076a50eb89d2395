"""The CSV between evaluate and compare: a row a page, counts first, for spreadsheets and `dvc plots` too."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from ocrtune.rows import RowError, index_rows, write_text
from ocrtune.scoring.structure import STRUCTURE_COUNTS

TEXT_COLUMNS = ("page_id", "doc_id", "origin", "finish_reason")
RATE_COLUMNS = ("cer", "ned", "wer", "char_f1", "word_f1", "teds", "teds_structure")
SCORE_COLUMNS = (
    "page_id", "doc_id", "origin", "reference_chars", "prediction_chars", "substitutions", "insertions", "deletions", "cer", "ned",
    "reference_words", "word_edits", "wer", "char_matches", "word_matches", "prediction_words", "char_f1", "word_f1", "is_loop",
    "finish_reason")
# Columns of the pages that slices are made of follow, named so.
SLICE = "slice_"


def list_columns(row: dict) -> list[str]:
    """Return the columns of a file by one of its rows: scores, structure where it was compared, slices."""
    return [*SCORE_COLUMNS, *(name for name in STRUCTURE_COUNTS if name in row), *sorted(name for name in row if name.startswith(SLICE))]


class ScoresWriter:
    """Writes rows as they come to an open file; the first decides the columns."""

    def __init__(self, file: TextIO):
        self.file = file
        self.writer: csv.DictWriter | None = None

    def write(self, row: dict) -> None:
        """Write a row, rates with six digits."""
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list_columns(row), lineterminator="\n", extrasaction="ignore")
            self.writer.writeheader()
        self.writer.writerow(row | {name: f"{row[name]:.6f}" for name in RATE_COLUMNS if name in row})


def write_scores_csv(path: Path, rows: Iterable[dict]) -> int:
    """Write rows as CSV, sorted by page_id, and return how many."""
    text = io.StringIO()
    writer = ScoresWriter(text)
    found = sorted(index_rows(rows, source=str(path)).values(), key=lambda row: row["page_id"])
    for row in found:
        writer.write(row)
    write_text(path, text.getvalue())
    return len(found)


def iterate_scores_csv(path: Path) -> Iterator[dict]:
    """Yield the rows of a scores file; counts as int, rates as float. A broken file is a `RowError` naming the line."""
    if not path.is_file():
        raise RowError(f"{path}: no such file; run evaluate (dvc repro evaluate)")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            extra = [name for name in header[len(SCORE_COLUMNS):] if name not in STRUCTURE_COUNTS and not name.startswith(SLICE)]
            if tuple(header[:len(SCORE_COLUMNS)]) != SCORE_COLUMNS or extra:
                raise RowError(f"{path}:1: not a file of scores: columns are {','.join(header) or 'none'}; rerun evaluate")
            for values in reader:
                yield parse_row(path, reader.line_num, header, values)
    except UnicodeDecodeError as error:
        raise RowError(f"{path}: not UTF-8: {error}; rerun evaluate") from None
    except csv.Error as error:
        raise RowError(f"{path}: not CSV: {error}; rerun evaluate") from None


def read_scores_csv(path: Path) -> list[dict]:
    """Return the rows of a scores file; a page that occurs twice is a `RowError`."""
    return list(index_rows(iterate_scores_csv(path), source=str(path)).values())


def parse_row(path: Path, number: int, header: list[str], values: list[str]) -> dict:
    """Return one line of a scores file as a row."""
    try:
        row = dict(zip(header, values, strict=True))
        return {name: value if name in TEXT_COLUMNS or name.startswith(SLICE) else float(value) if name in RATE_COLUMNS else int(value)
                for name, value in row.items()}
    except ValueError as error:
        raise RowError(f"{path}:{number}: not a row of scores: {error}; rerun evaluate") from None
