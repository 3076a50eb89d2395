"""Readers give a reading for each page, say what went wrong, and keep secrets. The server here is a real one on loopback."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import draw_line

from ocrtune.params.teachers import Api, Generation, RapidOcr, Request, Tesseract, TextLayer
from ocrtune.readers.open import open_reader
from ocrtune.reading import Page, Reading
from ocrtune.readings import read_pages
from ocrtune.store import Store

KEY = "sk-very-secret-0123456789"


def answer(text="read it", finish_reason="stop") -> dict:
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}]}


class Server(ThreadingHTTPServer):
    """Answers the first requests by `script`, a list of (status, headers, body; None: hang up; callable: call), the rest with a text."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.script, self.asked, self.times = [], [], []
        self.lock, self.busy, self.busiest, self.delay_s = threading.Lock(), 0, 0, 0.0


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            server.times.append(time.monotonic())
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
            status, headers, content = server.script.pop(0) if server.script else (200, {}, answer())
        time.sleep(server.delay_s)
        with server.lock:
            server.busy -= 1
        if callable(content):
            content = content()
        if content is None:
            self.close_connection = True
            self.connection.close()
            return
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def api(server, **change) -> Api:
    request = {"timeout": 20.0, "max_retries": 2, "concurrent_requests": 1} | change.pop("request", {})
    url = f"http://127.0.0.1:{server.server_port}/v1"
    return Api(base_url=url, model_name="m", api_key_env="TEST_KEY", request=Request(**request), **change)


@pytest.fixture
def pages(tmp_path) -> list[Page]:
    images = [tmp_path / f"{number}.png" for number in range(24)]
    return [Page(f"p{number:02d}", image, draw_line(image, f"{number}", 32)) for number, image in enumerate(images)]


def texts(readings) -> dict:
    return {page.page_id: reading for page, reading in readings}


def test_a_request_is_what_servers_expect(server, pages):
    profile = api(server, system="You read.", user="Read this.", generation=Generation(temperature=0.3, max_tokens=77))
    server.script = [(200, {}, answer("ſo\nwe"))]
    assert list(open_reader(profile).read(pages[:1])) == [(pages[0], Reading("ſo\nwe", "stop"))]
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert {name: body[name] for name in ("model", "temperature", "max_tokens")} == {"model": "m", "temperature": 0.3, "max_tokens": 77}
    system, user = body["messages"]
    assert system == {"role": "system", "content": "You read."}
    image, words = user["content"]
    kind, _, data = image["image_url"]["url"].partition(",")
    assert (user["role"], kind, words) == ("user", "data:image/png;base64", {"type": "text", "text": "Read this."})
    assert base64.b64decode(data) == pages[0].image.read_bytes()


def test_an_empty_system_prompt_is_not_sent_and_the_end_is_told(server, pages):
    server.script = [(200, {}, answer("cut o", "length")), (200, {}, answer(None))]
    readings = texts(open_reader(api(server)).read(pages[:2]))
    assert readings == {"p00": Reading("cut o", "length"), "p01": Reading("", "stop")}
    assert [message["role"] for message in server.asked[0][2]["messages"]] == ["user"]


@pytest.mark.parametrize("allowed", [1, 3])
def test_so_many_requests_are_in_flight_and_no_more(server, pages, allowed):
    server.delay_s = 0.1
    reader = open_reader(api(server, request={"concurrent_requests": allowed}))
    assert len(texts(reader.read(pages[:6]))) == 6
    assert server.busiest == allowed


def test_a_busy_server_is_asked_again_when_it_says(server, pages):
    server.script = [(429, {"Retry-After": "1"}, {"error": {"message": "slow down"}})]
    assert texts(open_reader(api(server)).read(pages[:1])) == {"p00": Reading("read it")}
    assert len(server.asked) == 2
    assert server.times[1] - server.times[0] >= 0.95


@pytest.mark.parametrize("trouble", [(500, {}, {"error": "x"}), (503, {}, b"<html>"), (200, {}, None)], ids=["500", "503", "cut"])
def test_a_server_that_stumbles_is_asked_again(server, pages, trouble):
    server.script = [trouble, trouble]
    assert texts(open_reader(api(server)).read(pages[:1])) == {"p00": Reading("read it")}
    assert len(server.asked) == 3


