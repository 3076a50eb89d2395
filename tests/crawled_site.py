"""A web site on loopback, with the troubles of real ones, that counts what it is asked for."""

import gzip
import random
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import pymupdf
from PIL import Image


def make_pdf(text: str) -> bytes:
    """Return a small PDF of one line; equal texts give equal bytes."""
    pdf = pymupdf.open()
    pdf.new_page(width=300, height=100).insert_text((20, 50), text)
    return pdf.tobytes(no_new_id=True)


def make_png(tone: int) -> bytes:
    """Return a small picture."""
    buffer = BytesIO()
    Image.new("L", (30, 30), tone).save(buffer, "PNG")
    return buffer.getvalue()


def link(*places: str) -> bytes:
    """Return an HTML page of links."""
    return ("<!DOCTYPE html><body>" + "".join(f'<a href="{place}">x</a>' for place in places)).encode()


class Site:
    """Pages by path: bytes, or a function of the handler. `asked` holds every path in the order of asking."""

    def __init__(self, pages: dict, delay_s: float = 0.0, jitter_s: float = 0.0) -> None:
        self.pages, self.delay_s, self.jitter_s = pages, delay_s, jitter_s
        self.asked: list[str] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.asked.append(handler.path)
        time.sleep(self.delay_s + random.random() * self.jitter_s)
        page = self.pages.get(handler.path)
        if callable(page):
            page(handler)
        elif page is None:
            send(handler, b"gone", status=404)
        else:
            send(handler, page)


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """Send a response; underscores of header names become hyphens."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def send_zipped(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Send a body that a browser unpacks."""
    send(handler, gzip.compress(body), Content_Encoding="gzip")


@contextmanager
def serve(site: Site):
    """Serve a site on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield site
        finally:
            server.shutdown()
