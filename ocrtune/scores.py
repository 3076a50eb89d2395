"""Score pages: counts of one page, the figures pooled over pages, and the CSV between evaluate and compare.

Pooled figures add counts and divide once: CER = all edits / all reference characters, so that a
short line weighs what it holds. Means and medians over pages stand beside them under their own names.

An empty reference: a rate whose denominator is 0 is 0 where nothing was to be found and nothing
was written, else 1, so that a page can't count more than wrong. Pooled, its insertions count in full.
A page that the reader failed on is an empty prediction: all its characters are deletions.
"""

import csv
import io
import statistics
from collections import Counter
from pathlib import Path

from ocrtune.edits import count_edits, count_matches, count_word_edits, find_words
from ocrtune.loops import falls_into_loop
from ocrtune.normalizers import find_normalizer
from ocrtune.rows import RowError, index_rows, write_text

# Of the CSV, in this order; what a page's row holds beyond them (`is_loop`) goes into the summary alone.
TEXT_COLUMNS = ("page_id", "doc_id", "origin", "finish_reason")
RATE_COLUMNS = ("cer", "wer", "char_f1", "word_f1")
SCORE_COLUMNS = (
    "page_id", "doc_id", "origin", "reference_chars", "prediction_chars", "substitutions", "insertions", "deletions", "cer",
    "reference_words", "word_edits", "wer", "char_matches", "word_matches", "prediction_words", "char_f1", "word_f1", "finish_reason")


def error_rate(edits: int, length: int) -> float:
    """Return edits / length: 0 or 1 where the length is 0, by whether there are edits. May exceed 1 through insertions."""
    return edits / length if length else float(edits > 0)


def f1(matches: int, reference: int, prediction: int) -> float:
    """Return 2 x matches / (reference + prediction), the harmonic mean of precision and recall; 1 where both are empty."""
    return 2 * matches / (reference + prediction) if reference + prediction else 1.0


def count_page_edits(row: dict) -> int:
    """Return the character edits of a page's row."""
    return row["substitutions"] + row["insertions"] + row["deletions"]


def score_page(reference: str, prediction: str, normalizer: str) -> dict:
    """Return the counts and rates of one page, both texts normalized by the normalizer of that name.

    Character F1 and word F1 compare multisets: `char_matches` is how many characters, spaces
    included, occur on both sides, each as often as it does on both; order plays no part. Words are
    the segments of UAX 29 that hold a letter or number (`ocrtune.edits.find_words`); WER counts them alone.

    >>> row = score_page("The quick fox", "The qu1ck  fox", "nfc_ws")
    >>> row["substitutions"], row["reference_chars"], row["word_edits"], row["reference_words"], row["char_matches"]
    (1, 13, 1, 3, 12)
    """
    reference, prediction = map(find_normalizer(normalizer).normalize, (reference, prediction))
    edits = count_edits(reference, prediction)
    words = find_words(reference), find_words(prediction)
    word_edits = count_word_edits(*words)
    char_matches, word_matches = count_matches(reference, prediction), count_matches(*words)
    return {
        "reference_chars": len(reference),
        "prediction_chars": len(prediction),
        "substitutions": edits.substitutions,
        "insertions": edits.insertions,
        "deletions": edits.deletions,
        "cer": error_rate(edits.total, len(reference)),
        "reference_words": len(words[0]),
        "word_edits": word_edits,
        "wer": error_rate(word_edits, len(words[0])),
        "char_matches": char_matches,
        "word_matches": word_matches,
        "prediction_words": len(words[1]),
        "char_f1": f1(char_matches, len(reference), len(prediction)),
        "word_f1": f1(word_matches, len(words[0]), len(words[1])),
        "is_loop": falls_into_loop(reference, prediction),
    }


def pool(rows: list[dict]) -> dict:
    """Return the pooled CER, WER, character F1 and word F1 of rows: counts first, then one division each."""
    total = {name: sum(row[name] for row in rows) for name in SCORE_COLUMNS if name not in TEXT_COLUMNS + RATE_COLUMNS}
    return {
        "cer": error_rate(count_page_edits(total), total["reference_chars"]),
        "wer": error_rate(total["word_edits"], total["reference_words"]),
        "char_f1": f1(total["char_matches"], total["reference_chars"], total["prediction_chars"]),
        "word_f1": f1(total["word_matches"], total["reference_words"], total["prediction_words"]),
    }


