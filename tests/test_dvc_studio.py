"""DVC Studio sees a training as it runs: a server on loopback takes what DVCLive tells it."""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from test_launching import WORDS, ready  # noqa: F401  (a fixture)

TOKEN = "isat_of_a_test"


@pytest.fixture
def studio():
    """Return a running server with `told`: (path, authorization, body) of each request."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.told.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.told = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_studio_sees_a_training_as_it_goes_and_the_token_stays_in_the_environment(studio, ready, monkeypatch):  # noqa: F811
    """As `dvc exp run` starts the stage; what it tells of the experiment itself, docs/team.md's test sees."""
    ready.params["train"] |= {"max_steps": 3, "early_stopping": None}
    ready.save()
    for name, value in {"DVC_STUDIO_URL": f"http://127.0.0.1:{studio.server_port}", "DVC_STUDIO_TOKEN": TOKEN, "DVC_EXP_NAME": "watched",
                        "DVC_STUDIO_REPO_URL": "git@example.org:team/documents.git", "DVC_EXP_BASELINE_REV": "0" * 40,
                        "DVC_ROOT": str(ready.folder)}.items():
        monkeypatch.setenv(name, value)
    code, output = ready.run("-m", "stages.train", *WORDS, "adapter", "metrics/train")
    assert code == 0, output
    assert {(path, authorization) for path, authorization, _ in studio.told} == {("/api/live", f"token {TOKEN}")}
    events = [body for _, _, body in studio.told]
    assert {tuple(body[name] for name in ("type", "client", "name", "baseline_sha")) for body in events} == {
        ("data", "dvclive", "watched", "0" * 40)}
    shown = [point for body in events for name, curve in body.get("plots", {}).items() for point in curve["data"] if "loss.tsv" in name]
    kept = [line.split("\t") for line in (ready.folder / "metrics/train/plots/metrics/loss.tsv").read_text().splitlines()]
    losses = [float(line[kept[0].index("loss")]) for line in kept[1:]]
    assert [(point["step"], point["loss"]) for point in shown] == list(enumerate(losses, 1))
    assert [body["step"] for body in events if "metrics" in body][:3] == [1, 2, 3], "as they come, not at the end"
    assert subprocess.run(["grep", "-rl", TOKEN, ready.folder], capture_output=True, text=True).stdout == "", "the token is in a file"
    assert TOKEN not in output


def test_a_studio_that_does_not_answer_stops_no_training(studio, ready, monkeypatch):  # noqa: F811
    studio.shutdown()
    studio.server_close()
    monkeypatch.setenv("DVC_STUDIO_URL", f"http://127.0.0.1:{studio.server_port}")
    monkeypatch.setenv("DVC_STUDIO_TOKEN", TOKEN)
    ready.params["train"] |= {"max_steps": 2, "early_stopping": None}
    ready.save()
    code, output = ready.run("-m", "stages.train", *WORDS, "adapter", "metrics/train")
    assert code == 0, output
    assert (ready.folder / "adapter/adapter_model.safetensors").is_file()
