"""What reading may cost, in `teacher_label` and `evaluate`."""

from pydantic import Field

from ocrtune.params.load import Section


class BudgetParams(Section):
    """What one run may spend, over all its readers; null: no limit."""

    max_pages: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=0, description="of prompts and answers")
    max_cost: float | None = Field(default=None, ge=0, description="in the currency of the reader's prices")
