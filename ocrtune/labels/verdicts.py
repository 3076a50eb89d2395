"""Say what is wrong with a teacher's reading, if anything, and whether that keeps it from being learnt from."""

from ocrtune.labels.measures import Measures
from ocrtune.params.teacher_label import TeacherLabelParams
from ocrtune.reading import Reading

SLACK = 3  # characters and places added to both sides of their ratio, lest a word or a speck decide it

# In the order in which they are told as a page's reason. The first three are no texts at all: they are always refused.
REASONS = {
    "none": "nothing to read from: this page has no text layer",
    "error": "the teacher failed on this page",
    "unread": "not read yet: teacher_label.retry leaves it out",
    "unfinished": "the teacher was cut off before the end",
    "empty": "the teacher found no text",
    "blank": "text on a page without ink",
    "loop": "text repeats itself",
    "short": "text shorter than teacher_label.min_chars",
    "long": "text longer than teacher_label.max_chars",
    "sparse": "less text than the ink on the page tells",
    "dense": "more text than the ink on the page has room for",
    "script": "letters of scripts that are not expected",
    "text_layer": "differs from the PDF's own text",
    "second_teacher": "differs from the second teacher's reading",
}
NO_TEXT = ("none", "error", "unread")


def judge(reading: Reading, text: str, measures: Measures | None, places: float | None, params: TeacherLabelParams) -> list[str]:
    """Return the verdicts on a reading, in the order of `REASONS`.

    `text` is the reading's text after post-processing, `measures` its measures, and `places` for how many letters the page's
    ink has room (None: not measured).
    """
    if reading.finish_reason in NO_TEXT:
        return [reading.finish_reason]
    length = len(text.strip())
    ratio = None if places is None else (len("".join(text.split())) + SLACK) / (places + SLACK)
    found = {
        "unfinished": reading.finish_reason != "stop",
        "empty": length == 0,
        "blank": places == 0 and length > 0,
        "loop": measures.has_loop,
        "short": 0 < length < params.min_chars,
        "long": length > params.max_chars,
        "sparse": bool(places) and ratio < params.min_chars_per_place,
        "dense": bool(places) and ratio > params.max_chars_per_place,
        "script": measures.other_letters > params.max_other_script * measures.letters,
        "text_layer": measures.text_layer is not None and exceeds(measures.text_layer.cer, params.max_text_layer_cer),
        "second_teacher": measures.second is not None and exceeds(measures.second.cer, params.max_second_teacher_cer),
    }
    return [verdict for verdict in REASONS if found.get(verdict)]


def exceeds(value: float, bound: float | None) -> bool:
    return bound is not None and value > bound


def find_refusal(verdicts: list[str], params: TeacherLabelParams) -> str | None:
    """Return the verdict for which a page can't be learnt from, or None."""
    return next((verdict for verdict in verdicts if verdict in NO_TEXT or verdict in params.refuse), None)


def explain(verdict: str, reading: Reading) -> str:
    """Return a verdict as a page's reason: in words, with what went wrong where that is known."""
    told = {"error": reading.problem, "unfinished": f"finish_reason {reading.finish_reason}"}.get(verdict)
    return f"{REASONS[verdict]}: {told}" if told else REASONS[verdict]