@pytest.mark.parametrize("trouble", [
    (500, {}, b""), (401, {}, {"error": {"message": f"wrong key {KEY}"}}), (400, {}, b"no"), (200, {}, None), (200, {}, b"{torn"),
    (200, {}, b""), (200, {}, {}), (200, {}, []), (200, {}, {"choices": []}), (200, {}, {"choices": [{"message": None}]}),
    (200, {}, answer(3)),
    (200, {"Content-Type": "text/html"}, b"<html>welcome"), (200, {}, answer([{"type": "text", "text": "a"}])),
])
def test_a_page_that_fails_is_an_empty_answer_and_the_others_go_on(server, pages, trouble, capfd):
    server.script = [(200, {}, answer("first")), trouble]
    readings = texts(open_reader(api(server, request={"max_retries": 0})).read(pages[:3]))
    assert readings == {"p00": Reading("first"), "p01": Reading("", "error"), "p02": Reading("read it")}
    output = "".join(capfd.readouterr())
    assert "p01: not read: " in output
    assert KEY not in output


def test_an_image_that_is_gone_fails_alone(server, pages):
    pages[0].image.unlink()
    assert texts(open_reader(api(server)).read(pages[:2])) == {"p00": Reading("", "error"), "p01": Reading("read it")}


@pytest.mark.parametrize("concurrent", [1, 4])
def test_a_dead_server_stops_the_run_and_what_was_read_is_kept(server, pages, tmp_path, capfd, concurrent):
    server.script = [(200, {}, answer())] * 3 + [(401, {}, {"error": {"message": f"wrong key {KEY}"}})] * 50
    reader, store = open_reader(api(server, request={"concurrent_requests": concurrent})), Store(tmp_path / "readings")
    with pytest.raises(ValueError, match="10 failures in a row, the last: AuthenticationError") as error:
        read_pages(reader, pages, store, "teacher")
    assert KEY not in str(error.value) + "".join(capfd.readouterr())
    assert [tally.num_readings for tally in store.tallies.values()] == [3]
    assert 13 <= len(server.asked) < 13 + 2 * concurrent  # the first successes may come late and reset the count
    server.script, before = [], len(server.asked)
    assert len(read_pages(reader, pages, store, "teacher")) == 24
    assert len(server.asked) == before + 21


def test_readings_in_flight_when_the_server_dies_are_kept(server, pages):
    def answer_after_ten_failures():
        while len(server.asked) < 11:
            time.sleep(0.01)
        time.sleep(1)  # until the tenth has arrived
        return answer("late")

    server.script = [(200, {}, answer_after_ten_failures)] + [(401, {}, b"")] * 50
    seen = []
    with pytest.raises(ValueError, match="10 failures in a row"):
        for _, reading in open_reader(api(server, request={"concurrent_requests": 2})).read(pages):
            seen.append(reading)
    assert seen == [Reading("", "error")] * 10 + [Reading("late")]
    assert len(server.asked) == 11


def test_a_key_that_is_not_set_is_no_trouble_for_ones_own_server(server, pages, monkeypatch):
    monkeypatch.delenv("TEST_KEY")
    assert texts(open_reader(api(server)).read(pages[:1])) == {"p00": Reading("read it")}


def test_the_text_layer_is_taken_as_it_is():
    rows = [Page("a", None, "", "words"), Page("b", None, "", ""), Page("c", None, "", None)]
    assert texts(open_reader(TextLayer()).read(rows)) == {"a": Reading("words"), "b": Reading(""), "c": Reading("", "none")}


@pytest.mark.parametrize(("profile", "message"), [
    (RapidOcr(), "RapidOCR is not installed; run `./run uv pip install rapidocr onnxruntime`"),
    (Tesseract(), "no `tesseract` on the path; install it")])
def test_an_engine_that_is_not_there_says_how_to_get_it(profile, message, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ValueError, match=message):
        open_reader(profile)


def test_tesseract_is_asked_as_the_profile_says(monkeypatch, tmp_path, pages, capfd):
    """A program of that name stands in: what we check is the command line, the pipes and the exit status."""
    program = tmp_path / "bin" / "tesseract"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "tesseract 5.3" && exit\n[ "$4" = eng ] || { echo "no $4" >&2; exit 1; }\n'
                       'echo "$* $(wc -c)"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    reader = open_reader(Tesseract(page_segmentation=7))
    assert reader.identity == {"type": "tesseract", "version": "tesseract 5.3", "language": "eng", "page_segmentation": 7}
    assert texts(reader.read(pages[:1])) == {"p00": Reading(f"- - -l eng --psm 7 {pages[0].image.stat().st_size}")}
    assert texts(open_reader(Tesseract(language="xyz")).read(pages[:1])) == {"p00": Reading("", "error")}
    assert "p00: not read: no xyz" in capfd.readouterr().out
