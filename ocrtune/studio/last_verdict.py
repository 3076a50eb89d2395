"""What stage compare found when it last ran, and whether its gate passes, from metrics/compare.json."""

import json

from ocrtune.comparing.gate import LIKENESS, Bound, judge
from ocrtune.comparing.verdict import LEARNT, points
from ocrtune.rows import RowError
from ocrtune.scoring.summaries import plain_rates
from ocrtune.studio.findings import Finding, say_finding
from ocrtune.studio.fragments import notice, percent
from ocrtune.studio.marked_edits import show
from ocrtune.studio.params_file import read_params
from ocrtune.studio.project import Project

GATE = {"max_cer_increase": "all pages", "max_slice_increase": "the slice that fared worst", "max_canary_increase": "clean print",
        LIKENESS: "no leaks"}
STALE = "metrics/compare.json: not a report of stage compare with params.yaml as it is now; rerun it: ./run dvc repro"


def measure_gate(found: dict, gate: dict[str, float | None]) -> list[Bound]:
    """Return the bounds that params set, beside what compare.json says was measured, as stage compare judges them."""
    slices = [(plain_rates(rates)["cer"], name) for name, rates in (found.get("slices") or {}).items()]
    return judge(plain_rates(found["difference"])["cer"], slices, (found.get("canary") or {}).get("increase"),
                 (found.get("likeness"), ""), gate, found.get("learnt", ""))


def say_gate(bounds: list[Bound]) -> str:
    """Return whether the gate passes, and what does not, as HTML."""
    if not bounds:
        return "No gate is set (compare.gate in params.yaml)."
    failed = [bound for bound in bounds if not bound.has_passed]
    if not failed:
        return f"<b>The gate passes</b>: {', '.join(GATE[bound.key] + ('' if bound.is_judged else ' (not judged)') for bound in bounds)}."
    lines = []
    for bound in failed:
        where = GATE[bound.key] + (f" ({bound.where})" if bound.where else "")
        if bound.increase is None:
            lines.append(f"{where}: nothing was measured")
        elif bound.key == LIKENESS:
            lines.append(f"a tested document is {percent(bound.increase)} the same as one that was learnt from, "
                         f"at most {percent(bound.bound)} allowed ({bound.key})")
        else:
            change, allowed = points(bound.increase, bound.bound)
            lines.append(f"{where}: {change} points, at most {allowed} allowed ({bound.key})")
    return f"<b>The gate does not pass</b>: {show('; '.join(lines))}."


def names_of(project: Project) -> tuple[str | None, str | None]:
    """Return the readers that stage compare compares, by params.yaml: baseline and candidate."""
    try:
        section = read_params(project).get("compare") or {}
    except RowError:
        section = {}
    return section.get("baseline"), section.get("candidate")


def say_verdict(project: Project) -> str:
    """Return what stage compare found, with its gate; a hint where it has not run."""
    path = project.root / "metrics" / "compare.json"
    if not path.is_file():
        return notice("No verdict yet: stage compare has not run (./run dvc repro).")
    try:
        found, params = json.loads(path.read_text(encoding="utf-8")), read_params(project).get("compare", {})
        names = params.get("baseline"), params.get("candidate")
        cers = tuple(plain_rates(found[name])["cer"] for name in names)
        difference, bounds = plain_rates(found["difference"]), measure_gate(found, params.get("gate") or {})
        interval = (difference["cer_low"], difference["cer_high"]) if "cer_low" in difference else None  # two documents or more
        finding = Finding(names, "CER" if "cer" in found["difference"] else "CER against the teacher's labels", cers, difference["cer"],
                          interval, params.get("confidence", 0.95), found.get("num_documents", 0), found.get("num_pages", 0))
    except (ValueError, KeyError, TypeError, AttributeError):
        return notice(STALE, "bad")
    learnt = f"<b>On {found['learnt']}, {LEARNT[found['learnt']]}:</b> " if found.get("learnt") in LEARNT else ""
    kind = "bad" if any(not bound.has_passed for bound in bounds) else "info" if learnt and finding.kind == "good" else finding.kind
    return (f'<div class="notice {kind}">{learnt}{say_finding(finding)} '
            f'{say_gate(bounds)} <span class="quiet">metrics/compare.json, the pipeline\'s last run</span></div>')
