"""What section `pdf2img` of params.yaml may hold."""

from typing import Literal

from pydantic import Field

from ocrtune.params.load import Section


class Pdf2imgParams(Section):
    """How documents become images of pages, blocks or lines."""

    dpi: int = Field(description="resolution of rendered PDF pages; images keep their own", ge=36, le=1200)
    format: Literal["png", "jpg"] = Field(description="file format of the images")
    start_page: int = Field(description="first page taken of each document", ge=1)
    end_page: int | None = Field(description="last page taken; null: all", ge=1)
    grayscale: bool = Field(description="whether images are gray")
    unit: Literal["page", "block", "line"] = Field(description="what one image shows")
    max_pixels: int = Field(description="a larger page is made smaller; one 64 times as large is refused", ge=10_000)
    min_line_height_px: int = Field(description="lower lines and blocks are refused", ge=1)
    padding: float = Field(description="room around a line or block, in line heights", ge=0, le=1)
    workers: int = Field(description="processes; 0: one a core", ge=0)


SCHEMAS = {"pdf2img": Pdf2imgParams}
