"""A real OpenAI-compatible server on loopback, that answers by script and counts what it was asked."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Teacher:
    """A server that answers as the script for an image says, and remembers which images it was asked for, by their SHA-256."""

    def __init__(self, name: str):
        self.name, self.answers, self.asked = name, {}, []  # an answer: text, (text, finish_reason) or None: not understood
        teacher = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                (part,) = [part for part in request["messages"][-1]["content"] if part["type"] == "image_url"]
                digest = hashlib.sha256(base64.b64decode(part["image_url"]["url"].partition(",")[2])).hexdigest()
                teacher.asked.append(digest)
                answer = teacher.answers.get(digest, "no script")
                status = 400 if answer is None else 200
                text, finish_reason = answer if isinstance(answer, tuple) else (answer, "stop")
                content = json.dumps({"error": {"message": "image not understood"}} if status == 400 else {
                    "id": "x", "object": "chat.completion", "created": 0, "model": "m",
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
                    "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def profile(self, **more) -> dict:
        """Return its profile in params.yaml."""
        return {"type": "api", "base_url": f"http://127.0.0.1:{self.server.server_port}/v1", "model_name": self.name,
                "request": {"max_retries": 0}, "generation": {"retry_temperatures": []}} | more
