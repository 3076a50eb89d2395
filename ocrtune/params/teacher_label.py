"""What may stand under `teacher_label`: which readings become labels."""

from pydantic import Field

from ocrtune.params.load import Section


class TeacherLabelParams(Section):
    """Filters on readings. A change re-filters; it reads nothing again."""

    min_chars: int = Field(default=1, ge=0, description="a shorter text is no label")
    max_chars: int = Field(default=100_000, ge=1, description="a longer text is no label")
    refuse_loops: bool = True
    refuse_unfinished: bool = Field(default=True, description="refuse where finish_reason is not `stop`")


SCHEMAS = {"teacher_label": TeacherLabelParams}
