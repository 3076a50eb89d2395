"""Choose which results are shown, and in which order."""

from dataclasses import dataclass

from ocrtune.scoring.summaries import name_rate
from ocrtune.studio.result_sets import Result

ANY = "any"
ORDERS = ("CER, worst first", "CER, best first", "most edits first", "F1, lowest first", "document and page")
NO_VERDICT, WITH_EDITS, PERFECT = "none", "with edits", "perfect"


@dataclass(frozen=True)
class Query:
    """What a person asks to see. `low` and `high`: bounds of the CER in percent, None: no bound."""

    order: str = ORDERS[0]
    search: str = ""
    document: str = ANY
    verdict: str = ANY
    kind: str = ANY  # "column: value"
    low: float | None = None
    high: float | None = None


def choose(results: list[Result], query: Query) -> list[Result]:
    """Return the results that fit a query, in its order; those without a score come last."""
    words = query.search.casefold().strip()
    column, _, value = query.kind.partition(": ")
    found = [result for result in results
             if (query.document in (ANY, result.doc_id))
             and (query.kind == ANY or result.slices.get(column) == value)
             and has_verdict(result, query.verdict)
             and (query.low is None or (result.cer is not None and 100 * result.cer >= query.low))
             and (query.high is None or (result.cer is not None and 100 * result.cer <= query.high))
             and (not words or words in result.prediction.casefold() or words in (result.reference or "").casefold()
                  or words in result.page_id.casefold())]
    keys = {
        ORDERS[0]: lambda result: (result.cer is None, -(result.cer or 0), -result.edits, result.page_id),
        ORDERS[1]: lambda result: (result.cer is None, result.cer or 0, result.page_id),
        ORDERS[2]: lambda result: (-result.edits, result.page_id),
        ORDERS[3]: lambda result: (result.char_f1 is None, result.char_f1 or 0, result.page_id),
        ORDERS[4]: lambda result: result.page_id,
    }
    return sorted(found, key=keys.get(query.order, keys[ORDERS[0]]))


def has_verdict(result: Result, verdict: str) -> bool:
    """Return whether a result is of the kind asked for."""
    if verdict in (ANY, PERFECT, WITH_EDITS, NO_VERDICT):
        return {ANY: True, PERFECT: result.cer == 0, WITH_EDITS: result.edits > 0, NO_VERDICT: not result.verdicts}[verdict]
    return verdict in result.verdicts


def list_verdicts(results: list[Result]) -> list[str]:
    """Return what can be asked for as a verdict."""
    return [ANY, WITH_EDITS, PERFECT, NO_VERDICT, *sorted({verdict for result in results for verdict in result.verdicts})]


def list_kinds(results: list[Result]) -> list[str]:
    """Return the slices as `column: value`; a column of one value sorts nothing and is left out."""
    values: dict[str, set[str]] = {}
    for result in results:
        for column, value in result.slices.items():
            values.setdefault(column, set()).add(value)
    return [ANY, *(f"{column}: {value}" for column in sorted(values) if len(values[column]) > 1 for value in sorted(values[column]))]


def name_score(results: list[Result]) -> str:
    """Return what the edits by reference characters may be called: against a teacher's labels they are no plain CER."""
    return name_rate("CER", [result.slices.get("origin") for result in results])


def pool(results: list[Result]) -> dict[str, float]:
    """Return the pooled figures of results that have a reference: all edits by all characters, and the share of perfect pages."""
    scored = [result for result in results if result.counts]
    totals = {name: sum(result.counts[name] for result in scored) for name in ("reference_chars", "prediction_chars", "char_matches")}
    edits = sum(result.edits for result in scored)
    both = totals["reference_chars"] + totals["prediction_chars"]
    if not scored:
        return {"num_pages": len(results), "num_scored": 0}
    return {
        "num_pages": len(results), "num_scored": len(scored), "edits": edits, "reference_chars": totals["reference_chars"],
        "cer": edits / totals["reference_chars"] if totals["reference_chars"] else float(edits > 0),
        "char_f1": 2 * totals["char_matches"] / both if both else 1.0,
        "perfect_rate": sum(result.edits == 0 for result in scored) / len(scored),
    }
