"""What section `compare` of params.yaml may hold."""

from pydantic import Field, model_validator

from ocrtune.params.load import Section


class GateParams(Section):
    """Bounds beyond which the stage fails; null: no bound."""

    fails: bool = Field(default=True, description="false: the stage says which bounds do not hold, and goes on")
    max_cer_increase: float | None = Field(description="candidate's CER less the baseline's, absolute, on the test split", ge=-1, le=1)
    max_slice_increase: float | None = Field(description="the same on the slice that fared worst (evaluate.slices, origin)", ge=-1, le=1)
    max_canary_increase: float | None = Field(description="the same on the clean print of data/canary", ge=-1, le=1)
    max_likeness: float | None = Field(description="share of runs of four words that a tested document and one of train or val may share",
                                       gt=0, lt=1)


class CompareParams(Section):
    """Which readers are compared, how the interval is drawn, what the report shows."""

    baseline: str = Field(description="the reader to compare with", min_length=1)
    candidate: str = Field(description="the reader in question", min_length=1)
    readers: list[str] | None = Field(description="further readers of the table; null: every other one of evaluate.readers")
    draws: int = Field(description="bootstrap samples, and sign flips of the permutation test", ge=100, le=1_000_000)
    confidence: float = Field(description="share of the draws inside the interval", gt=0.5, lt=1)
    seed: int = Field(description="seed of the draws", ge=0)
    worst: int = Field(description="pages shown in each of the lists worst, most improved, got worse", ge=0, le=100)
    gate: GateParams

    @model_validator(mode="after")
    def check_readers(self) -> "CompareParams":
        """Refuse to compare a reader with itself."""
        names = [self.baseline, self.candidate, *(self.readers or [])]
        if len(set(names)) < len(names):
            raise ValueError(f"baseline, candidate and readers must differ, not {', '.join(names)}")
        return self


SCHEMAS = {"compare": CompareParams}
