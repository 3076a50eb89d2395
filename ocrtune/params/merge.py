"""What may stand under `merge`: the gate that merged weights must pass."""

from pydantic import Field

from ocrtune.params.load import Section


class MergeParams(Section):
    """Adapter and merged model read the same pages; the stage fails where they disagree."""

    num_pages: int = Field(ge=1, description="pages of the val split (train, where val is empty)")
    tolerance: float = Field(gt=0, description="largest difference of logits, relative to the largest logit")


SCHEMAS = {"merge": MergeParams}
