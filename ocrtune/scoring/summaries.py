"""Pool scored pages into the figures of a reader.

Pooled figures add counts and divide once: CER = all edits / all reference characters, so that a
short line weighs what it holds. Means and medians over pages stand beside them under their own names.
Pages are added one by one and not kept: 100,000 of them take the memory of 100,000 numbers.
"""

import statistics
from array import array
from collections import Counter
from collections.abc import Iterable

from ocrtune.rows import RowError
from ocrtune.scoring.rates import error_rate, f1
from ocrtune.scoring.scores import STATES, count_page_edits, find_state, is_catastrophe, is_overlong

POOLED = ("reference_chars", "prediction_chars", "substitutions", "insertions", "deletions", "reference_words", "word_edits",
          "char_matches", "word_matches", "prediction_words")
# Error rates that may bear their plain name only where no reference is a teacher's.
ERROR_RATES = ("cer", "wer", "mean_cer", "median_cer", "clipped_mean_cer", "cer_without_catastrophes",
               "cer_low", "cer_high", "cer_relative", "cer_before", "cer_after")
AGREEMENT = "agreement_"


class Totals:
    """The sums of pages added so far."""

    def __init__(self):
        self.counts: Counter = Counter()
        self.states: Counter = Counter()
        self.origins: Counter = Counter()
        self.documents: set[str] = set()
        self.cers, self.neds = array("d"), array("d")
        self.sound_edits = self.sound_chars = self.longest_chars = 0

    def add(self, row: dict) -> None:
        """Add a row of `score_page` that also carries doc_id, origin and finish_reason."""
        for name in POOLED:
            self.counts[name] += row[name]
        if "reference_tables" in row:
            self.add_structure(row)
        edits = count_page_edits(row)
        self.cers.append(row["cer"])
        self.neds.append(row["ned"])
        self.longest_chars += max(row["reference_chars"], row["prediction_chars"])
        self.states[find_state(row)] += 1
        self.origins[row["origin"]] += 1
        self.documents.add(row["doc_id"])
        self.counts["perfect"] += edits == 0
        self.counts["blank"] += row["reference_chars"] == 0
        self.counts["truncated"] += row["finish_reason"] == "length"
        self.counts["loop"] += bool(row["is_loop"])
        self.counts["empty"] += bool(row["reference_chars"] and not row["prediction_chars"])
        self.counts["invented"] += bool(row["prediction_chars"] and not row["reference_chars"])
        self.counts["overlong"] += is_overlong(row)
        if is_catastrophe(row):
            self.counts["catastrophe"] += 1
        else:
            self.sound_edits += edits
            self.sound_chars += row["reference_chars"]

    def add_structure(self, row: dict) -> None:
        """Add the sums of a page's tables and blocks."""
        self.counts["structured"] += 1
        self.counts["tables"] += max(row["reference_tables"], row["prediction_tables"]) - row["unscored_tables"]
        for name in ("unscored_tables", "teds", "teds_structure", "order_blocks", "order_edits"):
            self.counts[name] += row[name]

    def pool(self) -> dict:
        """Return the pooled CER, WER, character F1, word F1 and normalised edit distance."""
        total = self.counts
        edits = count_page_edits(total)
        return {
            "cer": error_rate(edits, total["reference_chars"]),
            "wer": error_rate(total["word_edits"], total["reference_words"]),
            "char_f1": f1(total["char_matches"], total["reference_chars"], total["prediction_chars"]),
            "word_f1": f1(total["word_matches"], total["reference_words"], total["prediction_words"]),
            "ned": error_rate(edits, self.longest_chars),
        }

    def measure(self) -> dict[str, float]:
        """Return all rates, not rounded. They are shares from 0 to 1, but error rates, which insertions can lift above 1."""
        total, num_pages = self.counts, len(self.cers)
        edits = count_page_edits(total)

        def share(name: str) -> float:
            return total[name] / num_pages

        return self.pool() | {
            "mean_cer": statistics.fmean(self.cers),
            "median_cer": statistics.median(self.cers),
            "clipped_mean_cer": statistics.fmean(min(cer, 1.0) for cer in self.cers),
            "mean_ned": statistics.fmean(self.neds),
            "perfect_rate": share("perfect"),
            **{f"{name}_rate": error_rate(total[f"{name}s"], total["reference_chars"])
               for name in ("substitution", "insertion", "deletion")},
            "insertion_share": total["insertions"] / edits if edits else 0.0,
            **{f"{name}_rate": share(name) for name in ("empty", "truncated", "loop", "catastrophe")},
            "failed_rate": self.states["failed"] / num_pages,
            "invention_rate": total["invented"] / total["blank"] if total["blank"] else 0.0,
            "cer_without_catastrophes": error_rate(self.sound_edits, self.sound_chars),
        } | self.measure_structure()

    def measure_structure(self) -> dict[str, float]:
        """Return TEDS, TEDS-S and reading order where pages had tables, or blocks that were found again."""
        total, found = self.counts, {}
        if total["tables"]:
            found |= {name: total[name] / total["tables"] for name in ("teds", "teds_structure")}
        if total["order_blocks"]:
            found["reading_order"] = total["order_edits"] / total["order_blocks"]
        return found

    def summarize(self) -> dict:
        """Return the figures of a reader: counts, and rates with six digits. No pages is a `RowError`.

        `clipped_mean_cer` is the mean of page CERs cut at 1: one page that loops can't drown the others.
        `perfect_rate`: pages without an edit. `substitution_rate`, `insertion_rate` and `deletion_rate` are
        pooled and add up to `cer`; `insertion_share` is the insertions' share of all edits. `empty_rate`:
        pages with text of which nothing was read. `truncated_rate`: finish_reason `length`. `invention_rate`: of
        the `num_blank` pages without text, those on which something was read. `catastrophe_rate`: pages that loop or have
        CER >= 1; `cer_without_catastrophes` is pooled over the others. Of `teds` see `ocrtune.scoring.structure`.
        """
        if not self.cers:
            raise RowError("no pages to score: the split is empty; crawl more documents or change the shares of split")
        total = self.counts
        return {
            "num_pages": len(self.cers),
            "num_documents": len(self.documents),
            "origins": dict(sorted(self.origins.items())),
            **{name: round(value, 6) for name, value in self.measure().items()},
            "edits": {name: total[name] for name in ("substitutions", "insertions", "deletions")},
            "reference_chars": total["reference_chars"],
            "num_blank": total["blank"],
            "num_overlong": total["overlong"],
            "states": {name: self.states[name] for name in STATES},
        } | ({"num_tables": total["tables"], "num_unscored_tables": total["unscored_tables"]} if total["structured"] else {})


