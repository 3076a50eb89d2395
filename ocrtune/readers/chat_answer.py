"""Read the answer of `/v1/chat/completions`, whole or streamed, and trust nothing in it.

Format: OpenAI's chat completion object and its chunks, sent as server-sent events (WHATWG HTML, 9.2).
"""

import json
from typing import Any

from ocrtune.readers.trouble import Trouble, describe_body, judge_status
from ocrtune.reading import Reading

MOST_BYTES = 64 * 2**20  # of one answer; no page has as much text
ENDS = {"eos": "stop", "eos_token": "stop", "end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "none": "other"}


def parse_answer(content: bytes) -> Reading:
    """Return the reading in a whole answer; anything else is a `Trouble`."""
    answer = parse_object(content)
    choice = first_choice(answer)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Trouble(f"the answer has no message: {shown(content)}", "again")
    text = text_of(message.get("content"))
    return finish(text, choice.get("finish_reason") or ("refusal" if message.get("refusal") and not text else "stop"), usage_of(answer))


class StreamedAnswer:
    """Puts the pieces of a streamed answer together."""

    def __init__(self):
        self.rest, self.pieces = b"", []
        self.finish_reason, self.tokens, self.ended = "", None, False

    def feed(self, content: bytes) -> str:
        """Take the next bytes and return the text that they bring."""
        # Lines are split here, at line feeds alone: what splits text lines for us would split at U+2028 within an answer, too.
        *lines, self.rest = (self.rest + content).split(b"\n")
        new = [self.take(line.strip()[5:].strip()) for line in lines if line.startswith(b"data:")]
        self.pieces += new
        return "".join(new)

    def take(self, data: bytes) -> str:
        """Return the text in one event."""
        if data == b"[DONE]":
            self.ended = True
        if self.ended or not data:
            return ""
        chunk = parse_object(data)
        self.tokens = usage_of(chunk) or self.tokens
        if chunk.get("choices") == []:
            return ""  # usage comes so
        choice = first_choice(chunk)
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        delta = choice.get("delta")
        return text_of(delta.get("content")) if isinstance(delta, dict) else ""

    def finish(self) -> Reading:
        """Return the whole; a stream that ended before its answer did is a `Trouble`."""
        self.feed(b"\n")
        if not self.ended and not self.finish_reason:
            raise Trouble(f"the stream ended after {sum(map(len, self.pieces))} characters, before the answer did", "again")
        return finish("".join(self.pieces), self.finish_reason or "stop", self.tokens)


def finish(text: str, reason: Any, tokens: tuple[int, int] | None) -> Reading:
    """Return a reading; servers have many words for two ends."""
    reason = str(reason).lower()
    if reason == "error":
        raise Trouble("the server broke the answer off with an error", "again")
    return Reading(text, ENDS.get(reason, reason), tokens=tokens)


def parse_object(content: bytes) -> dict:
    """Return a JSON object without an error in it."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise Trouble(f"the answer is no JSON: {shown(content)}", "again") from None
    if not isinstance(found, dict):
        raise Trouble(f"the answer is no object: {shown(content)}", "again")
    if found.get("error") and not found.get("choices"):
        code = found["error"].get("code") if isinstance(found["error"], dict) else None
        raise judge_status(code if isinstance(code, int) and 400 <= code < 600 else 500, {}, content)
    return found


def first_choice(answer: dict) -> dict:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Trouble(f"the answer has no choices: {shown(json.dumps(answer).encode())}", "again")
    return choices[0]


def text_of(content: Any) -> str:
    """Return the text of a message's content: a text, null, or a list of parts some of which are texts."""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        content = "".join(text_of(part.get("text")) for part in content if part.get("type") in ("text", "output_text"))
    if content is not None and not isinstance(content, str):
        raise Trouble(f"the answer is no text: {shown(json.dumps(content).encode())}", "again")
    return content or ""


def usage_of(answer: dict) -> tuple[int, int] | None:
    """Return the tokens of prompt and completion as the server counted them."""
    usage = answer.get("usage")
    counts = [usage.get(f"{name}_tokens") for name in ("prompt", "completion")] if isinstance(usage, dict) else [None]
    return tuple(counts) if all(isinstance(count, int) and count >= 0 for count in counts) else None


def shown(content: bytes) -> str:
    """Return the beginning of an answer for a message."""
    return describe_body(content[:1000])[0] or "it is empty"
