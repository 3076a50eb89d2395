"""What DVC tracks refills the store: from any revision, from its cache, the workspace or its remote, and never at a run's expense."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ocrtune.reading import Reading
from ocrtune.store.tracked_rows import read_row, tracked_readings

KEYS = [f"{number:064x}" for number in range(9)]


def git(*words: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words], check=True, capture_output=True)


def cache(content: bytes, folder: Path = Path(".dvc/cache"), suffix: str = "") -> str:
    """Put content into DVC's cache and return its MD5."""
    md5 = hashlib.md5(content).hexdigest() + suffix
    path = folder / "files/md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return md5


def lines(*rows: dict) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def row(number: int, **more) -> dict:
    return {"page_id": f"p{number}", "key": KEYS[number], "text": f"text {number}"} | more


def write_lock(labels: bytes, refused: bytes = b"", predictions: bytes = b"") -> None:
    """Write dvc.lock of a project with these labels and predictions in its cache."""
    listing = [{"md5": cache(content), "relpath": name} for name, content in (("labels.jsonl", labels), ("refused.jsonl", refused))]
    folder = cache(json.dumps(listing).encode(), suffix=".dir")
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {
        "pdf2img": {"outs": [{"path": "data/pages", "md5": cache(b"[]", suffix=".dir")}]},
        "teacher_label": {"outs": [{"path": "data/labels", "md5": folder}]},
        "evaluate@base": {"outs": [{"path": "data/predictions/base.jsonl", "md5": cache(predictions)},
                                   {"path": "metrics/evaluate/base.csv", "md5": cache(b"a,b")}]},
    }}))


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """Return a repository of two revisions and a workspace: in each, another label."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    for number in range(2):
        write_lock(lines(row(number)))
        git("add", "dvc.lock")
        git("commit", "-qm", f"revision {number}")
    write_lock(lines(row(2)))
    return Path()


def found(*revs: str | None) -> dict[str, str]:
    return {key: reading.text for key, reading, _ in tracked_readings(Path(), list(revs))}


def test_each_revision_gives_its_own_rows(repository):
    assert found("HEAD~1") == {KEYS[0]: "text 0"}
    assert found("HEAD") == {KEYS[1]: "text 1"}
    assert found(None) == {KEYS[2]: "text 2"}
    assert found(None, "HEAD", "HEAD~1").keys() == set(KEYS[:3])


def test_labels_refused_pages_and_predictions_give_raw_readings(repository):
    write_lock(lines(row(0), row(1, raw="<|x|>text 1"), row(2, finish_reason="length"), {"page_id": "a", "text": "no key"}),
               lines(row(3, reason="too short", text=""), row(4, reason="failed", finish_reason="error"), {"page_id": "b", "reason": "c"}),
               lines(row(5, finish_reason="stop"), row(6, finish_reason="length", raw="")) + b"not a row\n")
    assert {key: reading for key, reading, _ in tracked_readings(Path(), [None])} == {
        KEYS[0]: Reading("text 0"), KEYS[1]: Reading("<|x|>text 1"), KEYS[2]: Reading("text 2", "length"), KEYS[3]: Reading(""),
        KEYS[5]: Reading("text 5"), KEYS[6]: Reading("", "length")}


@pytest.mark.parametrize("value", [
    None, 3, [], {}, row(1, text=None), row(1, key=None), row(1, key="../x"), row(1, key="AB" * 32), row(1, raw=3)])
def test_what_is_no_reading_is_passed_over(value):
    assert read_row(value) is None


def test_a_cache_elsewhere_is_found(repository):
    Path(".dvc/cache").rename("elsewhere")
    Path(".dvc/config").write_text("[core]\n    analytics = false\n['remote \"x\"']\n    url = /absent\n    port = 22\n")
    Path(".dvc/config.local").write_text("[cache]\n    dir = ../elsewhere\n    type = hardlink\n")
    assert found(None) == {KEYS[2]: "text 2"}


def test_the_workspace_stands_in_for_a_lost_cache(repository):
    Path(".dvc/cache").rename("lost")
    assert found(None) == {}
    Path("data/labels").mkdir(parents=True)
    Path("data/labels/labels.jsonl").write_bytes(lines(row(7)))
    assert found(None) == {KEYS[7]: "text 7"}


@pytest.mark.parametrize("lock", [
    "", "stages: [", "stages: 3", "- 1", "stages: {teacher_label: {outs: [{}]}}", "stages: {evaluate@x: 3}", "\0"])
def test_a_broken_lock_stops_nothing(repository, lock, capsys):
    Path("dvc.lock").write_text(lock)
    assert found(None, "HEAD") == {KEYS[1]: "text 1"}


def test_without_git_or_dvc_nothing_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert found(None, "HEAD", "no-such-revision") == {}
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("PATH", "")
    assert found("HEAD") == {}
    assert "tracked rows of HEAD can't be read, and are passed over: FileNotFoundError" in capsys.readouterr().out


def test_what_the_remote_lacks_is_asked_for_once(repository, capsys):
    shutil.rmtree(".dvc")
    subprocess.run("dvc init -q && mkdir remote && dvc remote add -q -d team remote", shell=True, check=True)
    Path("dvc.yaml").write_text("stages: {teacher_label: {cmd: x, outs: [data/labels]}}")
    stage = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["teacher_label"]
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"teacher_label": {"cmd": "x"} | stage}}))
    git("add", "dvc.yaml", "dvc.lock")
    git("commit", "-qm", "pipeline")
    assert found("HEAD") == {}
    told = capsys.readouterr().out
    assert told.count("looking for ") == told.count("not there (never pushed?)") == 1, told
    assert found("HEAD") == {}
    assert capsys.readouterr().out == ""
