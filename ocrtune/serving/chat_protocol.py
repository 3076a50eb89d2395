"""The words of OpenAI's chat completions as a student understands them: one image, perhaps a prompt, an answer in text."""

import base64
import binascii
import io
import json
import math
import re
import time
from dataclasses import dataclass
from typing import Any


class RequestError(Exception):
    """A request that can't be answered: an HTTP status, and what to do about it."""

    def __init__(self, status: int, problem: str):
        super().__init__(problem)
        self.status = status


@dataclass(frozen=True)
class Question:
    """What a request asks for; an empty prompt means the model's own words."""

    image: Any  # of Pillow, RGB
    prompt: str
    temperature: float
    max_tokens: int
    stream: bool
    counts_in_stream: bool


def parse_request(body: bytes, model_name: str, most_tokens: int) -> Question:
    """Return the question in the body of a request for that model; anything else is a `RequestError`.

    An answer has at most `most_tokens` tokens, also where the request allows more.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError(400, "the body is no JSON") from None
    if not isinstance(request, dict) or not isinstance(request.get("messages"), list):
        raise RequestError(400, "messages: expected a list of messages")
    if request.get("model") != model_name:
        raise RequestError(404, f"the model {request.get('model')!r} is not served here; there is {model_name!r}")
    if request.get("n", 1) != 1:
        raise RequestError(400, "n: one answer to a request is all that is given")
    image, prompt = parse_messages(request["messages"])
    limit = request.get("max_completion_tokens") or request.get("max_tokens") or most_tokens
    temperature = request.get("temperature") or 0.0
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise RequestError(400, f"max_tokens: {limit!r} is no number of tokens")
    if not isinstance(temperature, int | float) or not 0 <= temperature < math.inf:
        raise RequestError(400, f"temperature: {temperature!r} is no number from 0 on")
    options = request.get("stream_options")
    return Question(image, prompt, float(temperature), min(limit, most_tokens), request.get("stream") is True,
                    isinstance(options, dict) and options.get("include_usage") is True)


def parse_messages(messages: list) -> tuple[Any, str]:
    """Return image and words of the one message that a student takes."""
    if len(messages) != 1 or not isinstance(messages[0], dict) or messages[0].get("role") != "user":
        raise RequestError(400, "messages: expected one message of the user; a student was trained without a system's or earlier ones")
    parts = messages[0].get("content")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise RequestError(400, "content: expected a list of parts, one of them an image_url")
    texts = [part.get("text") for part in parts if part.get("type") == "text"]
    images = [part.get("image_url") for part in parts if part.get("type") == "image_url"]
    if len(images) != 1 or len(texts) + 1 != len(parts) or not all(isinstance(text, str) for text in texts):
        raise RequestError(400, f"content: expected one image_url and perhaps a text, found {[part.get('type') for part in parts][:8]}")
    url = images[0].get("url") if isinstance(images[0], dict) else images[0]
    return open_data_uri(url), "\n".join(texts)


def open_data_uri(url: Any):
    """Return the image in a data URI (RFC 2397), as RGB; an address is not followed: who asks can fetch."""
    from PIL import Image, UnidentifiedImageError

    head, _, data = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not re.fullmatch(r"data:image/[\w.+-]+;base64", head):
        raise RequestError(400, "image_url: expected data:image/...;base64,...; addresses are not followed")
    try:
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
        why = "" if isinstance(error, UnidentifiedImageError) else f": {error}"  # it would tell an address in our memory
        raise RequestError(400, f"image_url: not an image that opens{why}") from None


def completion(request_id: str, model_name: str, text: str, finish_reason: str, tokens: tuple[int, int]) -> dict:
    """Return a whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return envelope(request_id, model_name, "chat.completion", choices=[choice], usage=usage(tokens))


def chunk(request_id: str, model_name: str, text: str = "", finish_reason: str | None = None) -> dict:
    """Return a piece of a streamed answer."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish_reason}
    return envelope(request_id, model_name, "chat.completion.chunk", choices=[choice])


def usage_chunk(request_id: str, model_name: str, tokens: tuple[int, int]) -> dict:
    """Return the last piece of a streamed answer: what it took."""
    return envelope(request_id, model_name, "chat.completion.chunk", choices=[], usage=usage(tokens))


def envelope(request_id: str, model_name: str, kind: str, **content) -> dict:
    return {"id": request_id, "object": kind, "created": int(time.time()), "model": model_name, **content}


def usage(tokens: tuple[int, int]) -> dict:
    return {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
