"""What may stand under `prompts`: the tasks that users add to those of a model."""

from typing import Annotated

from pydantic import AfterValidator, Field

from ocrtune.params.load import Section

LOCKED = ("ocr", "document")


class Task(Section):
    """What a model is asked to do with an image."""

    system: str = Field(default="", description="who the model is to be; empty: no system message")
    user: str = Field(min_length=1, description="the words beside the image")


def check_names(tasks: dict[str, Task]) -> dict[str, Task]:
    """Return the tasks; one under the name of each model's own is refused."""
    for name in LOCKED:
        if name in tasks:
            raise ValueError(f"task {name!r} is each model's own and can't be changed; give yours another name")
    return tasks


SCHEMAS = {"prompts": Annotated[dict[str, Task], AfterValidator(check_names)]}
