"""Put readers side by side on exactly the same pages: what differs, how surely, and does it pass the gate."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrtune.comparing.gate import LIKENESS, Bound, measure_bounds
from ocrtune.comparing.paired import Outcomes, count_outcomes, draw_rates, holm, percentile_interval, sign_flip_p, smallest_effect
from ocrtune.comparing.scored_readers import FIGURES, RULES, STRUCTURE_FIGURES, ScoredReader
from ocrtune.comparing.slice_tests import SliceTest, compare_slices
from ocrtune.rows import write_text
from ocrtune.scoring.rates import error_rate
from ocrtune.scoring.scores import count_page_edits, find_state, is_catastrophe
from ocrtune.scoring.summaries import name_rate, name_rates, pool
from ocrtune.splits.near_duplicates import Twin

# What a reference may be; only people's texts make a score a CER without a footnote.
ORIGINS = {"teacher": "the teacher's labels", "gold": "gold (checked by people)", "text_layer": "the documents' own text layers"}


@dataclass(frozen=True)
class Difference:
    """A reader less another in pooled CER; `interval` and `smallest` are None where there are fewer than two documents.

    `smallest` is the smallest difference that so many documents would have shown (`ocrtune.comparing.paired.smallest_effect`),
    None where they all differ alike, too.
    """

    absolute: float
    relative: float | None
    interval: tuple[float, float] | None
    p_value: float
    smallest: float | None
    documents: Outcomes
    pages: Outcomes

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


@dataclass(frozen=True)
class Document:
    """A document's reference characters, pages, and edits by each reader, in the readers' order."""

    doc_id: str
    reference_chars: int
    num_pages: int
    edits: tuple[int, ...]

    def cer(self, reader: int) -> float:
        """Return the pooled CER of the document by a reader's position."""
        return error_rate(self.edits[reader], self.reference_chars)


@dataclass(frozen=True)
class Comparison:
    """Readers over the same pages: baseline first, candidate second.

    `intervals`: of each reader's pooled CER; `differences`: of each reader from the baseline, which has none;
    `from_candidate`: of each further reader from the candidate. `learnt`: the split's name where the student learnt from these
    very documents, or its weights were chosen by them (train, val). `has_gate`: whether `compare.gate` is asked.
    """

    readers: list[ScoredReader]
    documents: list[Document]
    cers: list[float]
    intervals: list[tuple[float, float] | None]
    differences: list[Difference]
    from_candidate: list[Difference]
    confidence: float
    slices: list[SliceTest]
    bounds: list[Bound]
    learnt: str = ""
    has_gate: bool = True

    @property
    def baseline(self) -> ScoredReader:
        """The reader to compare with."""
        return self.readers[0]

    @property
    def candidate(self) -> ScoredReader:
        """The reader in question."""
        return self.readers[1]

    @property
    def difference(self) -> Difference:
        """Candidate less baseline."""
        return self.differences[0]

    @property
    def further(self) -> list[tuple[ScoredReader, ScoredReader, Difference, float]]:
        """Each other reader beside baseline and candidate, with its difference and the p-value adjusted for all of these (Holm)."""
        found = [(reader, other, difference)
                 for reader, *both in zip(self.readers[2:], self.differences[1:], self.from_candidate, strict=True)
                 for other, difference in zip(self.readers, both, strict=False)]
        adjusted = holm([difference.p_value for _, _, difference in found])
        return [(*one, p) for one, p in zip(found, adjusted, strict=True)]

    @property
    def num_pages(self) -> int:
        """The pages that each of the readers read."""
        return len(self.baseline.rows)

    @property
    def reference_chars(self) -> int:
        """The characters of all references, normalized."""
        return sum(document.reference_chars for document in self.documents)

    @property
    def origin_counts(self) -> dict[str, int]:
        """How many references are of which origin."""
        return dict(sorted(Counter(row["origin"] for row in self.baseline.rows.values()).items()))

    @property
    def origins(self) -> dict[str, int]:
        """How many references are of which origin, by the origin in words."""
        return {ORIGINS.get(origin, origin): number for origin, number in self.origin_counts.items()}

    @property
    def score_name(self) -> str:
        """What the CER may be called: one against labels measures agreement with the teacher and says so."""
        names = list(self.origins)
        return "character error rate" if names == [ORIGINS["gold"]] else f"character error rate against {' and '.join(names)}"

    def name_rate(self, rate: str) -> str:
        """Return what an error rate over these references may be called in a label (`ocrtune.scoring.summaries.name_rate`)."""
        return name_rate(rate, self.origin_counts)

    def origin_cers(self) -> dict[str, list[float]]:
        """Return the pooled CER of each reader by the references' origin, in words."""
        found = {}
        for origin in sorted({row["origin"] for row in self.baseline.rows.values()}):
            rows = [[row for row in reader.rows.values() if row["origin"] == origin] for reader in self.readers]
            found[ORIGINS.get(origin, origin)] = [pool(page_rows)["cer"] for page_rows in rows]
        return found

    @property
    def transitions(self) -> Counter:
        """How many pages went from one state to another (`ocrtune.scoring.scores.find_state`), by (before, after)."""
        return Counter((find_state(row), find_state(self.candidate.rows[page_id])) for page_id, row in self.baseline.rows.items())

    @property
    def catastrophes(self) -> dict[str, int]:
        """How many pages baseline and candidate, if any, read so that it is of no use (`ocrtune.scoring.scores.is_catastrophe`)."""
        counts = {reader.name: sum(map(is_catastrophe, reader.rows.values())) for reader in self.readers[:2]}
        return {name: number for name, number in counts.items() if number}

    @property
    def forgotten(self) -> float | None:
        """The rise of the CER on clean print from baseline to candidate; None where one of them read none."""
        before, after = self.baseline.canary_cer, self.candidate.canary_cer
        return None if before is None or after is None else after - before


