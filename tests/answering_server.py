"""A real HTTP server on loopback that answers by a script, badly where it is told to."""

import json
import socket
import struct
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-very-secret-0123456789"


def answer(text="read it", finish_reason="stop", tokens=None) -> dict:
    """Return a chat completion as OpenAI's API has it."""
    usage = {"usage": dict(zip(("prompt_tokens", "completion_tokens"), tokens, strict=True))} if tokens else {}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m", **usage,
            "choices": [{"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}]}


def event(text=None, finish_reason=None, **more) -> bytes:
    """Return one server-sent event with a piece of a chat completion."""
    chunk = {"choices": [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish_reason}]} | more
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def cut(content: bytes, kept: int):
    """Promise all of a body, send its beginning and reset the connection."""
    def respond(handler):
        handler.begin(200, {"Content-Length": str(len(content))})
        handler.wfile.write(content[:kept])
        handler.wfile.flush()
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.hang_up()

    return respond


def hang_up(handler) -> None:
    """Close the connection without a word."""
    handler.hang_up()


def stream(*pieces, ended=True):
    """Send pieces as a stream of events, those that are numbers as seconds of silence; `ended` False: never close it."""
    def respond(handler):
        handler.begin(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
        for piece in pieces:
            if isinstance(piece, float):
                handler.server.closing.wait(piece)
            else:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if ended:
            handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.server.closing.wait(30)
            handler.hang_up()

    return respond


def drip(handler) -> None:
    """Send blanks for ever, slowly: a body that never comes to an end."""
    handler.begin(200, {"Content-Length": "1000000"})
    while not handler.server.closing.wait(0.02):
        handler.wfile.write(b" ")


class Server(ThreadingHTTPServer):
    """Answers the first requests by `script`, then each by `usual`.

    An answer is (status, headers, body), body an object for JSON, bytes, or a function that is given the handler and responds.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.script, self.usual = [], (200, {}, answer())
        self.asked, self.times = [], []  # (path, headers, body) of each request, and when it came
        self.lock, self.busy, self.busiest, self.delay_s = threading.Lock(), 0, 0, 0.0
        self.models = ["m"]
        self.closing = threading.Event()

    def handle_error(self, request, client_address):
        pass  # clients hang up: that is what is tested


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def begin(self, status: int, headers: dict) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def send_whole(self, status: int, headers: dict, content) -> None:
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.begin(status, {"Content-Length": str(len(content)), **headers})
        self.wfile.write(content)

    def do_GET(self):
        self.send_whole(200, {}, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.server.models]})

    def do_POST(self):
        server, body = self.server, self.rfile.read(int(self.headers["Content-Length"]))
        with server.lock:
            if self.headers["Content-Type"] == "application/json":
                body = json.loads(body)
            server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            server.times.append(time.monotonic())
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
            status, headers, content = server.script.pop(0) if server.script else server.usual
        server.closing.wait(server.delay_s)
        with server.lock:
            server.busy -= 1
        if callable(content):
            content(self)
        else:
            self.send_whole(status, headers, content)

    def log_message(self, *args):
        pass


@contextmanager
def serving():
    """Run a server while the context lasts."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
