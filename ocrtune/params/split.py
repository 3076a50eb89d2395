"""What may stand under `split`: how documents are dealt to train, val and test."""

from pydantic import Field, model_validator

from ocrtune.params.load import Section


class SplitParams(Section):
    """Shares of documents. Each document's place hangs on its own content and `salt` alone."""

    val: float = Field(ge=0, lt=1, description="share of documents")
    test: float = Field(gt=0, lt=1, description="share of documents")
    max_likeness: float | None = Field(default=None, gt=0, le=1, description="share of runs of four words that two documents may share")
    salt: str = Field(default="", description="another word, another deal")

    @model_validator(mode="after")
    def leave_some_to_train(self):
        if self.val + self.test >= 1:
            raise ValueError(f"val + test is {self.val + self.test}: nothing is left to train on")
        return self


SCHEMAS = {"split": SplitParams}