def count_documents(readers: list[ScoredReader]) -> list[Document]:
    """Return the documents, sorted by doc_id."""
    pages: dict[str, list[str]] = {}
    for page_id, row in readers[0].rows.items():
        pages.setdefault(row["doc_id"], []).append(page_id)
    return [Document(doc_id, sum(readers[0].rows[page_id]["reference_chars"] for page_id in page_ids), len(page_ids),
                     tuple(sum(count_page_edits(reader.rows[page_id]) for page_id in page_ids) for reader in readers))
            for doc_id, page_ids in sorted(pages.items())]


def compare_readers(readers: list[ScoredReader], params, leaks: Sequence[Twin] = (), learnt: str = "", has_gate: bool = True) -> Comparison:
    """Compare checked readers, the second with the first, by `CompareParams`; `leaks` as in `ocrtune.comparing.gate.measure_bounds`,
    `learnt` and `has_gate` as in `Comparison`."""
    documents = count_documents(readers)
    edits, lengths = [document.edits for document in documents], [document.reference_chars for document in documents]
    cers = [error_rate(sum(counts), sum(lengths)) for counts in zip(*edits, strict=True)]
    rates = draw_rates(edits, lengths, params.draws, params.seed) if len(documents) > 1 else None
    intervals = [None if rates is None else percentile_interval(rates[:, place], params.confidence) for place in range(len(readers))]
    by_document = list(zip(*edits, strict=True))
    by_page = [[count_page_edits(row) for row in reader.rows.values()] for reader in readers]

    def subtract(other: int, place: int) -> Difference:
        gaps = None if rates is None else rates[:, place] - rates[:, other]
        return Difference(
            absolute=cers[place] - cers[other], relative=(cers[place] - cers[other]) / cers[other] if cers[other] else None,
            interval=None if gaps is None else percentile_interval(gaps, params.confidence),
            p_value=sign_flip_p(by_document[other], by_document[place], params.draws, params.seed),
            smallest=None if gaps is None else smallest_effect(gaps, params.confidence),
            documents=count_outcomes(by_document[other], by_document[place]), pages=count_outcomes(by_page[other], by_page[place]))

    comparison = Comparison(
        readers, documents, cers, intervals, [subtract(0, place) for place in range(1, len(readers))],
        [subtract(1, place) for place in range(2, len(readers))], params.confidence,
        compare_slices(readers, params.draws, params.confidence, params.seed), [], learnt, has_gate)
    if has_gate:
        comparison.bounds.extend(measure_bounds(comparison, params.gate, leaks))
    return comparison


