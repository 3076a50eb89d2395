"""What may stand under `teacher` and `teachers`: who reads the pages that the student learns from."""

from typing import Annotated, Literal

from pydantic import Field

from ocrtune.params.load import Section
from ocrtune.params.students import StudentProfile


class TextLayer(Section):
    """The PDF's own text: free, and exact for documents born digital."""

    type: Literal["text-layer"] = "text-layer"


class RapidOcr(Section):
    """RapidOCR, whose models come with its package."""

    type: Literal["rapidocr"] = "rapidocr"


class Tesseract(Section):
    """Tesseract, where the operating system has it."""

    type: Literal["tesseract"] = "tesseract"
    language: str = "eng"
    page_segmentation: int = Field(default=3, ge=0, le=13, description="--psm: 3 a page, 7 a single line")


class Generation(Section):
    """How a model writes its answer."""

    temperature: float = Field(default=0.1, ge=0)
    max_tokens: int = Field(default=4096, ge=1)


class Request(Section):
    """How a server is asked. None of it shapes the answer."""

    timeout: float = Field(default=120.0, gt=0, description="seconds")
    max_retries: int = Field(default=3, ge=0)
    concurrent_requests: int = Field(default=4, ge=1)


class Api(Section):
    """Any OpenAI-compatible server."""

    type: Literal["api"] = "api"
    base_url: str
    model_name: str
    api_key_env: str = Field(default="OPENAI_API_KEY", description="the environment variable that holds the key")
    system: str = ""
    user: str = "Extract all text from the image."
    generation: Generation = Generation()
    request: Request = Request()


class Local(StudentProfile):
    """A vision-language model on this machine, asked as a student is."""

    type: Literal["local"] = "local"
    model: str = Field(description="the folder of its weights")


Reader = Annotated[TextLayer | RapidOcr | Tesseract | Api | Local, Field(discriminator="type")]

SCHEMAS = {"teacher": str, "teachers": dict[str, Reader]}
