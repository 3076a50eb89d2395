"""A store is shared at a URL: what one machine reads another finds, whatever is killed, and whenever the place is out of reach."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from ocrtune.reading import Reading
from ocrtune.store.share import Share
from ocrtune.store.store import Store, open_store

ROOT = Path(__file__).parents[1]


@pytest.fixture
def place():
    """Return an empty place in this process's memory."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield "memory://team/readings"
    files.store.clear()


def machine(folder: Path, url: str) -> Store:
    """Return the store of a machine that shares it."""
    return Store(folder, Share(url, folder))


def key(number: int) -> str:
    return f"{number:064x}"


def objects() -> list[str]:
    return sorted(path.rsplit("/", 1)[1] for path in fsspec.filesystem("memory").find("/team"))


def forget_writer(folder: Path) -> None:
    """Give the segments of this process the name of one that is gone."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True).stdout.strip()
    for path in folder.glob("*.jsonl"):
        host, _, rest = path.name.split("-")
        path.rename(path.with_name(f"{host}-{gone}-{rest}"))


def test_what_one_machine_reads_another_finds(place, tmp_path):
    ours, theirs = machine(tmp_path / "a", place), machine(tmp_path / "b", place)
    ours.put(key(1), Reading("read by us", tokens=(5, 6)), {"type": "x"})
    ours.flush()
    assert theirs.get(key(1)) == Reading("read by us", tokens=(5, 6))
    theirs.put(key(2), Reading("read by them"))
    theirs.flush()
    assert ours.get(key(2)) is None
    ours.refresh()
    assert [ours.get(key(number)).text for number in (1, 2)] == ["read by us", "read by them"]
    assert len(ours.places) == 2
    assert ours.others == {}  # our own parts are not fetched


def test_the_address_stands_in_the_environment(place, project, monkeypatch):
    monkeypatch.setenv("OCRTUNE_STORE", place)
    open_store().put(key(1), Reading("x"))
    store = open_store()
    store.put(key(2), Reading("y"))
    store.flush()
    assert store.folder == Path(".readings")
    assert len(objects()) == 1


def test_answers_are_sent_while_the_run_goes_on(place, tmp_path, monkeypatch):
    monkeypatch.setattr("ocrtune.store.share.PAUSE_S", 0.01)
    ours = machine(tmp_path / "a", place)
    for number in range(3):
        ours.put(key(number), Reading("x"))
        while ours.share.thread is not None:
            pass
    assert len(objects()) == 3
    assert [machine(tmp_path / "b", place).get(key(number)) for number in range(3)] == [Reading("x")] * 3


def test_many_parts_become_one(place, tmp_path, monkeypatch):
    monkeypatch.setattr("ocrtune.store.share.MAX_PARTS", 4)
    ours = machine(tmp_path / "a", place)
    for number in range(10):
        ours.put(key(number), Reading("x"))
        ours.flush()
    assert len(objects()) == 2 + 2
    assert [machine(tmp_path / "b", place).get(key(number)) for number in range(11)] == [Reading("x")] * 10 + [None]


def test_a_later_run_sends_whole_what_a_dead_one_began(place, tmp_path):
    ours = machine(tmp_path / "a", place)
    ours.put(key(1), Reading("x"))
    ours.flush()
    ours.put(key(2), Reading("never sent"))
    (sent,) = objects()
    forget_writer(tmp_path / "a")
    files = fsspec.filesystem("memory")
    (path,) = (tmp_path / "a").glob("*.jsonl")
    files.mv(f"/team/readings/{sent}", f"/team/readings/{path.stem}+0.jsonl")
    again = machine(tmp_path / "a", place)
    assert again.get(key(2)) == Reading("never sent")
    assert objects() == [path.name]
    assert list((tmp_path / "a").glob("*.jsonl")) == []
    assert machine(tmp_path / "b", place).get(key(2)) == Reading("never sent")


def test_what_is_pruned_at_the_place_goes_from_its_copies(place, tmp_path):
    ours, theirs = machine(tmp_path / "a", place), machine(tmp_path / "b", place)
    ours.put(key(1), Reading("x"))
    ours.flush()
    assert theirs.holds(key(1))
    fsspec.filesystem("memory").rm("/team/readings", recursive=True)
    theirs.refresh()
    theirs.open_files.clear()
    assert not theirs.holds(key(1))


def test_a_torn_copy_is_fetched_again(place, tmp_path):
    ours, theirs = machine(tmp_path / "a", place), machine(tmp_path / "b", place)
    ours.put(key(1), Reading("x"))
    ours.flush()
    theirs.refresh()
    (copied,) = theirs.share.copy.glob("*.jsonl")
    copied.write_bytes(copied.read_bytes()[:30])
    assert machine(tmp_path / "b", place).get(key(1)) == Reading("x")


def test_a_place_out_of_reach_stops_at_once_and_not_later(place, tmp_path, monkeypatch, capsys):
    ours = machine(tmp_path / "a", place)
    ours.put(key(1), Reading("x"))

    def fail(*arguments, **options):
        raise TimeoutError("no answer from the place")

    with monkeypatch.context() as broken:
        broken.setattr(type(ours.share.files), "pipe_file", fail)
        broken.setattr(type(ours.share.files), "ls", fail)
        ours.put(key(2), Reading("y"))
        ours.flush()
        assert "warning: OCRTUNE_STORE=memory://team/readings: TimeoutError: no answer from the place" in (said := capsys.readouterr().err)
        assert "bytes of readings are not at memory://team/readings yet; the next run sends them" in said
        with pytest.raises(ValueError, match=r"OCRTUNE_STORE=memory.*no answer from the place; make it reachable, or unset"):
            machine(tmp_path / "a", place).get(key(1))
    assert ours.get(key(2)) == Reading("y")
    ours.flush()
    assert machine(tmp_path / "b", place).get(key(2)) == Reading("y")


def test_a_password_in_the_url_is_not_told(tmp_path):
    share = Share("memory://me:secret@host/x", tmp_path)
    assert "secret" not in str(share.complain(OSError("memory://me:secret@host/x is gone"), "mend it"))
    with pytest.raises(ValueError, match=r"OCRTUNE_STORE=absent://me:.hidden.@host.*Protocol not known: absent"):
        Share("absent://me:secret@host/x", tmp_path)


WRITE = """
import sys, time
from pathlib import Path
from ocrtune.reading import Reading
from ocrtune.store.store import open_store