def list_figures(comparison: Comparison) -> dict:
    """Return the metrics for `dvc metrics`: what was compared and how, numbers with six digits, what was not measured left out.

    Against a teacher's labels the names say agreement instead of CER (`ocrtune.scoring.summaries.name_rates`).
    """
    origins, rules = comparison.origin_counts, comparison.baseline.figures
    figures: dict = {rule: rules.get(rule) for rule in RULES} | ({"learnt": comparison.learnt} if comparison.learnt else {}) | {
        "origins": origins, "num_pages": comparison.num_pages, "num_documents": len(comparison.documents),
        "reference_chars": comparison.reference_chars}
    for reader, interval in zip(comparison.readers, comparison.intervals, strict=True):
        low, high = interval or (None, None)
        figures[reader.name] = {name: reader.figures.get(name) for name in FIGURES + STRUCTURE_FIGURES} | {"cer_low": low, "cer_high": high}
    figures["difference"] = list_difference(comparison.difference)
    figures["further"] = {reader.name: {} for reader in comparison.readers[2:]}
    for reader, other, difference, adjusted in comparison.further:
        numbers = name_rates(list_difference(difference) | {"p_holm": adjusted}, origins)
        figures["further"][reader.name] |= numbers if other is comparison.baseline else {"from_candidate": numbers}
    moved = {pair: count for pair, count in comparison.transitions.items() if pair[0] != pair[1]}
    moves = {("fine", "loop"): 0, ("loop", "fine"): 0} | moved
    figures["transitions"] = {f"{before}_to_{after}": count for (before, after), count in sorted(moves.items())}
    figures["slices"] = {test.name: name_rates({
        "num_pages": test.num_pages, "cer_before": test.cers[0], "cer_after": test.cers[1], "cer": test.change,
        "p_value": test.p_value, "p_holm": test.adjusted_p}, test.origins) for test in comparison.slices}
    figures["canary"] = {reader.name: reader.canary_cer for reader in comparison.readers} | {"increase": comparison.forgotten}
    for bound in comparison.bounds:
        if bound.key == LIKENESS and bound.is_judged:
            figures["likeness"] = bound.increase
    figures["gate"] = {"passed": int(all(bound.has_passed for bound in comparison.bounds))} if comparison.bounds else {}
    return {key: round_numbers(name_rates(value, origins)) if isinstance(value, dict) else value
            for key, value in figures.items() if value != {}}


def list_difference(difference: Difference) -> dict:
    """Return the numbers of a difference."""
    low, high = difference.interval or (None, None)
    return {"cer": difference.absolute, "cer_low": low, "cer_high": high, "cer_relative": difference.relative,
            "p_value": difference.p_value, "smallest_effect": difference.smallest,
            **{f"document_{name}": count for name, count in difference.documents._asdict().items()},
            **{f"page_{name}": count for name, count in difference.pages._asdict().items()}}


def round_numbers(value: dict) -> dict:
    """Return numbers, in dicts too, with six digits, those that could not be measured left out."""
    return {name: round_numbers(number) if isinstance(number, dict) else round(number, 6)
            for name, number in value.items() if number is not None}


def write_comparison_csv(path: Path, comparison: Comparison) -> int:
    """Write a row a page for `dvc plots` and return how many: the CER by each reader in a column `<reader>_cer`, under an honest name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    (cer,) = name_rates({"cer": None}, comparison.origin_counts)
    writer.writerow(["page_id", "doc_id", "origin", "reference_chars", *(f"{reader.name}_{cer}" for reader in comparison.readers)])
    for page_id, row in comparison.baseline.rows.items():
        rates = [f"{reader.rows[page_id]['cer']:.6f}" for reader in comparison.readers]
        writer.writerow([page_id, row["doc_id"], row["origin"], row["reference_chars"], *rates])
    write_text(path, text.getvalue())
    return comparison.num_pages
