"""Serve a student over HTTP as OpenAI's API does: `/v1/models` and `/v1/chat/completions`, whole or streamed."""

import hmac
import json
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ocrtune.serving.chat_protocol import Question, RequestError, chunk, completion, parse_request, usage_chunk
from ocrtune.serving.served_model import Asked, ServedModel

MOST_BYTES = 64 * 2**20  # of a request
IDLE_S = 600  # a connection that says nothing for so long is closed


class ChatServer(ThreadingHTTPServer):
    """A server of one model; `key` is what clients must show, empty: nothing."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], served: ServedModel, model_name: str, key: str = "", is_trained: bool = False):
        try:
            super().__init__(address, Conversation)
        except OSError as error:
            raise OSError(f"{address[0]}, port {address[1]}: {error.strerror}; choose others with --host and --port") from None
        self.served, self.model_name, self.key, self.is_trained = served, model_name, key, is_trained
        self.told: set[str] = set()

    def tell_departures(self, question: Question) -> None:
        """Say, once each, what clients ask otherwise than a model was trained for: it may read worse so, and nothing else would show it."""
        prompt = self.served.profile.prompt
        departures = {f"words other than {prompt!r}": question.prompt not in ("", prompt), "a temperature": question.temperature > 0}
        for what, differs in departures.items():
            if differs and self.is_trained and what not in self.told:
                self.told.add(what)
                print(f"note: clients ask with {what}, as this model was not trained", file=sys.stderr, flush=True)

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):  # clients come and go
            super().handle_error(request, client_address)


class Conversation(BaseHTTPRequestHandler):
    """What one connection says."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    disable_nagle_algorithm = True
    server: ChatServer

    def do_GET(self) -> None:
        if self.path == "/health":
            self.send_object(200, {"status": "ok"})
        elif self.path == "/v1/models":
            self.refuse_strangers(lambda: self.send_object(200, {"object": "list", "data": [
                {"id": self.server.model_name, "object": "model", "created": 0, "owned_by": "ocrtune"}]}))
        else:
            self.send_problem(404, f"nothing at {self.path}; there are /v1/models and /v1/chat/completions")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True  # what it sends is not read
            self.send_problem(413, f"a request needs a Content-Length of at most {MOST_BYTES} bytes")
            return
        body = self.rfile.read(int(length))
        if self.path != "/v1/chat/completions":
            self.send_problem(404, f"nothing at {self.path}; there are /v1/models and /v1/chat/completions")
            return
        self.refuse_strangers(lambda: self.answer(body))

    def refuse_strangers(self, respond) -> None:
        """Respond to those who know the key."""
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.server.key and not hmac.compare_digest(shown.encode(), self.server.key.encode()):
            self.send_problem(401, "wrong key, or none")
            return
        respond()

    def answer(self, body: bytes) -> None:
        """Answer a question, whole or streamed."""
        request_id, name = f"chatcmpl-{uuid.uuid4().hex}", self.server.model_name
        asked = None
        try:
            question = parse_request(body, name, self.server.served.profile.max_new_tokens)
            self.server.tell_departures(question)
            asked = self.server.served.ask(question)
            if question.stream:
                self.stream(asked, request_id)
            else:
                text = "".join(asked.listen())
                self.send_object(200, completion(request_id, name, text, asked.finish_reason, count(asked)))
        except RequestError as error:
            self.send_problem(error.status, str(error))
        finally:
            if asked:
                asked.gone = True

    def stream(self, asked: Asked, request_id: str) -> None:
        """Send an answer as server-sent events; an error on the way is an event, too."""
        name = self.server.model_name
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for text in asked.listen():
                self.send_event(chunk(request_id, name, text))
            self.send_event(chunk(request_id, name, finish_reason=asked.finish_reason))
            if asked.question.counts_in_stream:
                self.send_event(usage_chunk(request_id, name, count(asked)))
        except RequestError as error:
            self.send_event(problem(error.status, str(error)))
        self.send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def send_event(self, content: dict | str) -> None:
        data = b"data: " + (content if isinstance(content, str) else json.dumps(content)).encode() + b"\n\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def send_problem(self, status: int, text: str) -> None:
        self.send_object(status, problem(status, text), {"Retry-After": "1"} if status == 429 else {})

    def send_object(self, status: int, content: dict, headers: dict | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words) -> None:
        """Stay silent: a line for each page helps nobody."""


def count(asked: Asked) -> tuple[int, int]:
    return asked.prompt_tokens, len(asked.tokens)


def problem(status: int, text: str) -> dict:
    """Return an error as OpenAI's API words it."""
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": text, "type": kind, "param": None, "code": status}}
