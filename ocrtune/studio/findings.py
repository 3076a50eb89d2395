"""What can be said of two readers on the same pages: which reads better, by how much, and how surely."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ocrtune.comparing.paired import draw_rates, percentile_interval
from ocrtune.comparing.verdict import count, points
from ocrtune.studio.fragments import percent
from ocrtune.studio.marked_edits import show
from ocrtune.studio.result_sets import Result
from ocrtune.studio.selection import name_score, pool

MOST_DRAWN = 10_000_000  # documents by draws: about half a second; compare.draws bounds it, too
FEWEST_DRAWS = 1000


class Finding(NamedTuple):
    """Two readers' CERs over the same pages, and the interval of their difference where it can be had.

    `num_documents` is 0 where pages don't name theirs.
    """

    names: tuple[str, str]
    score: str
    cers: tuple[float, float]
    difference: float
    interval: tuple[float, float] | None
    confidence: float
    num_documents: int
    num_pages: int

    @property
    def is_better(self) -> bool:
        return self.difference < 0

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def kind(self) -> str:
        """The kind of notice that it makes."""
        return "info" if not self.is_clear else "good" if self.is_better else "bad"


def measure_finding(names: tuple[str, str], pairs: Sequence[tuple[Result, Result]], params: dict[str, Any]) -> Finding | None:
    """Return what the second reader changes, by section compare of params.yaml; None where no page has a reference for both.

    The interval is paired and by document, as stage compare draws it.
    """
    pairs = [pair for pair in pairs if pair[0].counts and pair[1].counts]
    if not pairs:
        return None
    sides = list(zip(*pairs, strict=True))
    cers = tuple(pool(side)["cer"] for side in sides)
    documents = {result.doc_id for result in sides[0]}
    interval, confidence = None, params.get("confidence", 0.95)
    if "" in documents:
        documents = set()
    elif len(documents) > 1:
        draws = min(params.get("draws", 10_000), max(FEWEST_DRAWS, MOST_DRAWN // len(documents)))
        before, after = (draw_side(side, sides[0], draws, params.get("seed", 0)) for side in sides)
        interval = percentile_interval(after - before, confidence)
    score = "CER" if all(name_score(side) == "CER" for side in sides) else "CER against labels"
    return Finding(names, score, cers, cers[1] - cers[0], interval, confidence, len(documents), len(pairs))


def draw_side(side: Sequence[Result], first: Sequence[Result], draws: int, seed: int):
    """Return a reader's pooled CERs of bootstrap samples; the same seed draws the same documents, those of `first`, for each reader."""
    totals: dict[str, list[int]] = {}
    for result, other in zip(side, first, strict=True):
        total = totals.setdefault(other.doc_id, [0, 0])
        total[0] += result.edits
        total[1] += result.counts["reference_chars"]
    edits, lengths = zip(*totals.values(), strict=True)
    return draw_rates([[number] for number in edits], lengths, draws, seed)[:, 0]


def say_finding(finding: Finding) -> str:
    """Return a finding as a sentence of HTML."""
    what, interval = "", ""
    if finding.interval is not None:
        change, low, high = points(finding.difference, *finding.interval)
        interval = f", {100 * finding.confidence:g} % interval {low} to {high} points"
        verb = ("reads better than" if finding.is_better else "reads worse than") if finding.is_clear else "reads about as well as"
    else:
        (change,) = points(finding.difference)
        what = "the only document " if finding.num_documents == 1 else "these pages "
        verb = f"reads {what}{'better than' if finding.is_better else 'worse than' if finding.difference else 'as well as'}"
    where = [*([count(finding.num_documents, "document")] if finding.num_documents else []), count(finding.num_pages, "page")]
    more = "" if finding.num_documents else "; how far that holds for others can't be said: the pages name no documents"
    return (f"<b>{show(finding.names[1])} {verb} {show(finding.names[0])}</b>: {finding.score} {percent(finding.cers[0])} → "
            f"{percent(finding.cers[1])} ({change} points{interval}; {', '.join(where)}{more}).")
