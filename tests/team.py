"""A team for tests: people with clones of one finished project, and a plain git repository between them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import yaml
from clean_environment import clean_environment
from test_repro import make_project

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/team.md"
REMOTE = "dvc remote add --default team /mnt/team/ocrtune"  # how the page's commands, without ./run, name the team's remote
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
        self.folder, self.home = folder, home
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


def begin_small_project(root: Path, student: Path) -> Person:
    """Return somebody in such a project, with neither git nor DVC yet."""
    person = Person(root / "project", root / "home")
    person.folder.mkdir()
    make_small_project(person.folder, student)
    return person


def blocks() -> list[tuple[str, str, str]]:
    """Return (section's title, who, script) for each block of commands in docs/team.md."""
    found, title = [], ""
    for part in re.finditer(r"^## ([^\n]+)$|^```bash (\w+)\n(.+?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        title = part[1] or title
        if part[2]:
            found.append((title, part[2], part[3]))
    return found


class Team:
    """A lead, in a project without a remote, a member without a clone, and what the places that docs/team.md names are here."""

    def __init__(self, root: Path, **environment: str):
        self.root, self.origin = root, root / "origin.git"
        self.lead, self.member = (Person(root / who, root / f"home_{who}", **environment) for who in ("lead", "member"))
        self.member.folder.mkdir()
        (root / "scans").mkdir()
        shutil.copy(sorted((ROOT / "data/site/notices").glob("*.pdf"))[0], root / "scans/letter.pdf")
        self.places = {"./run ": "", "git@example.org:team/documents.git": str(self.origin), "/mnt/team/ocrtune": str(root / "remote"),
                       "/srv/ocrtune/cache": str(root / "cache"), "~/scans": str(root / "scans"), "/tmp/tuned": str(root / "tuned"),
                       # So small a student reads all lines wrongly, whatever is drawn; what the report says of its interval differs.
                       "compare.draws=100": "compare.draws=100 --set-param compare.confidence=0.9"}

    def run_block(self, number: int) -> str:
        """Run the page's block of that number, by whom it is meant for, and return what it printed."""
        _, who, script = blocks()[number]
        for name, place in self.places.items():
            script = script.replace(name, place)
        person = {"lead": self.lead, "member": self.member}[who]
        output = person.run(script)
        if "\ncd documents" in script:
            person.folder /= "documents"
        return output


def read_rows(person: Person, file: str) -> list[dict]:
    """Return the rows of a file in somebody's clone."""
    return [json.loads(line) for line in (person.folder / file).read_text(encoding="utf-8").splitlines()]


def add_letter(team: Team) -> None:
    """Let the member add a document as the page's section 3 says, and check that it alone was paid for."""
    folder = team.member.folder / "data/pages"
    before = read_rows(team.member, "data/pages/pages.jsonl")
    images = {row["image"]: (folder / row["image"]).read_bytes() for row in before}
    output = team.run_block(2)
    pages = read_rows(team.member, "data/pages/pages.jsonl")
    new = [row for row in pages if row["doc_id"].startswith("letter")]
    assert new
    assert [row for row in pages if row not in new] == before
    assert all((folder / image).read_bytes() == content for image, content in images.items())
    # The text layer costs nothing and is read again; a model's readings come from the rows that the lead pushed.
    test = [row["page_id"] for row in read_rows(team.member, "data/splits/test.jsonl")]
    total, known, read = map(int, re.search(r"base: (\d+) pages, (\d+) in the store, (\d+) to read", output).groups())
    assert total == len(test) == known + read
    assert read == sum(page_id.startswith("letter") for page_id in test)
    assert known > 0
    assert re.search(r"base on clean print: (\d+) pages, \1 in the store, 0 to read", output)  # its readings came along, too


def bring_experiment(team: Team) -> str:
    """Let the member run an experiment and the lead fetch it, as section 4 says; check that it came, and return what the lead saw."""
    reports = [person.folder / "metrics/compare.html" for person in (team.member, team.lead)]
    before = reports[0].read_bytes()
    assert stages_run(team.run_block(3)) == ["compare"]
    assert reports[0].read_bytes() != before, "an experiment whose results are those of before proves nothing when it comes back"
    output = team.run_block(4)
    assert stages_run(output) == []
    assert reports[1].read_bytes() == reports[0].read_bytes()
    assert json.loads(team.lead.run("dvc params diff --json HEAD"))["params.yaml"]["compare.draws"]["new"] == 100
    return output