def summarize(rows: list[dict]) -> dict:
    """Return the figures of a reader over rows of `score_page` that also carry doc_id, origin and finish_reason.

    `clipped_mean_cer` is the mean of page CERs cut at 1: one page that loops can't drown the others.
    `perfect_rate`: pages without an edit. `substitution_rate`, `insertion_rate` and `deletion_rate`
    are pooled and add up to `cer`. `empty_rate`: pages with text of which nothing was read.
    `truncated_rate`: finish_reason `length`. `loop_rate`: see `ocrtune.loops`. All rates are shares of pages or
    characters from 0 to 1, but error rates, which insertions can lift above 1. No rows is a `RowError`.
    """
    if not rows:
        raise RowError("no pages to score: the split is empty; crawl more documents or change the shares of split")
    edits = {name: sum(row[name] for row in rows) for name in ("substitutions", "insertions", "deletions")}
    reference_chars = sum(row["reference_chars"] for row in rows)
    cers = [row["cer"] for row in rows]

    def share(pages) -> float:
        return sum(map(bool, pages)) / len(rows)

    figures = pool(rows) | {
        "mean_cer": statistics.fmean(cers),
        "median_cer": statistics.median(cers),
        "clipped_mean_cer": statistics.fmean(min(cer, 1.0) for cer in cers),
        "perfect_rate": share(count_page_edits(row) == 0 for row in rows),
        "substitution_rate": error_rate(edits["substitutions"], reference_chars),
        "insertion_rate": error_rate(edits["insertions"], reference_chars),
        "deletion_rate": error_rate(edits["deletions"], reference_chars),
    }
    return {
        "num_pages": len(rows),
        "num_documents": len({row["doc_id"] for row in rows}),
        "origins": dict(sorted(Counter(row["origin"] for row in rows).items())),
        **{name: round(value, 6) for name, value in figures.items()},
        "edits": edits,
        "reference_chars": reference_chars,
        "empty_rate": round(share(row["reference_chars"] and not row["prediction_chars"] for row in rows), 6),
        "truncated_rate": round(share(row["finish_reason"] == "length" for row in rows), 6),
        "loop_rate": round(share(row["is_loop"] for row in rows), 6),
    }


def write_scores_csv(path: Path, rows: list[dict]) -> int:
    """Write rows as CSV, sorted by page_id, rates with six digits, and return how many."""
    text = io.StringIO()
    writer = csv.DictWriter(text, SCORE_COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in sorted(index_rows(rows, source=str(path)).values(), key=lambda row: row["page_id"]):
        writer.writerow(row | {name: f"{row[name]:.6f}" for name in RATE_COLUMNS})
    write_text(path, text.getvalue())
    return len(rows)


def read_scores_csv(path: Path) -> list[dict]:
    """Return the rows of a scores file; counts as int, rates as float. A broken file is a `RowError` naming the line."""
    if not path.is_file():
        raise RowError(f"{path}: no such file; run evaluate (dvc repro evaluate)")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if tuple(header) != SCORE_COLUMNS:
                raise RowError(f"{path}:1: not a file of scores: columns are {','.join(header) or 'none'}; rerun evaluate")
            rows = [parse_row(path, reader.line_num, values) for values in reader]
    except UnicodeDecodeError as error:
        raise RowError(f"{path}: not UTF-8: {error}; rerun evaluate") from None
    index_rows(rows, source=str(path))
    return rows


def parse_row(path: Path, number: int, values: list[str]) -> dict:
    """Return one line of a scores file as a row."""
    try:
        row = dict(zip(SCORE_COLUMNS, values, strict=True))
        return {name: value if name in TEXT_COLUMNS else float(value) if name in RATE_COLUMNS else int(value)
                for name, value in row.items()}
    except ValueError as error:
        raise RowError(f"{path}:{number}: not a row of scores: {error}; rerun evaluate") from None