store = open_store()
for number in range(int(sys.argv[1]), int(sys.argv[1]) + 200):
    store.put(f"{number:064x}", Reading(f"text {number}"))
    print(number, flush=True)
    time.sleep(0.005)
store.flush()
"""


def test_machines_at_work_at_once_one_of_them_killed(tmp_path):
    """The place is a folder, spoken to as to a URL: what fsspec's `dir` file system makes of it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OCRTUNE_STORE": f"dir::file://{tmp_path}/place"}
    processes = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        command = [sys.executable, "-c", WRITE, str(number * 200)]
        processes.append(subprocess.Popen(command, cwd=tmp_path / str(number), env=environment, text=True, stdout=subprocess.PIPE))
    for _ in range(100):
        processes[0].stdout.readline()
    os.kill(processes[0].pid, signal.SIGKILL)
    written = 100 + len(processes[0].communicate()[0].split())
    for process in processes[1:]:
        process.communicate()
        assert process.returncode == 0
    place = f"dir::file://{tmp_path}/place"
    assert sum(machine(tmp_path / "new", place).holds(key(number)) for number in range(600)) >= 400
    restarted = machine(tmp_path / "0" / ".readings", place)  # the machine of the killed one sends the rest
    assert sum(restarted.holds(key(number)) for number in range(200)) == written
    assert sum(machine(tmp_path / "new", place).holds(key(number)) for number in range(600)) == 400 + written
