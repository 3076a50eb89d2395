"""What may stand under `evaluate`: who reads the test pages, and how texts are compared."""

from typing import Annotated, Literal

from pydantic import Field

from ocrtune.params.budget import BudgetParams
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
    """Readers by name, and the pages that all of them read; dvc.yaml runs one stage for each reader."""

    folder: str = Field(default="data/splits", description="folder of <split>.jsonl; images are found as seen from it", min_length=1)
    split: str = Field(default="test", description="the file in it, without .jsonl", pattern=r"^[\w-]+$")
    top_k: int | None = Field(default=None, description="score so many pages only, drawn by hash; null: all", ge=1)
    normalizer: Literal["raw", "nfc_ws", "text", "alnum"] = "nfc_ws"
    fold: list[Literal["arabic", "width"]] = Field(default=[], description="rules of single scripts that make forms of a letter equal")
    unit: Literal["codepoint", "grapheme"] = Field(default="codepoint", description="what a character is")
    structure: bool = Field(default=False, description="compare tables and the order of blocks too: for pages in Markdown")
    slices: list[str] = Field(default=[], description="columns of the rows, of pages.jsonl or documents.jsonl; source: host or folder")
    confusions: int = Field(default=20, description="how many of the most frequent confusions the metrics hold", ge=0, le=1000)
    budget: BudgetParams = Field(default=BudgetParams(), description="of each reader's run; shapes no score, and DVC doesn't follow it")
    readers: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], EvaluatedReader]  # a name stands in files, commands and the report


SCHEMAS = {"evaluate": EvaluateParams}
