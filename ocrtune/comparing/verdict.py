"""Say in plain sentences what a comparison found. `code` and **bold** are marked as in Markdown."""

import re
from collections import Counter
from collections.abc import Iterable

from ocrtune.comparing.comparison import ORIGINS, Comparison
from ocrtune.comparing.gate import LIKENESS
from ocrtune.comparing.slice_tests import MIN_DOCUMENTS
from ocrtune.scoring.scores import find_state

UNITS = {"codepoint": "code point", "grapheme": "grapheme cluster"}
# What a split is that the student knows.
LEARNT = {"train": "which the student learnt from", "val": "by which the student's weights were chosen"}


def percent(share: float) -> str:
    """Return a share in percent, with a second digit where the first would hide it."""
    return f"{100 * share:.{2 if 0 < abs(share) < 0.00995 else 1}f} %"


def points(*changes: float) -> list[str]:
    """Return changes of a share in percentage points, signed, alike in digits."""
    digits = 2 if 0 < max(map(abs, changes)) < 0.00995 else 1
    return [f"{100 * change:+.{digits}f}" if round(100 * change, digits) else f"{0:.{digits}f}" for change in changes]


def relative(share: float) -> str:
    """Return a change relative to before in percent, with the digits that tell it from none and from all.

    >>> relative(-0.985), relative(-0.999), relative(-1), relative(0.003)
    ('-98 %', '-99.9 %', '-100 %', '+0.3 %')
    """
    digits = next((digits for digits in (0, 1, 2) if round(100 * share, digits) not in (0, -100)), 3)
    return f"{100 * share:+.{0 if share in (0, -1) else digits}f} %"


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def find_unit(page_ids: Iterable[str]) -> str:
    """Return what the images of these ids are: line or block where all end so (`..._l003`, `..._b003`), else page."""
    marks = {match and match[1] for match in map(re.compile(r".*_([lb])\d+").fullmatch, page_ids)}
    return {"l": "line", "b": "block"}.get(marks.pop(), "page") if len(marks) == 1 else "page"


def say_p(p: float) -> str:
    """Return a p-value as it is usually written."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def say_change(before: float, after: float) -> str:
    """Return a change in points and relative to before, side by side."""
    (change,) = points(after - before)
    return f"{change} ({relative((after - before) / before)})" if before else change


def say_verdict(comparison: Comparison, unit: str) -> str:
    """Return the finding as one plain sentence; "lowered" or "raised" only where the interval leaves out 0.

    Of documents that the student knows it says so first.
    """
    finding = say_finding(comparison, unit)
    return f"On {comparison.learnt}, {LEARNT[comparison.learnt]}: {finding}" if comparison.learnt else finding


def say_finding(comparison: Comparison, unit: str) -> str:
    """Return the finding alone."""
    difference, (before, after) = comparison.difference, comparison.cers[:2]
    names = comparison.baseline.name, comparison.candidate.name
    subject = "Fine-tuning" if names == ("base", "tuned") else f"Reading with {names[1]} instead of {names[0]}"
    score = comparison.score_name
    over = f"over {count(len(comparison.documents), 'document')}, {count(comparison.num_pages, unit)}"
    if difference.interval is None:
        (change,) = points(difference.absolute)
        return (f"The {score} is {percent(before)} with {names[0]} and {percent(after)} with {names[1]} ({change} points, {over}); "
                "one document alone can't say how far that holds for others.")
    change, low, high = points(difference.absolute, *difference.interval)
    also = "" if difference.relative is None else f" or {relative(difference.relative)}"
    numbers = f"({change} points{also}, {100 * comparison.confidence:g} % interval {low} to {high} points, {over})"
    if not difference.is_clear:
        return f"{subject} made no clear difference to the {score}: {percent(before)} before, {percent(after)} after {numbers}."
    verb = "lowered" if difference.absolute < 0 else "raised"
    return f"{subject} {verb} the {score} from {percent(before)} to {percent(after)} {numbers}."


def say_quote(comparison: Comparison, unit: str) -> str:
    """Return what must stand beside the figures wherever they are quoted: pages, references and rules."""
    rules, origins = comparison.baseline.figures, comparison.origin_counts
    top_k = "all of it" if rules.get("top_k") is None else f"`top_k: {rules['top_k']}`"
    structure = ", tables and order of blocks" if rules.get("structure") else ""
    return (f"Measured on the split `{rules.get('split')}` ({top_k}): {count(comparison.num_pages, unit)} of "
            f"{count(len(comparison.documents), 'document')}, {comparison.reference_chars:,} characters; references: "
            f"{', '.join(f'{number:,} `{origin}`' for origin, number in origins.items())}; "
            f"normalizer `{rules['normalizer']}`, unit `{rules['unit']}`{structure}.")


def say_outcomes(comparison: Comparison, unit: str) -> str:
    """Return how evenly the difference falls on documents and pages, and how likely chance alone makes it."""
    difference = comparison.difference
    parts = [f"Of {count(sum(outcomes), noun)}, {outcomes.wins:,} got better, {outcomes.ties:,} stayed the same "
             f"and {outcomes.losses:,} got worse." for outcomes, noun in ((difference.documents, "document"), (difference.pages, unit))]
    if difference.interval is None:  # one document: chance has nothing to deal
        return " ".join(parts)
    few = " With so few documents the interval tends to be too narrow." if len(comparison.documents) < 10 else ""
    smallest = " How small a difference these documents would show can't be estimated: theirs is the same in every draw."
    if difference.smallest is not None:
        size = points(difference.smallest)[0].lstrip("+")
        smallest = f" The smallest difference that these documents would show four times in five is about {size} points."
    chance = f" If the two read alike, chance would part them this far with {say_p(difference.p_value)} (sign flips by document)."
    return " ".join(parts) + chance + smallest + few


def say_transitions(comparison: Comparison, unit: str) -> str:
    """Return which pages went from a sound reading to a failure, and which the other way; where further readers failed, too."""
    return " ".join([say_moves(comparison, unit), *say_further_failures(comparison, unit)])


def say_further_failures(comparison: Comparison, unit: str) -> list[str]:
    """Return a sentence for each reader beside baseline and candidate that failed on a page."""
    said = []
    for reader in comparison.readers[2:]:
        states = Counter(find_state(row) for row in reader.rows.values())
        failed = [f"{number:,} {state}" for state, number in sorted(states.items()) if state != "fine"]
        if failed:
            said.append(f"With `{reader.name}` {count(states.total() - states['fine'], unit)} failed: {', '.join(failed)}.")
    return said


def say_moves(comparison: Comparison, unit: str) -> str:
    """Return which pages went from a sound reading to a failure with the candidate, and which the other way."""
    moves, names = comparison.transitions, f"`{comparison.baseline.name}` and `{comparison.candidate.name}`"
    into = [f"{number:,} to {after}" for (before, after), number in sorted(moves.items()) if before == "fine" != after]
    out = [f"{number:,} from {before}" for (before, after), number in sorted(moves.items()) if after == "fine" != before]
    if not into and not out:
        failed = sum(number for (before, after), number in moves.items() if after != "fine")
        return (f"No {unit} failed (looped, was cut off, stayed empty or was made up) with {names.replace(' and ', ' or ')}." if not failed
                else f"The same {count(failed, unit)} failed with {names}.")
    return (f"From fine to a failure: {', '.join(into) or 'none'}. From a failure to fine: {', '.join(out) or 'none'}.")


def say_confusions(comparison: Comparison, unit: str) -> str:
    """Return which pages the confusions are counted on."""
    left_out = [f"{number:,} by `{name}`" for name, number in comparison.catastrophes.items()]
    which = f"Left out are readings that loop or have a CER of 100 % and more: {' and '.join(left_out)}" if left_out else "All are counted"
    return f"{which}, of {count(comparison.num_pages, unit)}."


def say_adjusted(noun: str) -> str:
    """Return what the p-values of a table are, one a slice or a reader, and what few documents can't show."""
    return (f"p-values are those of sign flips by document, adjusted for the number of {noun} (Holm). "
            "From n documents p is 2 / 2ⁿ at least, before the adjustment: 0.25 from three."
            + (f" Fewer than {MIN_DOCUMENTS} documents get no interval: it would be too narrow." if noun == "slices" else ""))


