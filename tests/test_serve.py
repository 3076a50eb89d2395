"""A student served over HTTP answers as it does in a reader of its own, to many clients at a time, and to none that ask amiss.

The server is a process of its own with the tiny student of the repository; the pages are clean print (data/canary).
"""

import base64
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from PIL import Image

from ocrtune.models.contract import asked
from ocrtune.params.students import StudentProfile
from ocrtune.params.teachers import Api, ChatRequest, Generation, Local
from ocrtune.readers.open import open_reader
from ocrtune.reading import Page
from ocrtune.rows import read_rows, write_json, write_rows
from ocrtune.scoring.scores import score_page
from ocrtune.scoring.summaries import summarize

KEY = "a-key-for-tests"
CANARY = ROOT / "data/canary"
ROWS = read_rows(CANARY / "canary.jsonl")[:24]
PAGES = [Page(row["page_id"], CANARY / row["image"], row["sha256"]) for row in ROWS]
PROFILE = yaml.safe_load((ROOT / "params.yaml").read_text())["students"]["tiny"]


def start_server(port: int = 0, **options) -> tuple[subprocess.Popen, str]:
    """Start a server and return its process and address."""
    process = subprocess.Popen([sys.executable, "-m", "tools.serve", "models/base/tiny", "--port", str(port), "--key-env", "SERVE_KEY"],
                               cwd=ROOT, env=os.environ | {"SERVE_KEY": KEY}, stdout=subprocess.PIPE, text=True, **options)
    line = process.stdout.readline()
    assert line.startswith("serving tiny at http://127.0.0.1:"), line
    return process, line.split()[3].rstrip(",")


@pytest.fixture(scope="module")
def server():
    process, url = start_server()
    yield url
    process.terminate()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    words = said.split()
    assert words[0] == "stopped;"
    assert int(words[4]) < int(words[1])  # questions shared batches


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("SERVE_KEY", KEY)


def profile(url: str, request=None, **change) -> Api:
    request = ChatRequest(**{"timeout": 300.0, "concurrent_requests": 8, "backoff": 0.05} | (request or {}))
    settings = {"model_name": "tiny", "api_key_env": "SERVE_KEY", "generation": Generation(temperature=0.0, retry_temperatures=[])}
    return Api(base_url=url, request=request, **settings | change)


def read(reader) -> dict:
    return {page.page_id: reading for page, reading in reader.read(PAGES)}


@pytest.fixture(scope="module")
def local() -> dict:
    """Return what the student reads without a server."""
    return read(open_reader(Local(model=str(ROOT / "models/base/tiny"), **PROFILE)))


