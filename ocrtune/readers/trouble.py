"""Tell what went wrong with a request, whether to ask again, and when; never with a key in it."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import quote

PROBLEM_CHARS = 200
SHORTEST_SECRET = 4  # of errors: what is shorter stands in every text
SHORTEST_KEY = 16  # of answers: servers of one's own take any word, such as `none`, and pages say it; no true key is shorter
HIDDEN = "(key)"
CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "insufficient_funds")


class Trouble(Exception):
    """A request that brought no answer, and what it means for the next.

    `kind`: `again`: the same request may do better; `busy`: the server wants fewer requests; `image`: the file is no image to
    send; `page`: the server does not take this page; `stop`: it will take none. `wait_s` is how long the server asks to be left
    alone, where it says so; `status` is HTTP's, or None.
    """

    def __init__(self, problem: str, kind: Literal["again", "busy", "image", "page", "stop"], wait_s: float | None = None,
                 status: int | None = None):
        super().__init__(problem)
        self.kind, self.wait_s, self.status = kind, wait_s, status


def judge_status(status: int, headers: Mapping[str, str], body: bytes) -> Trouble:
    """Return the trouble behind an HTTP status that is no success; `headers` are looked up in lower case."""
    problem, code = describe_body(body)
    text = f"status {status}" + (f": {problem}" if problem else "")
    wait_s = retry_after(headers)
    if status == 402 or code in CREDIT:
        return Trouble(f"{text}; the account has no credit left", "stop", status=status)
    if status == 429:
        return Trouble(text, "busy", wait_s, status)
    if status in (408, 409, 425) or status >= 500:
        return Trouble(text, "again", wait_s, status)
    if 300 <= status < 400:
        return Trouble(f"{text}; it points to {headers.get('location', 'nowhere')}: set that address", "stop", status=status)
    return Trouble(text, "stop" if status in (401, 404) else "page", status=status)


def describe_body(body: bytes) -> tuple[str, str]:
    """Return what an error's body says in one line, and its code; servers agree on no shape."""
    text = body.decode("utf-8", errors="replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
        page = re.match(r"\s*<(!doctype|html|head|body)", text, re.IGNORECASE)
        return one_line(f"a web page, {title[1]!r}" if title else "a web page" if page else text), ""
    error = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(error, dict):
        return one_line(str(error)), ""
    message = next((error[key] for key in ("message", "detail", "msg", "error") if error.get(key)), error)
    return one_line(message if isinstance(message, str) else json.dumps(message)), str(error.get("code") or error.get("type") or "")


def one_line(text: str) -> str:
    """Return a text without line breaks and signs that a terminal obeys."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", " ", text).split())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait (RFC 9110, 10.2.3: seconds or a date); None where it does not say."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            wait_s = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return wait_s if 0 <= wait_s < float("inf") else None
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def hide(text: str, secrets: Iterable[str], shortest: int = SHORTEST_SECRET) -> str:
    """Return a text without secrets, as they are and as JSON, addresses and Python write them; `shortest` in characters."""
    for secret in secrets:
        if len(secret) >= shortest:
            for form in {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe="")}:
                text = text.replace(form, HIDDEN)
    return text


def hide_keys(text: str, secrets: Iterable[str]) -> str:
    """Return what was read of a page without true keys; a word that serves as one on a server of one's own stays: the page says it."""
    return hide(text, secrets, SHORTEST_KEY)


def shorten(text: str) -> str:
    """Return the first `PROBLEM_CHARS` characters."""
    return text if len(text) <= PROBLEM_CHARS else text[:PROBLEM_CHARS] + " ..."


def describe_error(error: Exception) -> str:
    """Return what a client's error says, and what lies at its bottom: `Connection error.` alone helps nobody."""
    bottom = error
    while bottom.__cause__ or bottom.__context__:
        bottom = bottom.__cause__ or bottom.__context__
    name = type(error).__name__
    return one_line(f"{name}: {bottom}" if str(bottom) else f"{name}: {type(bottom).__name__}")
