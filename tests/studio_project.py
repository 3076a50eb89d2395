"""A small project that the pipeline itself made, for the studio to show: six documents, two readers, a verdict.

The reader `base` is a server on loopback that misreads; some of its answers are what no viewer should trust.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from tests.clean_environment import clean_environment

ROOT = Path(__file__).parents[1]
SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> ${window.hacked = 1} {{hacked}}"
ARABIC, CHINESE = "بسم الله الرحمن الرحيم والسلام عليكم", "臺北市中正區重慶南路一段"
LEFT_OUT = ("train", "merge")


class Misreader(ThreadingHTTPServer):
    """An OpenAI-compatible server that reads each line nearly as its text layer says; `asked` holds what came."""

    daemon_threads = True

    def __init__(self, pages: Path):
        super().__init__(("127.0.0.1", 0), Answer)
        self.pages, self.asked = pages, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def read(self, image: bytes, words: str) -> str:
        rows = [json.loads(line) for line in self.pages.read_text(encoding="utf-8").splitlines()]
        found = [(number, row) for number, row in enumerate(rows) if row["sha256"] == hashlib.sha256(image).hexdigest()]
        if not found:
            return "clean print"
        number, row = found[0]
        if "invoice" in words:
            return f"INVOICE {row['text_layer']}"
        odd = {0: SCRIPT, 1: ARABIC, 2: CHINESE, 3: ""}
        return odd.get(number % 12, row["text_layer"].replace("e", "c") if number % 2 else row["text_layer"])


class Answer(BaseHTTPRequestHandler):
    """Answers /v1/chat/completions."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        parts = [part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]]
        words = " ".join(part["text"] for part in parts if part["type"] == "text")
        image = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
        text = self.server.read(base64.b64decode(image.partition(",")[2]), words)
        answer = json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *words):
        pass


class StudioProject:
    """A project in a folder of its own: git, DVC, and stages that ran."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.server = Misreader(folder / "data/pages/pages.jsonl")
        self.environment = clean_environment() | {
            "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
            **{f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER")
               for part, value in (("NAME", "Toni"), ("EMAIL", "toni@example.org"))}}

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def rows(self, path: str) -> list[dict]:
        return [json.loads(line) for line in (self.folder / path).read_text(encoding="utf-8").splitlines()]

    def save_params(self, params: dict) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A", ".")
        self.run("git", "commit", "-qm", message)


def make_files(folder: Path, base_url: str) -> dict:
    """Copy what git would clone, with six documents, without training, and return the params."""
    for name in ("params.yaml", ".dvcignore", ".gitignore", "uv.lock", "stages", "ocrtune", "tools"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for kind in ("letters", "receipts", "minutes"):
        (folder / "data/site" / kind).mkdir(parents=True)
        for document in sorted((ROOT / "data/site" / kind).glob("*.pdf"))[:2]:
            shutil.copy(document, folder / "data/site" / kind)
    (folder / "data/gold.jsonl").touch()
    (folder / "data/canary/images").mkdir(parents=True)
    clean = (ROOT / "data/canary/canary.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[0]
    (folder / "data/canary/canary.jsonl").write_text(clean, encoding="utf-8")
    shutil.copy(ROOT / "data/canary" / json.loads(clean)["image"], folder / "data/canary/images")
    (folder / "metrics/train/plots/metrics").mkdir(parents=True)  # as training leaves it, which is too slow for here
    (folder / "metrics/train/plots/metrics/loss.tsv").write_text("step\tloss\n1\t2.5\n2\t1.25\n", encoding="utf-8")
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for name in LEFT_OUT:
        del pipeline["stages"][name]
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": pipeline["stages"]}, sort_keys=False), encoding="utf-8")
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["split"] |= {"test": 0.5, "val": 0.1}
    server = {"type": "api", "base_url": base_url, "model_name": "misreader"}
    params["teachers"]["misreader"] = server
    readers = {"base": dict(server), "tuned": {"type": "text-layer"}}
    params["evaluate"]["readers"] = {name: {"model": "uv.lock", "reader": reader} for name, reader in readers.items()}
    bounds = {"max_cer_increase": 0.0, "max_slice_increase": None, "max_canary_increase": None, "max_likeness": None}
    params["compare"] |= {"draws": 200, "gate": bounds}
    return params


def make_project(folder: Path) -> StudioProject:
    """Return a project after `dvc repro`, committed."""
    project = StudioProject(folder)
    params = make_files(folder, project.server.base_url)
    project.save_params(params)
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    project.commit("documents")
    project.run("dvc", "repro")
    project.commit("first run")
    return project
