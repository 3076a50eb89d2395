"""Write what the charts show as small CSV files, for `dvc plots show` and `dvc plots diff`.

Of bars, before and after have a file each: DVC draws files side by side, columns of one file on top of each other.
"""

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
    """Write documents.csv, and before.csv and after.csv of distribution and confusions, into a folder.

    `before_cut` and `after_cut` are the CERs that are drawn: at most 1, as in the pictures.
    """
    write_csv(folder / "documents.csv", ["doc_id", "reference_chars", "before", "after", "before_cut", "after_cut"],
              ([document.doc_id, document.reference_chars, *(f"{cer:.6f}" for cer in (*cers, *(min(cer, 1) for cer in cers)))]
               for document in comparison.documents for cers in [(document.cer(0), document.cer(1))]))
    for side in ("before", "after"):
        places = [find_bin(getattr(page, f"cer_{side}")) for page in pages]
        write_csv(folder / "distribution" / f"{side}.csv", ["cer", "pages"],
                  ([name_bin(place), places.count(place)] for place in range(find_bin(9) + 1)))
        write_csv(folder / "confusions" / f"{side}.csv", ["confusion", "times"],
                  ([f"{show(pair.reference)} → {show(pair.prediction)}", getattr(pair, side)] for pair in confusions))
