"""A team for tests: people with clones of one finished project, and a plain git repository between them."""

import re
import shutil
import subprocess
from pathlib import Path

import yaml
from clean_environment import clean_environment
from test_repro import make_project

ROOT = Path(__file__).parents[1]
GIT_CONFIG = """
[user]
    name = t
    email = t@example.org
[push]
    autoSetupRemote = true
[init]
    defaultBranch = main
"""


class Person:
    """Somebody with a folder, an environment and a shell."""

    def __init__(self, folder: Path, home: Path, **environment: str):
        self.folder = folder
        home.mkdir(exist_ok=True)
        (home / ".gitconfig").write_text(GIT_CONFIG)
        self.environment = clean_environment("AWS_") | {"HF_HUB_OFFLINE": "1", "HOME": str(home),
                                                        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig")} | environment

    def run(self, script: str, ok: bool | None = True) -> str:
        """Run a shell script that stops at its first error, and return what it printed; `ok`: how it must end (None: either way)."""
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", script], cwd=self.folder, env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        assert ok is None or (done.returncode == 0) == ok, f"{script}\n{done.stdout[-4000:]}"
        return done.stdout

    def clone(self, origin: Path, name: str = "documents") -> "Person":
        """Clone the team's repository and go there."""
        self.run(f"git clone -q {origin} {name}")
        self.folder /= name
        return self


def stages_run(output: str) -> list[str]:
    """Return the stages that a `dvc repro` ran, as it told."""
    return re.findall(r"Running stage '([^']+)'", output)


def make_small_project(folder: Path, student: Path) -> None:
    """Write a project of six documents, a student too small to read anything, and a training of two steps."""
    make_project(folder)
    shutil.rmtree(folder / "models/base/tiny")
    shutil.copytree(student, folder / "models/base/tiny")
    for name in ("tools", "search"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.db", "logs"))
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["pdf2img"]["end_page"] = 1
    params["split"] |= {"val": 0.4, "test": 0.3}
    params["train"] |= {"max_steps": 2, "warmup_steps": 0, "rehearsal": 0.0,
                        "early_stopping": {"eval_steps": 1, "num_pages": 2, "patience": 3}}
    params["students"]["tiny"]["max_new_tokens"] = 3
    params["merge"]["num_pages"] = 2
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
