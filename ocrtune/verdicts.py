"""Say what is wrong with a teacher's reading, if anything."""

from ocrtune.loops import find_loop
from ocrtune.params.teacher_label import TeacherLabelParams
from ocrtune.reading import Reading

REASONS = {
    "none": "nothing to read from: this page has no text layer",
    "error": "the teacher failed on this page",
    "unfinished": "the teacher was cut off before the end",
    "short": "text shorter than teacher_label.min_chars",
    "long": "text longer than teacher_label.max_chars",
    "loop": "text repeats itself",
}


def judge(reading: Reading) -> list[str]:
    """Return what can be said of a reading without settings: how it ended, and whether it loops."""
    if reading.finish_reason in ("none", "error"):
        return [reading.finish_reason]
    verdicts = [] if reading.finish_reason == "stop" else ["unfinished"]
    return [*verdicts, "loop"] if find_loop(reading.text) else verdicts


def refusal(reading: Reading, verdicts: list[str], params: TeacherLabelParams) -> str | None:
    """Return why a reading can't be a label under these params, or None."""
    length = len(reading.text.strip())
    for verdict, refuses in (
        ("none", "none" in verdicts),
        ("error", "error" in verdicts),
        ("unfinished", params.refuse_unfinished and "unfinished" in verdicts),
        ("short", length < params.min_chars),
        ("long", length > params.max_chars),
        ("loop", params.refuse_loops and "loop" in verdicts),
    ):
        if refuses:
            return REASONS[verdict]
    return None
