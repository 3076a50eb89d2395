"""What may stand under `student` and `students`: the models that can be fine-tuned."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ocrtune.params.load import Section


class RepeatGuard(Section):
    """A run of `size` tokens that stands among the last `window` is not written again: a remedy against loops."""

    size: int = Field(default=30, ge=2, description="tokens")
    window: int = Field(default=90, ge=2, description="tokens")
    exempt: list[str] = Field(default_factory=list, description="tokens that may always be written: cells of tables repeat")

    @model_validator(mode="after")
    def hold_a_run(self):
        if self.window < self.size:
            raise ValueError(f"window {self.window} is shorter than a run of size {self.size}")
        return self


class StudentProfile(Section):
    """A model, how it is asked, and how it decodes. Its weights live in models/base/<name>."""

    prompts: dict[str, str] = Field(description="the user's words beside the image, by task: its makers' own words; empty: none")
    task: str = Field(default="ocr", description="one of `prompts`")
    postprocess: Literal["default", "deepseek-ocr", "deepseek-document"] = "default"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(default=16, ge=1, description="pages a batch when it reads")
    max_new_tokens: int = Field(default=4096, ge=1)
    unit: Literal["page", "block", "line"] = Field(default="page", description="what tools.infer shows it at a time")
    image: dict = Field(default_factory=dict, description="settings of its image processor: its geometry; `min_height` is ours, "
                        "in px: a lower image is scaled up to it")
    end: str = Field(default="", description="the token that ends an answer; empty: the first that its generation config names")
    repeat_guard: RepeatGuard | None = None
    repository: str = Field(default="", description="where its weights are downloaded from on first use: owner/name of a hub")
    revision: str = Field(default="main", description="commit of the repository: 40 hexadecimal digits; a branch may move")
    vllm: list[str] | None = Field(default=None, description="what `vllm serve` is told beside the model; null: vLLM has no class for it")
    trust_remote_code: bool = Field(default=False, description="run Python code that comes with the weights; wants a commit")

    @model_validator(mode="after")
    def ask_something(self):
        if self.task not in self.prompts:
            raise ValueError(f"task {self.task!r}: prompts has: {', '.join(sorted(self.prompts)) or 'nothing'}; add it there")
        return self

    @model_validator(mode="after")
    def scale_up_by_pixels(self):
        height = self.image.get("min_height", 1)
        if type(height) is not int or height < 1:
            raise ValueError(f"image.min_height {height!r}: expected a whole number of px, 1 or more")
        return self

    @model_validator(mode="after")
    def trust_a_commit_alone(self):
        if self.trust_remote_code and not re.fullmatch(r"[0-9a-f]{40}", self.revision):
            raise ValueError(f"trust_remote_code: code is trusted at one commit; set revision to 40 hexadecimal digits, not "
                             f"{self.revision!r}")
        return self

    @property
    def prompt(self) -> str:
        """Return the words of its task."""
        return self.prompts[self.task]


# A dot in a name would part it: DVC tracks a profile as `students.<name>`.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]

SCHEMAS = {"student": str, "students": dict[Name, StudentProfile]}
