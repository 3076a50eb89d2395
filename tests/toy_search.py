"""A toy to search in, for tests: a git and DVC project with the stages and files that a search relies on.

Its `train` is arithmetic: it reads its params and logs its readings of validation pages as ours does.
"""

import csv
import subprocess
import sys
from pathlib import Path

import yaml
from clean_environment import clean_environment

ROOT = Path(__file__).parents[1]
DVC_YAML = """
stages:
  pdf2img: {cmd: mkdir -p data/pages && echo 1 > data/pages/pages.jsonl, outs: [data/pages]}
  split:
    cmd: mkdir -p data/splits && echo '{"page_id":"a"}' > data/splits/val.jsonl
    deps: [data/pages]
    outs: [data/splits]
  train: {cmd: python -m stages.train, deps: [data/splits, stages/train.py], params: [train], outs: [metrics/train]}
  evaluate: {cmd: mkdir -p data && echo 1 > data/test_was_read, deps: [metrics/train], outs: [data/test_was_read]}
"""
# Best at a learning rate of 2e-3; goes on from the step in its checkpoint; fails at 0.5.
TRAIN = """
import json, math, os, pathlib, time, yaml
rate = yaml.safe_load(open("params.yaml"))["train"]["learning_rate"]
assert rate != 0.5, "the optimizer blew up"
folder = pathlib.Path(os.environ["DVC_ROOT"], ".checkpoints", str(rate))
folder.mkdir(parents=True, exist_ok=True)
print("checkpoints:", folder, flush=True)
begun = int((folder / "step").read_text()) if (folder / "step").exists() else 0
if begun:
    print("goes on from step", begun, flush=True)
log = pathlib.Path("metrics/train/plots/metrics")
log.mkdir(parents=True, exist_ok=True)
cers = [round(abs(math.log10(rate / 2e-3)) + (4 - step) * 0.01, 4) for step in range(1, 5)]
with open(log / "val_cer.tsv", "w") as file:
    file.write("step\\tval_cer\\n")
    for step, cer in enumerate(cers, 1):
        file.write(f"{step}\\t{cer}\\n")
        file.flush()
        (folder / "step").write_text(str(step))
        if step > begun:
            time.sleep(float(os.environ.get("TOY_PAUSE", "0")))
pathlib.Path("metrics/train/metrics.json").write_text(json.dumps({"best_val_cer": min(cers), "best_step": 4}))
"""


class Toy:
    """The toy project and the means to search in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = clean_environment() | {"PYTHONPATH": str(ROOT), "COLUMNS": "200",
                                                  "GIT_CONFIG_GLOBAL": str(folder.parent / "gitconfig")}
        (folder.parent / "gitconfig").write_text("[user]\n name = t\n email = t@example.org\n")
        (folder / "stages").mkdir(parents=True)
        (folder / "stages/__init__.py").touch()
        (folder / "stages/train.py").write_text(TRAIN)
        (folder / "dvc.yaml").write_text(DVC_YAML)
        (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        (folder / ".gitignore").write_text((ROOT / ".gitignore").read_text())
        (folder / "search").mkdir()
        (folder / "search/grid.yaml").write_text((ROOT / "search/grid.yaml").read_text())  # tracked, as ours is
        for command in ("git init -q", "dvc init -q", "dvc repro -q split", "git add -A .", "git commit -qm begin"):
            self.run(*command.split())

    def run(self, *command: str, ok: bool = True) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert (done.returncode == 0) == ok, done.stdout[-3000:]
        return done.stdout

    def space(self, name: str, space: dict) -> str:
        (self.folder / f"search/{name}.yaml").write_text(yaml.safe_dump(space))
        return f"search/{name}.yaml"

    def search(self, *words: str, ok: bool = True) -> str:
        return self.run(sys.executable, "-m", "tools.search", *words, ok=ok)

    def workspaces(self) -> list[Path]:
        """Return the folders of experiments that were left behind."""
        return list((self.folder / ".dvc/tmp/exps/standalone").glob("tmp*"))

    def board(self, study: str) -> list[dict]:
        with (self.folder / f"search/{study}/leaderboard.csv").open() as file:
            return list(csv.DictReader(file))
