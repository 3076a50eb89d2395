"""What may stand under `teacher` and `teachers`: who reads the pages that the student learns from."""

import json
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from ocrtune.params.json_path import parse_path
from ocrtune.params.load import Section
from ocrtune.params.students import StudentProfile

OURS = {"model", "messages", "stream", "stream_options", "temperature", "max_tokens", "n"}  # what extra_body may not hold

VARIABLE = r"^[A-Z_][A-Z0-9_]*$"  # capitals: a key that is put here by mistake is refused


def check_address(url: str) -> str:
    """Return an http(s) address without a trailing slash; one that carries a password is refused, for params.yaml is no secret."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address such as http://localhost:8000/v1")
    if parts.username or parts.password:
        raise ValueError("holds a password; name an environment variable in api_key_env or headers_env instead")
    return url.rstrip("/")


def check_base_address(url: str) -> str:
    """Return an address that paths can be added to."""
    if urlsplit(url).query or urlsplit(url).fragment:
        raise ValueError("ends in ?... or #..., and paths are added to it; a key goes into api_key_env or headers_env")
    return check_address(url)


def check_header_names(headers: dict[str, str]) -> dict[str, str]:
    """Return {header: environment variable}; a value that is no variable's name, such as a key itself, is refused unshown."""
    for header, variable in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", header) or not re.fullmatch(VARIABLE, variable):
            raise ValueError("expected header: NAME_OF_AN_ENVIRONMENT_VARIABLE; keys themselves have no place here")
    return headers


def check_path(text: str) -> str:
    """Return a path into JSON that can be followed."""
    parse_path(text)
    return text


Address = Annotated[str, AfterValidator(check_address)]
BaseAddress = Annotated[str, AfterValidator(check_base_address)]
Headers = Annotated[dict[str, str], AfterValidator(check_header_names)]


class Teacher(Section):
    """What all teachers have."""

    postprocess: Literal["default", "deepseek-ocr", "deepseek-document"] = Field(
        default="default", description="what is taken out of its answers; after the store, so a change reads nothing again")


class TextLayer(Teacher):
    """The PDF's own text: free, and exact for documents born digital."""

    type: Literal["text-layer"] = "text-layer"


class RapidOcr(Teacher):
    """RapidOCR, whose models come with its package."""

    type: Literal["rapidocr"] = "rapidocr"


class Tesseract(Teacher):
    """Tesseract, where the operating system has it."""

    type: Literal["tesseract"] = "tesseract"
    language: str = Field(default="eng", pattern=r"^[\w/-]+(\+[\w/-]+)*$", description="its language packs, joined by +")
    page_segmentation: int = Field(default=3, ge=0, le=13, description="--psm: 3 a page, 7 a single line")
    workers: int = Field(default=0, ge=0, description="processes at a time; 0: one a core; the answers don't depend on it")


class ImageSizing(Section):
    """How large an image is sent. One within the bounds goes as it lies on disk; a larger one is drawn smaller."""

    max_side_px: int | None = Field(default=None, ge=16)
    max_pixels: int | None = Field(default=20_000_000, ge=256, description="width times height")
    jpeg_quality: int = Field(default=90, ge=1, le=95, description="of JPEGs that had to be drawn smaller; others become PNG")


class Generation(Section):
    """How a model writes its answer."""

    temperature: float | None = Field(default=0.1, ge=0, description="null: not sent")
    max_tokens: int | None = Field(default=4096, ge=1, description="null: not sent")
    retry_temperatures: list[Annotated[float, Field(ge=0)]] = Field(
        default=[0.5, 0.9], description="asked again with these, in turn, while the answer loops or is empty on a page with ink")
    extra_body: dict[str, Any] = Field(default_factory=dict, description="further keys of the request, as the server takes them")

    @field_validator("extra_body")
    @classmethod
    def leave_ours_alone(cls, extra: dict) -> dict:
        twice = sorted(OURS & extra.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)}: set by the profile itself, not here")
        try:
            json.dumps(extra, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"no JSON: {error}") from None
        return extra


class Request(Section):
    """How a server is asked. None of it shapes the answer."""

    timeout: float = Field(default=120.0, gt=0, description="seconds for an answer; streamed: for its next piece")
    max_retries: int = Field(default=3, ge=0, description="after a lost connection, a timeout, a 5xx or an answer that is none")
    backoff: float = Field(default=1.0, gt=0, description="seconds before the first retry, twice as long before each further one")
    patience: float = Field(default=600.0, gt=0, description="seconds without an answer from a server that says it is busy")
    max_failures: int = Field(default=10, ge=1, description="pages failed in a row before the run stops")
    concurrent_requests: int = Field(default=4, ge=1, le=1024)


class ChatRequest(Request):
    """How a chat model is asked."""

    stream: bool = Field(default=False, description="show answers on stderr as they come")


class Prices(Section):
    """What tokens cost, in any currency."""

    prompt_per_million: float = Field(ge=0)
    completion_per_million: float = Field(ge=0)


class Api(Teacher):
    """Any OpenAI-compatible server."""

    type: Literal["api"] = "api"
    base_url: BaseAddress
    model_name: str = Field(min_length=1)
    model_version: str = Field(default="", description="another word, and every page is read anew: for another model under the same name")
    api_key_env: str = Field(default="OPENAI_API_KEY", pattern=VARIABLE, description="the environment variable that holds the key")
    headers_env: Headers = Field(default_factory=dict, description="further headers, each from an environment variable")
    task: str = Field(default="ocr", description="the model's own tasks ocr and document, or one of `prompts`")
    image: ImageSizing = ImageSizing()
    generation: Generation = Generation()
    request: ChatRequest = ChatRequest()
    prices: Prices | None = Field(default=None, description="of tokens, for the budget")


class Service(Teacher):
    """An OCR service of its own shape: an image is uploaded as a form, the text is somewhere in the JSON that comes back."""

    type: Literal["service"] = "service"
    url: Address
    model_name: str = Field(min_length=1, description="name and version of what answers; another name is another reader")
    headers_env: Headers = Field(default_factory=dict, description="headers, each from an environment variable")
    file_field: str = Field(default="file", min_length=1, description="the form's field for the image")
    form: dict[str, str] = Field(default_factory=dict, description="further fields of the form")
    text_path: Annotated[str, AfterValidator(check_path)] = Field(
        default="text", description="where the text stands in the answer, such as result.pages[*].text; empty: the answer is the text")
    joiner: str = Field(default="\n", description="between texts where the path finds several")
    image: ImageSizing = ImageSizing()
    request: Request = Request()


class Local(StudentProfile):
    """A vision-language model on this machine, asked as a student is."""

    type: Literal["local"] = "local"
    model: str = Field(description="the folder of its weights")
    task: str = Field(default="ocr", description="one of its own `prompts`, or of those in params.yaml")
    load_in_4bit: bool = Field(default=False, description="weights in 4 bits (NF4): a quarter of the memory; needs bitsandbytes")

    @model_validator(mode="after")
    def ask_something(self):
        """Leave the task to `open_reader`, which knows those that users added, too."""
        return self


Reader = Annotated[TextLayer | RapidOcr | Tesseract | Api | Service | Local, Field(discriminator="type")]

SCHEMAS = {"teacher": str, "teachers": dict[str, Reader]}
