"""The store can be listed, verified, mended, taken elsewhere, refilled and pruned, beside running writers and often killed."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest
from conftest import ROOT
from typer.testing import CliRunner

from ocrtune.reading import Reading
from ocrtune.store.packing import MOST_SMALL, pack
from ocrtune.store.store import Store, open_store
from tools.store import app

READER, OTHER = {"type": "api", "model": "m"}, {"type": "letter-places"}


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def retire(folder: Path = Path(".readings")) -> None:
    """Let the segments of this process look like those of one that has ended."""
    for path in folder.glob("*.jsonl"):
        if path.name.count("-") == 2:
            path.rename(path.with_name(f"ended-{path.name.split('-')[2]}"))


def fill(numbers, identity: dict | None = READER, text: str = "text {}") -> None:
    """Put readings into a segment that has no writer any more."""
    store = Store(Path(".readings"))
    for number in numbers:
        store.put(key(number), Reading(text.format(number), tokens=(100, 10)), identity)
    store.flush()
    retire()


def run(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == status, (done.output, done.exception)
    return done.output


def held(numbers) -> list[int]:
    store = open_store()
    return [number for number in numbers if store.holds(key(number))]


def name_of(identity: dict) -> str:
    store = open_store()
    store.refresh()
    return next(name for name, found in store.identities.items() if found == identity)


def segments() -> list[Path]:
    return sorted(Path(".readings").rglob("*.jsonl"))


def test_list_counts_by_reader():
    fill(range(3))
    fill(range(3, 5), OTHER)
    fill([5], None)
    Store(Path(".readings")).put(key(6), Reading("", "error", "no answer"), READER)
    said = run("list")
    assert ".readings: 6 readings in 4 segments" in said
    first, *_ = [line for line in said.splitlines() if "3 readings" in line]
    assert "1 failures" in first
    assert "330 tokens" in first
    assert '{"type": "api", "model": "m"}' in said
    assert "readers not known" in said
    assert run("list") == said


def test_verify_finds_and_mends_what_is_damaged():
    fill(range(3))
    fill(range(3, 6))
    assert "6 readings in 2 segments, 0 damaged lines" in run("verify")
    path = segments()[0]
    path.write_bytes(path.read_bytes().replace(b"text 1", b"text 7").replace(b"text 4", b"text 7") + b'{"key": "be')
    said = run("verify", status=1)
    assert "2 whole readings, 1 damaged lines, 11 bytes of a line never ended" in said
    assert "error: 1 damaged lines: their pages are read again when they are needed; verify --repair takes out" in said
    assert len(held(range(6))) == 5
    assert "repaired: 2 readings kept, 1 damaged lines taken out" in run("verify", "--repair")
    assert "5 readings in 2 segments, 0 damaged lines" in run("verify")
    assert len(held(range(6))) == 5


def test_a_damaged_line_whose_page_was_read_again_goes_and_the_new_one_stays():
    fill([0])
    path = segments()[0]
    path.write_bytes(path.read_bytes().replace(b"text 0", b"text 7"))
    fill([0], text="again")
    assert "2 segments joined: 1 readings; 0 doubles and 1 damaged" in run("pack")
    assert open_store().get(key(0)) == Reading("again", tokens=(100, 10))


def test_export_and_import_are_inverse(tmp_path):
    fill([3, 1, 2])
    Store(Path(".readings")).put(key(4), Reading("lone \ud800", "length"), OTHER)
    Store(Path(".readings")).put(key(5), Reading("", "error"), OTHER)
    run("export", "out/all.jsonl")
    assert ": 4 readings" in run("export", "out/again.jsonl")
    assert Path("out/all.jsonl").read_bytes() == Path("out/again.jsonl").read_bytes()
    rows = [json.loads(line) for line in Path("out/all.jsonl").read_bytes().splitlines()]
    assert [row["key"] for row in rows] == sorted(map(key, range(1, 5)))
    os.environ["OCRTUNE_STORE"] = str(tmp_path / "elsewhere")
    try:
        assert "4 readings in 1 files, 4 of them new" in run("import", "out/all.jsonl")
        assert "4 readings in 1 files, 0 of them new" in run("import", "out/all.jsonl")
        store = open_store()
        assert store.get(key(1)) == Reading("text 1", tokens=(100, 10))
        assert store.get(key(4)) == Reading("lone \ud800", "length")
        assert list(store.identities.values()) == [READER, OTHER] or list(store.identities.values()) == [OTHER, READER]
        assert ": 1 readings" in run("export", "out/other.jsonl", "--reader", name_of(OTHER))
    finally:
        del os.environ["OCRTUNE_STORE"]


def test_labels_and_predictions_are_imported_and_refilled():
    rows = [{"page_id": "a", "key": key(1), "text": "x", "raw": "raw x"}, {"page_id": "b", "key": key(2), "text": "y"}]
    Path("labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "2 readings in 1 files, 2 of them new" in run("import", "labels.jsonl")
    assert open_store().get(key(1)) == Reading("raw x")
    Path("notes.txt").write_text("no rows\n")
    assert "notes.txt: no readings; name files" in run("import", "notes.txt", status=1)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    for number in (7, 8):
        content = json.dumps({"page_id": "a", "key": key(number), "text": "x"}).encode()
        md5 = hashlib.md5(content).hexdigest()
        (cached := Path(".dvc/cache/files/md5") / md5[:2] / md5[2:]).parent.mkdir(parents=True)
        cached.write_bytes(content)
        Path("dvc.lock").write_text(f"stages: {{evaluate@x: {{outs: [{{path: data/predictions/x.jsonl, md5: {md5}}}]}}}}")
        subprocess.run([*git, "add", "dvc.lock"], check=True)
        subprocess.run([*git, "commit", "-qm", "x"], check=True)
    assert "1 readings in the rows of HEAD~1, 1 of them new" in run("refill", "--rev", "HEAD~1")
    assert held([7, 8]) == [7]
    assert "1 readings in the rows of the workspace and HEAD, 1 of them new" in run("refill")
    fill([9], OTHER)
    retire()
    assert "would remove 3 readings" in run("prune", "--keep-rev", "HEAD", "--dry-run")
    assert "removed 3 readings, 0 doubles and 0 damaged lines; 2 readings stay" in run("prune", "--keep-rev", "HEAD")
    assert held([1, 2, 7, 8, 9]) == [8, 9]  # what we measured ourselves stays
    assert "error: no readings found in the rows of nowhere: everything would go" in run("prune", "--keep-rev", "nowhere", status=1)


def test_prune_by_age_and_reader():
    fill(range(3))
    fill(range(3, 6), OTHER)
    assert "error: say what may go" in run("prune", status=1)
    assert "removed 0 readings" in run("prune", "--older-than", 1)
    reader = name_of(READER)
    before = [path.read_bytes() for path in segments()]
    assert "would remove 3 readings" in run("prune", "--reader", reader, "--dry-run")
    assert [path.read_bytes() for path in segments()] == before
    assert "removed 3 readings" in run("prune", "--reader", reader, "--older-than", 0)
    assert held(range(6)) == [3, 4, 5]
    assert "removed 3 readings" in run("prune", "--older-than", 0)
    assert segments() == []


def test_what_is_being_written_is_left_alone():
    fill(range(3))
    writer = Store(Path(".readings"))
    writer.put(key(9), Reading("x"))
    assert "1 segments are still being written to, and were left alone" in run("prune", "--older-than", 0)
    assert held([0, 1, 2, 9]) == [9]
    writer.put(key(10), Reading("y"))
    assert held([9, 10]) == [9, 10]


def test_a_writer_taken_for_dead_loses_nothing():
    writer = Store(Path(".readings"))
    writer.put(key(1), Reading("x"))
    (path,) = segments()
    store, written = open_store(), []
    read_lines = __import__("ocrtune.store.segments", fromlist=["read_lines"]).read_lines

    def read_and_write_more(path, start=0):
        yield from read_lines(path, start)
        if not written:
            written.append(writer.put(key(2), Reading("between reading and removal")))

    with pytest.MonkeyPatch.context() as patch:
        store.refresh()
        patch.setattr("ocrtune.store.packing.segments.read_lines", read_and_write_more)
        pack(store, [path])
    writer.put(key(3), Reading("after"))
    assert not path.exists()
    assert held([1, 2, 3]) == [1, 2, 3]


def test_many_small_segments_are_joined_when_the_store_is_opened():
    for number in range(MOST_SMALL + 1):
        fill([number])
    assert len(segments()) == MOST_SMALL + 1
    assert len(held(range(MOST_SMALL + 1))) == MOST_SMALL + 1
    assert len(segments()) == 1


PACK = """
import sys
from pathlib import Path
from ocrtune.store.packing import closed_segments, pack
from ocrtune.store.store import Store

