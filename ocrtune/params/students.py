"""What may stand under `student` and `students`: the models that can be fine-tuned."""

from typing import Literal

from pydantic import Field

from ocrtune.params.load import Section


class StudentProfile(Section):
    """A model, how it is asked, and how it decodes. Its weights live in models/base/<name>."""

    prompt: str = Field(description="the user's words beside the image; empty where the model takes none")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(default=16, ge=1, description="pages a batch when it reads")
    max_new_tokens: int = Field(default=4096, ge=1)
    image: dict = Field(default_factory=dict, description="arguments for its image processor: its geometry")
    postprocess: Literal["default", "deepseek-ocr", "deepseek-document"] = "default"
    trust_remote_code: bool = False


SCHEMAS = {"student": str, "students": dict[str, StudentProfile]}
