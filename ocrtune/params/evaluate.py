"""What may stand under `evaluate`: who reads the test pages, and how texts are compared."""

from typing import Annotated, Literal

from pydantic import Field

from ocrtune.params.load import Section
from ocrtune.params.teachers import Api, Local, RapidOcr, Service, Tesseract, TextLayer


class Student(Section):
    """The chosen student with the weights in `model`: as it came, or merged."""

    type: Literal["student"] = "student"


class EvaluatedReader(Section):
    """A reader, and the file or folder whose change makes DVC ask it again."""

    model: str = Field(description="a model's folder; for an engine or a server uv.lock, which pins its client's version")
    reader: Annotated[Student | TextLayer | RapidOcr | Tesseract | Api | Service | Local, Field(discriminator="type")]


class EvaluateParams(Section):
    """Readers by name; dvc.yaml runs one stage for each."""

    normalizer: Literal["raw", "nfc_ws"] = "nfc_ws"
    readers: dict[str, EvaluatedReader]


SCHEMAS = {"evaluate": EvaluateParams}