def cer(truth: dict[str, str], texts: dict[str, str]) -> float:
    rows = [score_page(truth[name], text, "nfc_ws") for name, text in texts.items()]
    return summarize([{"doc_id": "canary", "origin": "gold", "finish_reason": "stop", **row} for row in rows])["cer"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_server_reads_as_the_reader_does(server, local, stream):
    readings = read(open_reader(profile(server, {"stream": stream})))
    assert {name: (reading.text, reading.finish_reason) for name, reading in readings.items()} == {
        name: (reading.text, reading.finish_reason) for name, reading in local.items()}
    assert cer({row["page_id"]: row["text"] for row in ROWS}, {name: reading.text for name, reading in readings.items()}) < 0.05
    for reading in readings.values():
        prompt, completion = reading.tokens
        assert prompt > 10
        assert completion == len(reading.text) + 1  # a token a character, and the end


def test_pages_are_labelled_through_a_server(server, project):
    """The stage as DVC runs it, with a model behind an API as its teacher."""
    api = profile(server).model_dump()
    project.params["teachers"]["served"], project.params["teacher"] = api, "served"
    project.save()
    folder = Path("data/pages/images")
    folder.mkdir(parents=True)
    rows = []
    for row in ROWS[:6]:
        (folder / f"{row['page_id']}.png").write_bytes((CANARY / row["image"]).read_bytes())
        rows.append({"page_id": row["page_id"], "image": f"images/{row['page_id']}.png", "sha256": row["sha256"],
            "text_layer": row["text"]})
    write_rows(Path("data/pages/pages.jsonl"), rows)
    Path("data/gold.jsonl").touch()
    command = ["-m", "stages.teacher_label", "data/pages", "data/gold.jsonl", "data/labels", "metrics/teacher_label.json"]
    status, output = project.run(*command)
    assert status == 0, output
    assert "6 pages, 0 in the store, 6 to read" in output
    labels = {row["page_id"]: row["text"] for row in read_rows(Path("data/labels/labels.jsonl"))}
    truth = {row["page_id"]: row["text_layer"] for row in rows}
    assert labels.keys() == truth.keys()
    assert cer(truth, labels) < 0.1
    status, output = project.run(*command)
    assert "6 in the store, 0 to read" in output
    assert KEY not in output + "".join(path.read_text(errors="replace") for path in Path().rglob("*") if path.is_file())


def test_a_server_killed_half_way_loses_nothing_that_came(local):
    process, url = start_server()
    seen = {}
    with pytest.raises(ValueError, match="failures in a row"):
        for page, reading in open_reader(profile(url, {"concurrent_requests": 2, "max_retries": 1, "max_failures": 3})).read(PAGES):
            if reading.finish_reason == "stop":
                seen[page.page_id] = reading.text
            if len(seen) == 5:
                process.send_signal(signal.SIGKILL)
                process.wait()
    assert 5 <= len(seen) < len(PAGES)
    assert seen.items() <= {name: reading.text for name, reading in local.items()}.items()


def test_a_model_that_is_not_served_is_named_with_the_one_that_is(server):
    with pytest.raises(ValueError, match="no model 'huge' there; the server has: tiny; set model_name"):
        read(open_reader(profile(server, model_name="huge")))


def test_a_wrong_key_is_refused(server, monkeypatch):
    monkeypatch.setenv("SERVE_KEY", "wrong")
    with pytest.raises(ValueError, match="the server refuses the key in the environment variable SERVE_KEY"):
        read(open_reader(profile(server)))


def uri(image: bytes = PAGES[0].image.read_bytes(), kind: str = "image/png") -> dict:
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(image).decode()}"}}


def question(*parts, **more) -> dict:
    return {"model": "tiny", "messages": [{"role": "user", "content": list(parts or [uri()])}]} | more