store = Store(Path(".readings"))
print("ready", flush=True)
pack(store, closed_segments(store))
"""


def test_packing_killed_at_any_moment_loses_nothing(project):
    chance = random.Random(0)
    for part in range(6):
        fill(range(part * 40, part * 40 + 40), text="text {0} " * 200)
    for _ in range(6):
        process = project.start("-c", PACK)
        assert process.stdout.readline() == "ready\n"
        time.sleep(chance.random() * 0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert len(held(range(240))) == 240
        fill(range(200, 220), text="text {0} " * 200)  # doubles
    run("pack")
    assert len(held(range(240))) == 240
    assert len(segments()) == 1


def test_two_that_pack_at_once_lose_nothing(project):
    for part in range(20):
        fill(range(part * 20, part * 20 + 30), text="text {0} " * 100)
    processes = [project.start("-c", PACK) for _ in range(3)]
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    assert len(held(range(410))) == 410


def test_a_shared_store_is_pruned_where_it_is_shared(monkeypatch):
    fsspec.filesystem("memory").store.clear()
    monkeypatch.setenv("OCRTUNE_STORE", "memory://team")
    fill(range(3))
    fill(range(3, 6), OTHER)
    assert "6 readings in 2 segments" in run("list")
    reader = name_of(READER)
    assert "removed 3 readings" in run("prune", "--reader", reader)
    (left,) = fsspec.filesystem("memory").find("/team")
    assert b"letter-places" in fsspec.filesystem("memory").cat_file(left)
    assert held(range(6)) == [3, 4, 5]
    assert [path.parent.parent.name for path in segments()] == ["shared"]
    monkeypatch.setattr("ocrtune.store.store.main_root", lambda: Path("elsewhere"))
    assert held(range(6)) == [3, 4, 5]


def test_list_ends_quietly_where_nobody_listens():
    fill(range(3))
    nobody, ours = os.pipe()
    os.close(nobody)
    done = subprocess.run([sys.executable, "-m", "tools.store", "list"], stdout=ours, stderr=subprocess.PIPE, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)})
    os.close(ours)
    assert (done.returncode, done.stderr) == (1, "")
