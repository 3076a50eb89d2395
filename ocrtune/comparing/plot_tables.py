"""Write what the charts show as small CSV files, for `dvc plots show` and `dvc plots diff`: `before` and `after` are columns."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from ocrtune.comparing.changed_pages import ChangedPage, Confusion
from ocrtune.comparing.comparison import Comparison
from ocrtune.comparing.marked_text import name_char
from ocrtune.rows import write_text

BIN_PERCENT = 5


def find_bin(cer: float) -> int:
    """Return the bar of a histogram that a page's CER belongs to: 0 is perfect, then 5 % each, the last 100 % and more."""
    # Rounding first: 0.15 * 100 / 5 is a little less than 3.
    return 0 if cer == 0 else min(1 + int(round(cer * 100, 6) // BIN_PERCENT), 100 // BIN_PERCENT + 1)


def name_bin(number: int) -> str:
    """Return a bar's name, such that names sort as bars do."""
    if number == 0:
        return "000 perfect"
    low = (number - 1) * BIN_PERCENT
    return f"{low:03d} % and more" if low >= 100 else f"{low:03d} to {low + BIN_PERCENT:03d} %"


def write_csv(path: Path, header: list[str], rows: Iterable[list]) -> None:
    """Write a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def show(text: str) -> str:
    """Return a confusion's side in visible characters."""
    return "".join("␣" if char == " " else name_char(char) for char in text) or "(nothing)"


def write_plot_tables(folder: Path, comparison: Comparison, pages: list[ChangedPage], confusions: list[Confusion]) -> None:
    """Write distribution.csv, documents.csv and confusions.csv into a folder."""
    bins = range(find_bin(9) + 1)
    before, after = ([find_bin(cer) for cer in cers] for cers in ([page.cer_before for page in pages], [page.cer_after for page in pages]))
    write_csv(folder / "distribution.csv", ["cer", "before", "after"],
              ([name_bin(place), before.count(place), after.count(place)] for place in bins))
    write_csv(folder / "documents.csv", ["doc_id", "reference_chars", "before", "after"],
              ([document.doc_id, document.reference_chars, *(f"{document.cer(reader):.6f}" for reader in (0, 1))]
               for document in comparison.documents))
    write_csv(folder / "confusions.csv", ["confusion", "before", "after"], [
        [f"{show(pair.reference)} → {show(pair.prediction)}", pair.before, pair.after] for pair in confusions])
