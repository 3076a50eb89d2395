"""Several readings of the same pages: which pages they share, where they differ, and how a reading gained or lost."""

from dataclasses import dataclass

from ocrtune.studio.result_sets import Result
from ocrtune.studio.selection import ANY

ORDERS = ("gains, biggest first", "losses, biggest first", "differences, biggest first", "document and page")
KINDS = (ANY, "better", "worse", "different texts", "same text")


@dataclass(frozen=True)
class Row:
    """A page as each of the readers read it; the first is what the last is compared with."""

    page_id: str
    results: tuple[Result, ...]

    @property
    def gain(self) -> float:
        """How far the CER fell from the first to the last reader; 0 without a reference."""
        before, after = self.results[0].cer, self.results[-1].cer
        return 0.0 if before is None or after is None else before - after

    @property
    def spread(self) -> float:
        """How far the readers' CERs lie apart."""
        cers = [result.cer for result in self.results if result.cer is not None]
        return max(cers) - min(cers) if cers else 0.0

    @property
    def differs(self) -> bool:
        return len({result.prediction for result in self.results}) > 1


def join(readers: list[list[Result]]) -> tuple[list[Row], int]:
    """Return the pages that all readers read, by page_id, and how many only some of them did."""
    by_id = [{result.page_id: result for result in results} for results in readers]
    shared = sorted(set.intersection(*map(set, by_id))) if by_id else []
    everything = set.union(*map(set, by_id)) if by_id else set()
    return [Row(page_id, tuple(results[page_id] for results in by_id)) for page_id in shared], len(everything) - len(shared)


def choose_rows(rows: list[Row], order: str, kind: str, document: str, search: str) -> list[Row]:
    """Return the rows that fit, in order."""
    words = search.casefold().strip()
    fits = {ANY: lambda row: True, "better": lambda row: row.gain > 0, "worse": lambda row: row.gain < 0,
            "different texts": lambda row: row.differs, "same text": lambda row: not row.differs}.get(kind, lambda row: True)
    found = [row for row in rows if fits(row) and document in (ANY, row.results[0].doc_id)
             and (not words or words in row.page_id.casefold() or words in (row.results[0].reference or "").casefold()
                  or any(words in result.prediction.casefold() for result in row.results))]
    keys = {ORDERS[0]: lambda row: (-row.gain, row.page_id), ORDERS[1]: lambda row: (row.gain, row.page_id),
            ORDERS[2]: lambda row: (-row.spread, not row.differs, row.page_id)}
    return sorted(found, key=keys.get(order, lambda row: row.page_id))
