"""Serve a folder over loopback HTTP, so that local documents take the same path as the web's.

A folder with an index.html is a site; one without is listed, so that every file below is reachable.
"""

import hashlib
import html
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

LISTING_HEADER = "X-Folder-Listing"


class FolderHandler(SimpleHTTPRequestHandler):
    """Serves files and bare listings; with `only`, that one file and nothing else."""

    def __init__(self, *args, only: str | None = None, **kwargs) -> None:
        self.only = only
        super().__init__(*args, **kwargs)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent; the crawl reports what it got."""

    def send_head(self):
        """Send the headers and return the body; a single file's neighbours are not there."""
        if self.only is not None and unquote_to_bytes(self.path) != b"/" + os.fsencode(self.only):
            return self.send_error(404)
        return super().send_head()

    def list_directory(self, path: str) -> BytesIO | None:
        """Send links to all that lies in a folder, but hidden files, robots.txt and links that lead back up."""
        here = os.path.realpath(path)
        names = []
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            leads_up = entry.is_symlink() and entry.is_dir() and f"{here}/".startswith(f"{os.path.realpath(entry)}/")
            if not entry.name.startswith(".") and not leads_up and entry.name != "robots.txt":
                names.append(quote(os.fsencode(entry.name)) + ("/" if entry.is_dir() else ""))
        links = "".join(f'<a href="./{html.escape(name)}"></a>\n' for name in names)
        body = f"<!DOCTYPE html>\n<html><body>\n{links}</body></html>\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header(LISTING_HEADER, "1")
        self.end_headers()
        return BytesIO(body)


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve a folder, or one file, on a free port; give the address without a slash at the end."""
    alone = folder.is_file()
    handler = partial(FolderHandler, directory=os.fspath(folder.parent if alone else folder), only=folder.name if alone else None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def name_folder(folder: Path) -> str:
    """Return the name under which a folder's files appear in rows, never an absolute path."""
    if folder.is_absolute():
        folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else Path(folder.name)
    return folder.as_posix().rstrip("/")


def hash_folder(folder: Path) -> str:
    """Return a hash of all files' places and contents."""
    digest = hashlib.sha256()
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(os.fsencode(path.relative_to(folder)) + b"\0" + content.encode() + b"\n")
    return digest.hexdigest()