def say_gate(comparison: Comparison) -> list[str]:
    """Return the bounds of the gate, a sentence each; none where no gate is set."""
    def say(bound) -> str:
        if not bound.is_judged:
            return f"`{bound.key}`: not judged, these are the documents of {comparison.learnt}, {LEARNT[comparison.learnt]}"
        if bound.increase is None:
            return f"`{bound.key}`: **not passed**, nothing was measured on clean print"
        if bound.key == LIKENESS:
            allowed = percent(bound.bound)
            return (f"`{bound.key}`: passed, no tested document is over {allowed} the same as one of train or val" if bound.has_passed else
                    f"`{bound.key}`: **not passed**, {bound.where}; at most {allowed} allowed")
        change, allowed = points(bound.increase, bound.bound)
        where = f" ({bound.where})" if bound.where else ""
        return f"`{bound.key}`: {'passed' if bound.has_passed else '**not passed**'}, {change} points{where}, at most {allowed} allowed"

    return [say(bound) for bound in comparison.bounds]


def say_references(comparison: Comparison) -> str:
    """Return what the references are, who made them and how texts were prepared."""
    origins, figures = comparison.origins, comparison.baseline.figures
    parts = [f"{number:,} are {origin}" for origin, number in origins.items()]
    made = f"{', '.join(parts[:-1])} and {parts[-1]}" if parts[1:] else f"all are {next(iter(origins))}"
    warning = (" A teacher errs too: a score against its labels measures agreement with the teacher. "
               "Texts that people checked, in `data/gold.jsonl`, make it a CER proper." if ORIGINS["teacher"] in origins else "")
    return (f"Of {count(comparison.num_pages, 'reference')} with {comparison.reference_chars:,} characters, {made}.{warning} "
            f"References and predictions were both prepared with the normalizer `{figures['normalizer']}`; a character is a "
            f"{UNITS.get(figures['unit'], figures['unit'])}. How every figure is made: docs/metrics.md.")


def say_forgetting(comparison: Comparison) -> str:
    """Return how reading clean print changed; nothing of predictions from anywhere, whose readers were never asked for it."""
    before, after = comparison.baseline.canary_cer, comparison.candidate.canary_cer
    if not any("canary" in reader.figures for reader in comparison.readers[:2]):
        return ""
    if before is None or after is None:
        return "Clean print was not read (`data/canary` is empty), so nothing is known of what was forgotten."
    (change,) = points(after - before)
    lines = count(comparison.candidate.figures["canary"]["num_lines"], "line")
    others = [f"`{reader.name}` {percent(reader.canary_cer)}" for reader in comparison.readers[2:] if reader.canary_cer is not None]
    beside = f" Further readers: {', '.join(others)}." if others else ""
    return (f"On {lines} of clean print, which has nothing to do with these documents, the CER went from {percent(before)} "
            f"to {percent(after)} ({change} points).{beside}")
