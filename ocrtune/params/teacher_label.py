"""What may stand under `teacher_label`: which readings become labels, and what reading may cost."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ocrtune.params.budget import BudgetParams
from ocrtune.params.load import Section

Verdict = Literal["unfinished", "empty", "blank", "loop", "short", "long", "sparse", "dense", "script", "text_layer", "second_teacher"]


def check_script(name: str) -> str:
    """Return the name of a Unicode script."""
    import regex

    try:
        regex.compile(rf"\p{{Script_Extensions={name}}}")
    except regex.error:
        raise ValueError("no Unicode script; write Latin, Cyrillic, Greek, Han, Arabic ...") from None
    return name


class TeacherLabelParams(Section):
    """Filters on readings. A change re-filters; it reads nothing again."""

    refuse: list[Verdict] = Field(description="verdicts that keep a page from being learnt from; the others are only told")
    min_chars: int = Field(default=1, ge=0, description="below: short")
    max_chars: int = Field(default=100_000, ge=1, description="above: long")
    min_chars_per_place: float = Field(default=0.25, ge=0, description="characters a letter that the ink has room for; below: sparse")
    max_chars_per_place: float = Field(default=4.0, gt=0, description="above: dense")
    scripts: list[Annotated[str, AfterValidator(check_script)]] = Field(default=[], description="expected; empty: all")
    max_other_script: float = Field(default=0.1, ge=0, le=1, description="share of letters of other scripts; above: script")
    max_text_layer_cer: float | None = Field(default=0.8, ge=0, description="against the PDF's own text; above: text_layer; null: any")
    second_teacher: str = Field(default="text-layer", description="one of `teachers`, who reads each page, too")
    max_second_teacher_cer: float | None = Field(default=0.3, ge=0, description="against its reading; above: second_teacher; null: any")
    retry: Literal["all", "failed", "stale"] = Field(default="all", description="which of the pages without a reading to ask for")
    allow_failed: float = Field(default=0.02, ge=0, le=1, description="share of pages that may fail; with more the stage stops")
    budget: BudgetParams = BudgetParams()


SCHEMAS = {"teacher_label": TeacherLabelParams}
