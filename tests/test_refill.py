"""A colleague who pulled adds one PDF and pays for one PDF: two clones of a DVC project, a remote, and a teacher that counts."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from clean_environment import clean_environment
from teacher_server import Teacher

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted((ROOT / "data/site/letters").glob("*.pdf"))[:3]


def run(folder: Path, *command: object) -> str:
    """Run a command in a clone, as a user does, and return what it said."""
    environment = clean_environment() | {
        "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org"}
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def teacher():
    server = Teacher("counting")
    yield server
    server.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, teacher) -> Path:
    """Return a clone in which two documents are labelled, committed and pushed."""
    folder = tmp_path_factory.mktemp("clones") / "first"
    for name in ("stages", "ocrtune"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".dvcignore", ".gitignore", "params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder / name)
    stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    stages = {name: stages[name] for name in ("crawl", "pdf2img", "teacher_label")}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["pdf2img"] |= {"unit": "page", "dpi": 72}
    params["teachers"]["counting"], params["teacher"] = teacher.profile(), "counting"
    params["teacher_label"]["refuse"] = ["empty", "short"]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (folder / "data/site").mkdir(parents=True)
    (folder / "data/gold.jsonl").touch()
    for document in DOCUMENTS[:2]:
        shutil.copy(document, folder / "data/site")
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "remote", "add", "-d", "place", "../remote")
    run(folder, "dvc", "repro", "-q")
    run(folder, "git", "add", "-A", ".")
    run(folder, "git", "commit", "-qm", "labelled")
    run(folder, "dvc", "push", "-q")
    return folder


def read_pages(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "data/pages/pages.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_clone_pays_for_its_new_document_alone(shared, teacher):
    paid = {row["sha256"] for row in read_pages(shared)}
    assert sorted(teacher.asked) == sorted(paid)
    clone = shared.parent / "second"
    run(shared, "git", "clone", "-q", ".", clone)
    run(clone, "dvc", "pull", "-q")
    assert not (clone / ".readings").exists()
    shutil.copy(DOCUMENTS[2], clone / "data/site")
    said = run(clone, "dvc", "repro")
    assert f"teacher counting: {len(paid)} readings found in the rows that DVC tracks" in said
    new = {row["sha256"] for row in read_pages(clone)} - paid
    assert new
    assert sorted(teacher.asked[len(paid):]) == sorted(new)
    assert (clone / "data/labels/labels.jsonl").read_text().count("\n") == len(paid | new)


def test_a_clone_with_an_empty_cache_asks_the_remote(shared, teacher):
    clone, before = shared.parent / "third", len(teacher.asked)
    run(shared, "git", "clone", "-q", ".", clone)
    shutil.copytree(shared / "data/pages", clone / "data/pages")
    said = run(clone, "python", "-m", "stages.teacher_label", "data/pages", "data/gold.jsonl", "data/labels", "metrics/teacher_label.json")
    assert "looking for data/labels of HEAD in DVC's remote" in said
    assert len(teacher.asked) == before
    for name in ("labels.jsonl", "refused.jsonl"):
        assert (clone / "data/labels" / name).read_bytes() == (shared / "data/labels" / name).read_bytes()


def test_a_lost_remote_costs_readings_and_no_run(shared, teacher):
    clone, before = shared.parent / "fourth", len(teacher.asked)
    run(shared, "git", "clone", "-q", ".", clone)
    shutil.copytree(shared / "data/pages", clone / "data/pages")
    run(clone, "dvc", "remote", "modify", "place", "url", "../nowhere")
    said = run(clone, "python", "-m", "stages.teacher_label", "data/pages", "data/gold.jsonl", "data/labels", "metrics/teacher_label.json")
    assert "not there (never pushed?)" in said
    assert len(teacher.asked) == before + len(read_pages(clone))