def add_up(rows: Iterable[dict]) -> Totals:
    """Return the totals of rows."""
    totals = Totals()
    for row in rows:
        totals.add(row)
    return totals


def pool(rows: Iterable[dict]) -> dict:
    """Return the pooled figures of rows: counts first, then one division each."""
    return add_up(rows).pool()


def summarize(rows: Iterable[dict]) -> dict:
    """Return the figures of a reader over rows of `score_page` that also carry doc_id, origin and finish_reason."""
    return add_up(rows).summarize()


def name_rates(figures: dict, origins: Iterable[str]) -> dict:
    """Return figures under honest names: what is measured against a teacher's labels is agreement, and no CER.

    >>> name_rates({"cer": 0.1, "char_f1": 0.9}, ["gold", "teacher"])
    {'agreement_cer': 0.1, 'char_f1': 0.9}
    """
    prefix = AGREEMENT if "teacher" in origins else ""
    return {prefix + name if name in ERROR_RATES else name: value for name, value in figures.items()}


def name_rate(rate: str, origins: Iterable[str]) -> str:
    """Return an error rate's name for people, as honest as its key (`name_rates`).

    >>> name_rate("WER", ["gold"]), name_rate("WER", ["gold", "teacher"])
    ('WER', 'WER against labels')
    """
    return f"{rate} against labels" if "teacher" in origins else rate


def plain_rates(figures: dict) -> dict:
    """Return figures as the library names them, whatever they were measured against: the reverse of `name_rates`."""
    return {name.removeprefix(AGREEMENT): value for name, value in figures.items()}