def post(url: str, body, **headers) -> tuple[int, dict]:
    """Post a body and return status and answer."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=300)
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", f"/{path}/chat/completions", body, {"Authorization": f"Bearer {KEY}"} | headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.mark.parametrize(("body", "status", "problem"), [
    (b"{torn", 400, "the body is no JSON"), (b"[" * 100_000, 400, "the body is no JSON"), ([], 400, "messages: expected a list"),
    (question(model="x"), 404, "the model 'x' is not served here; there is 'tiny'"), (question(n=2), 400, "n: one answer"),
    (question(max_tokens=-1), 400, "max_tokens: -1"), (question(max_tokens="9"), 400, "max_tokens: '9'"),
    (question(temperature="hot"), 400, "temperature: 'hot'"), (question({"type": "text", "text": "no image"}),
    400, "expected one image_url"),
    (question(uri(), uri()), 400, "expected one image_url"), (question({"type": "input_audio"}), 400, "expected one image_url"),
    (question({"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}), 400, "addresses are not followed"),
    (question({"type": "image_url", "image_url": {"url": "data:image/png;base64,*"}}), 400, "not an image that opens"),
    (question(uri(b"no image")), 400, "not an image that opens"), (question(uri(PAGES[0].image.read_bytes()[:60])),
    400, "not an image that opens"),
    ({"model": "tiny", "messages": [{"role": "system", "content": "You read."}, question()["messages"][0]]},
    400, "one message of the user"),
    ({"model": "tiny", "messages": [{"role": "user", "content": "words"}]}, 400, "expected a list of parts"),
])
def test_what_can_not_be_answered_says_why_and_the_server_goes_on(server, body, status, problem):
    found, answer = post(server, body)
    assert (found, answer["error"]["code"]) == (status, status)
    assert problem in answer["error"]["message"]


def test_an_image_that_breaks_its_batch_fails_alone(server, local):
    """A picture 1 px high and very wide is beyond what the student's processor can shape."""
    file = io.BytesIO()
    Image.new("L", (30_000, 1)).save(file, "PNG")
    answers = {}

    def ask(name, part):
        answers[name] = post(server, question(part, max_tokens=100))

    threads = [threading.Thread(target=ask, args=item) for item in
               [("odd", uri(file.getvalue())), *((page.page_id, uri(page.image.read_bytes())) for page in PAGES[:6])]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for page in PAGES[:6]:
        status, answer = answers[page.page_id]
        assert (status, answer["choices"][0]["message"]["content"]) == (200, local[page.page_id].text)
    status, answer = answers["odd"]
    assert status == 500
    assert answer["error"]["message"].startswith("the model failed on this image: ValueError: ")


def test_an_answer_is_as_long_as_allowed(server, local):
    _, answer = post(server, question(max_tokens=3))
    (choice,) = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (local[PAGES[0].page_id].text[:3], "length")
    assert answer["usage"]["completion_tokens"] == 3
    _, answer = post(server, question(max_completion_tokens=10_000))
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_warmth_makes_other_answers(server):
    texts = {post(server, question(temperature=5.0, max_tokens=20))[1]["choices"][0]["message"]["content"] for _ in range(3)}
    assert len(texts) > 1


def test_other_doors_are_closed(server):
    host = server.removeprefix("http://").partition("/")[0]
    connection = http.client.HTTPConnection(host, timeout=60)
    for method, path, headers, status in (("GET", "/health", {}, 200), ("GET", "/v1/models", {}, 401), ("GET", "/etc/passwd", {}, 404),
                                          ("POST", "/v1/other", {}, 404), ("GET", "/v1/models", {"Authorization": f"Bearer {KEY}"}, 200)):
        connection.request(method, path, headers=headers | ({"Content-Length": "0"} if method == "POST" else {}))
        response = connection.getresponse()
        assert (response.status, bool(json.loads(response.read()))) == (status, True)
    connection.request("POST", "/v1/chat/completions", headers={"Content-Length": str(10**12)})
    assert connection.getresponse().status == 413


def test_a_trained_model_tells_its_student_and_what_it_is_asked_otherwise(built_student, tmp_path):
    """Its profile stands in inference.json; a temperature is answered, and told of once."""
    folder = tmp_path / "merged"
    shutil.copytree(built_student, folder)
    profile = StudentProfile(**PROFILE)
    write_json(folder / "inference.json", {"student": "tiny", **asked(profile)})
    process = subprocess.Popen([sys.executable, "-m", "tools.serve", str(folder), "--port", "0"], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    name, url = re.match(r"serving (tiny-[0-9a-f]{8}) at (\S+), batches of 16", process.stdout.readline()).groups()
    for temperature in (0.0, 0.9, 0.9):
        answers = open_reader(Api(base_url=url, model_name=name, generation=Generation(temperature=temperature, retry_temperatures=[])))
        assert [reading.finish_reason for _, reading in answers.read(PAGES[:1])] in (["stop"], ["length"])
    process.terminate()
    _, said = process.communicate(timeout=120)
    assert said.count("clients ask with a temperature") == 1


def test_a_folder_that_tells_no_student_wants_one_named(built_student):
    done = subprocess.run([sys.executable, "-m", "tools.serve", str(built_student)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "does not tell how it is asked; name its profile with --student: tiny, deepseek-ocr" in done.stderr


@pytest.mark.parametrize(("options", "message"), [
    (["--student", "nobody"], "students has no 'nobody' in params.yaml; it has: tiny"),
    (["--key-env", "UNSET_KEY"], "the environment variable UNSET_KEY is not set"),
    (["--port", "{taken}"], "Address already in use; choose others with --host and --port"),
])
def test_what_can_not_be_served_is_one_message(options, message):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [option.format(taken=taken.getsockname()[1]) for option in options]
        done = subprocess.run([sys.executable, "-m", "tools.serve", "models/base/tiny", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert "Traceback" not in done.stderr
