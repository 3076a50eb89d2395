"""Score all pages of one reader: its metrics file, page by page, without keeping the pages."""

from collections import Counter
from typing import NamedTuple

from ocrtune.scoring.edits import count_confusions
from ocrtune.scoring.scores import is_catastrophe, score_texts
from ocrtune.scoring.scores_csv import SLICE
from ocrtune.scoring.structure import count_structure
from ocrtune.scoring.summaries import Totals, name_rates
from ocrtune.texts.normalizers import find_normalizer
from ocrtune.texts.words import split_chars

SLICE_FIGURES = ("cer", "wer", "char_f1", "perfect_rate", "catastrophe_rate")


class Rules(NamedTuple):
    """How two texts are compared: normalizer by label, what a character is, whether tables and blocks are compared."""

    normalizer: str
    unit: str = "codepoint"
    has_structure: bool = False

    def describe(self) -> dict:
        """Return what a metrics file says of the rules: scores are comparable only where these are equal."""
        return {"normalizer": find_normalizer(self.normalizer).label, "unit": self.unit, "structure": self.has_structure}


class ReaderScores:
    """A reader's scores so far: totals over all pages, by origin, and by each value of each slice."""

    def __init__(self, rules: Rules):
        self.rules = rules
        self.normalize = find_normalizer(rules.normalizer).normalize
        self.totals = Totals()
        self.slices: dict[str, dict[str, Totals]] = {}
        self.confusions: Counter = Counter()

    def add(self, page: dict, prediction: str, finish_reason: str) -> dict:
        """Score a page and return its row; `page` has page_id, doc_id, origin, text (the reference), and slices."""
        structure = count_structure(page["text"], prediction) if self.rules.has_structure else {}
        texts = self.normalize(page["text"]), self.normalize(prediction)
        slices = {name: value for name, value in page.items() if name.startswith(SLICE)}
        row = {"page_id": page["page_id"], "doc_id": page["doc_id"], "origin": page["origin"],
               **score_texts(*texts, self.rules.unit), **structure, "finish_reason": finish_reason, **slices}
        if texts[0] != texts[1] and not is_catastrophe(row):  # one page that loops has more edits than all others together
            self.confusions.update(count_confusions(*(split_chars(text, self.rules.unit) for text in texts)))
        self.totals.add(row)
        for name, value in {SLICE + "origin": page["origin"], **slices}.items():
            self.slices.setdefault(name.removeprefix(SLICE), {}).setdefault(value, Totals()).add(row)
        return row

    def figures(self, most_confusions: int) -> dict:
        """Return the metrics: rules, pooled figures, slices, and the most frequent confusions."""
        summary = self.totals.summarize()
        return self.rules.describe() | name_rates(summary, summary["origins"]) | {
            "slices": {name: {value: summarize_slice(totals) for value, totals in sorted(values.items())}
                       for name, values in sorted(self.slices.items())},
            # A list: `dvc metrics` shows numbers under names alone, and leaves it out.
            "confusions": [{"reference": pair[0], "prediction": pair[1], "count": count}
                           for pair, count in sorted(self.confusions.items(), key=lambda item: (-item[1], item[0]))[:most_confusions]],
        }


def summarize_slice(totals: Totals) -> dict:
    """Return the few figures that a slice is given in."""
    figures = totals.measure()
    rates = {name: round(figures[name], 6) for name in SLICE_FIGURES}
    return {"num_pages": len(totals.cers), "num_documents": len(totals.documents), **name_rates(rates, totals.origins)}
