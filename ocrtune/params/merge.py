"""What may stand under `merge`: the gate that merged weights must pass."""

from pydantic import Field

from ocrtune.params.load import Section


class Bound(Section):
    """How far the merged model's answers may lie from the adapter's."""

    logits: float = Field(gt=0, description="largest difference of logits, relative to the largest logit")
    texts: float = Field(ge=0, description="edits between the texts, as a share of their characters")


class Tolerances(Section):
    """A bound for each dtype that merged weights may be kept in."""

    float32: Bound
    float16: Bound
    bfloat16: Bound


class MergeParams(Section):
    """Adapter and merged model read the same pages; the stage fails where they disagree."""

    num_pages: int = Field(ge=1, description="pages of the val split (train, where val is empty)")
    tolerance: Tolerances


SCHEMAS = {"merge": MergeParams}
