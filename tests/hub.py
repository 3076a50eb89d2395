"""A model hub on loopback: what huggingface_hub asks when it fetches a repository, answered from a folder."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves `folder` as the repository own/model; `token`, where set, must come along. `breaks` bytes end a connection early, once."""

    def __init__(self, folder: Path, token: str = "", breaks: int = 0, gated: bool = False):
        self.folder, self.token, self.breaks, self.gated = folder, token, breaks, gated
        self.asked: list[str] = []  # method, path and range of each request
        self.lost: set[str] = set()  # files that it announces and can't find
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_HEAD(self):
                hub.answer(self, body=False)

            def do_GET(self):
                hub.answer(self, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        path, span = request.path.split("?")[0], request.headers.get("Range", "")
        self.asked.append(f"{request.command} {path} {span}".strip())
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return self.send(request, 401, b"{}", {"X-Error-Code": "GatedRepo" if self.gated else "RepoNotFound"})
        if path.startswith("/api/models/own/model/tree/"):
            tree = [{"type": "file", "path": file.name, "size": file.stat().st_size, "oid": hashlib.sha1(file.read_bytes()).hexdigest()}
                    for file in sorted(self.folder.iterdir())]
            return self.send(request, 200, json.dumps(tree).encode())
        if path.startswith("/api/models/own/model"):
            wanted = path.rsplit("/", 1)[-1]
            if "/revision/" in path and wanted not in ("main", COMMIT):
                return self.send(request, 404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            files = [{"rfilename": file.name, "size": file.stat().st_size} for file in sorted(self.folder.iterdir())]
            return self.send(request, 200, json.dumps({"id": "own/model", "sha": COMMIT, "siblings": files}).encode())
        file = self.folder / path.rsplit("/", 1)[-1]
        if not path.startswith(f"/own/model/resolve/{COMMIT}/") or not file.is_file() or file.name in self.lost:
            return self.send(request, 404, b"{}", {"X-Error-Code": "EntryNotFound"})
        content = file.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
        if span:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.send(request, 206 if span else 200, content[start:], headers, body)

    def send(self, request, status: int, content: bytes, headers: dict | None = None, body: bool = True) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Content-Type": "application/json", **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
        if not body:
            return
        if self.breaks and len(content) > self.breaks:
            request.wfile.write(content[: self.breaks])
            self.breaks = 0
            request.close_connection = True
            return
        request.wfile.write(content)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
