"""Hold a comparison to the bounds of `compare.gate`: when a model is too much worse to be shipped, or its test proves nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from ocrtune.splits.near_duplicates import Twin

MOST_NAMED = 5
LIKENESS = "max_likeness"


@dataclass(frozen=True)
class Bound:
    """A bound of the gate and what was measured; `increase` is None where nothing was, which doesn't pass if it should have been.

    A rise of the CER, or, of `LIKENESS`, how alike the worst leak is (0: there is none); all are shares. `where`
    names the slice or the documents.
    """

    key: str
    increase: float | None
    bound: float
    where: str = ""
    is_judged: bool = True

    @property
    def has_passed(self) -> bool:
        """Whether the increase stays within the bound, or is not asked for."""
        return not self.is_judged or (self.increase is not None and self.increase <= self.bound)

    def say_failure(self) -> str:
        """Return a line about a bound that does not pass."""
        where = f" ({self.where})" if self.where else ""
        if self.increase is None:
            return f"{self.key}{where}: nothing was measured, allowed is {self.bound:+.4f}"
        if self.key == LIKENESS:
            return f"{self.key}: {self.where}; allowed is {100 * self.bound:.0f} %; take them out of either, or raise the bound"
        return f"{self.key}{where}: {self.increase:+.4f}, allowed is {self.bound:+.4f}"


def name_leaks(leaks: Sequence[Twin]) -> str:
    """Return the first few leaks by name, and how many documents of the test set they are."""
    named = ", ".join(f"{twin.doc_id} is {100 * twin.likeness:.0f} % the same as {twin.other_id} of {twin.other_split}"
                      for twin in leaks[:MOST_NAMED])
    count = len({twin.doc_id for twin in leaks})
    more = f" and {len(leaks) - MOST_NAMED} more pairs" if len(leaks) > MOST_NAMED else ""
    return f"{count} tested document{'' if count == 1 else 's'} the student learnt from: {named}{more}" if leaks else ""


def judge(
    overall: float, slices: Iterable[tuple[float, str]], forgotten: float | None, leak: tuple[float | None, str],
    gate: dict[str, float | None], learnt: str = "",
) -> list[Bound]:
    """Return the bounds that `gate` sets, by key, with what was measured, to six digits.

    Rises of the CER on all pages, on each slice with its name (the worst counts) and on clean print; `leak`: how alike the
    tested document is that the student learnt from most closely, with names. Of documents that were taken from `learnt` (train, val)
    on purpose no likeness is judged: it is known, and the verdict says so.
    """
    measured = {"max_cer_increase": (overall, ""),
                "max_slice_increase": max(slices, key=itemgetter(0), default=(overall, "all pages: there are no slices")),
                "max_canary_increase": (forgotten, ""), LIKENESS: leak}
    return [Bound(key, None, gate[key], is_judged=False) if key == LIKENESS and learnt else
            Bound(key, None if increase is None else round(increase, 6), gate[key], where)
            for key, (increase, where) in measured.items() if gate.get(key) is not None]


def measure_bounds(comparison, gate, leaks: Sequence[Twin] = ()) -> list[Bound]:
    """Return the bounds that `GateParams` sets, with what a `Comparison` measured.

    `leaks`: documents of the test set that the student learnt from, the most alike first (`ocrtune.splits.leaks`).
    """
    leak = max((twin.likeness for twin in leaks), default=0.0), name_leaks(leaks)
    return judge(comparison.difference.absolute, [(test.change, test.name) for test in comparison.slices], comparison.forgotten, leak,
                 gate.model_dump(), comparison.learnt)
