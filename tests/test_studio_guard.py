"""Who may ask the studio, what it serves, and where it refuses to start."""

import asyncio
import base64
import os
import socket
import subprocess
import sys

import pytest

from ocrtune.studio.guard import Guard, check_host, is_loopback, read_accounts, read_origin
from ocrtune.studio.pictures import Gallery
from tests.conftest import ROOT, draw_line

OURS = {"host": "localhost:7860"}


def ask(guard: Guard, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[bytes, bytes]]:
    """Return status and headers of the answer to a request."""
    answers = []

    async def send(message):
        answers.append(message)

    scope = {"type": "http", "scheme": "http", "method": method, "path": path,
             "headers": [(key.encode(), value.encode()) for key, value in headers.items()]}
    asyncio.run(guard(scope, None, send))
    return answers[0]["status"], dict(answers[0]["headers"])


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.parametrize(("method", "path", "headers", "status"), [
    ("GET", "/", {}, 200),
    ("GET", "/", {"host": "127.0.0.1:7860"}, 200),
    ("GET", "/", {"host": "evil.example"}, 403),  # a name that was made to point here
    ("POST", "/gradio_api/queue/join", {"origin": "http://localhost:7860"}, 200),
    ("POST", "/gradio_api/queue/join", {"origin": "https://evil.example"}, 403),
    ("POST", "/gradio_api/upload", {}, 403),
    ("GET", "/gradio_api/file=/etc/passwd", {}, 403),
    ("GET", "/gradio_api/file/params.yaml", {}, 403),
    ("GET", "/gradio_api/proxy=https://example.org", {}, 403),
])
def test_guard_on_loopback(method, path, headers, status):
    found, sent = ask(Guard(hello, {}, is_local=True), method, path, OURS | headers)
    assert found == status
    assert status != 200 or b"connect-src 'self'" in sent[b"content-security-policy"]


@pytest.mark.parametrize(("headers", "status"), [
    ({}, 401), (basic("anna", "wrong"), 401), (basic("nobody", ""), 401), (basic("anna", ""), 401), ({"authorization": "Basic %%%"}, 401),
    ({"authorization": "Bearer secret"}, 401), (basic("anna", "sec:ret"), 200)])
def test_guard_asks_for_a_password(headers, status):
    assert ask(Guard(hello, {"anna": "sec:ret"}, is_local=False), "GET", "/", {"host": "studio.example"} | headers)[0] == status


@pytest.mark.parametrize(("method", "headers", "status", "scheme"), [
    ("GET", {"host": "studio.example"}, 200, "https"),  # what the proxy was asked for
    ("POST", {"host": "studio.example", "origin": "https://studio.example"}, 200, "https"),
    ("POST", {"origin": "https://studio.example"}, 200, "http"),  # a proxy that asks in its own words
    ("GET", {}, 200, "http"),
    ("GET", {"host": "evil.example"}, 403, None),
    ("POST", {"host": "studio.example", "origin": "https://evil.example"}, 403, None),
    ("GET", {"host": "studio.example", "authorization": ""}, 401, None),
])
def test_guard_behind_a_proxy(method, headers, status, scheme):
    seen = []

    async def look(scope, receive, send):
        seen.append(scope["scheme"])
        await hello(scope, receive, send)

    guard = Guard(look, {"anna": "secret"}, is_local=True, origin=read_origin("https://Studio.example/"))
    assert ask(guard, method, "/", OURS | basic("anna", "secret") | headers)[0] == status
    assert seen == ([scheme] if scheme else [])


def test_a_public_origin_is_one_and_needs_accounts():
    assert read_origin(None) == ""
    with pytest.raises(ValueError, match="OCRTUNE_STUDIO_AUTH=name:password"):
        check_host("127.0.0.1", {}, "https://studio.example")
    for text in ("studio.example", "https://studio.example/ocr", "ftp://studio.example", "https://"):
        with pytest.raises(ValueError, match="not an origin; write scheme and host"):
            read_origin(text)


def test_beyond_loopback_only_with_accounts():
    with pytest.raises(ValueError, match="OCRTUNE_STUDIO_AUTH=name:password"):
        check_host("0.0.0.0", {})
    check_host("0.0.0.0", read_accounts({"OCRTUNE_STUDIO_AUTH": "anna:secret, ben:o:ther"}))
    check_host("::1", {})
    assert [is_loopback(host) for host in ("localhost", "127.0.0.2", "0.0.0.0", "localhost.evil.example")] == [True, True, False, False]
    with pytest.raises(ValueError, match="entry 2") as failure:
        read_accounts({"OCRTUNE_STUDIO_AUTH": "anna:secret,tellnoone"})
    assert "secret" not in str(failure.value)
    assert "tellnoone" not in str(failure.value)


def test_gallery_shows_pictures_of_the_project_alone(tmp_path):
    inside, outside = tmp_path / "data", tmp_path / "secret"
    draw_line(inside / "a.png", "a")
    draw_line(outside / "b.png", "b")
    (inside / "words.png").write_text("<script>no picture</script>")
    (inside / "link.png").symlink_to(outside / "b.png")
    cached = tmp_path / "cache/files/md5/ab/cdef"
    draw_line(cached.with_suffix(".png"), "c")
    cached.with_suffix(".png").rename(cached)
    (inside / "cached.png").symlink_to(cached)
    gallery = Gallery([inside])
    address = gallery.hang(inside / "a.png")
    assert gallery.draw(address.rpartition("/")[2], is_small=False) == ((inside / "a.png").read_bytes(), "image/png")
    assert gallery.hang(inside / "cached.png") is not None
    for path in (outside / "b.png", inside / "../secret/b.png", inside / "link.png", inside / "gone.png"):
        assert gallery.hang(path) is None
    assert gallery.draw(gallery.hang(inside / "words.png").rpartition("/")[2], is_small=False) is None
    assert gallery.draw("../secret/b.png", is_small=False) is None


@pytest.mark.parametrize(("words", "message"), [
    (("--server_name", "0.0.0.0"), "OCRTUNE_STUDIO_AUTH"),
    (("--eval_dir", "nowhere"), "nowhere: no such file or folder"),
    (("--server_port", "{taken}"), "Address already in use; choose others with --server_name"),
])
def test_where_it_can_not_start_it_says_why(words, message):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [word.format(taken=taken.getsockname()[1]) for word in words]
        done = subprocess.run([sys.executable, "-m", "tools.studio", *words], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "") and message in done.stderr


def test_without_a_project_or_results_it_has_nothing_to_show(tmp_path):
    done = subprocess.run([sys.executable, "-m", "tools.studio"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "") and "params.yaml: no such file; run from the root" in done.stderr
