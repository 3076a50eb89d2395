"""What is damaged, killed or written by many at once costs no reading but its own."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from test_store import CountingReader, make_pages, store  # noqa: F401 (fixtures)

from ocrtune.reading import Reading
from ocrtune.store.readings import read_pages
from ocrtune.store.store import Store, open_store, store_folder


def change(old: bytes, new: bytes):
    def changed(line: bytes) -> bytes:
        assert old in line
        return line.replace(old, new)
    return changed


@pytest.mark.parametrize("ruin", [
    lambda line: b"", lambda line: line[: len(line) // 2], lambda line: line[: len(line) // 2] + b"\n", lambda line: b"\xff" + line,
    lambda line: b"[]\n", lambda line: b"\0" * len(line), lambda line: line[:40] + b"\n" + line[40:], lambda line: line[:-1],
    change(b"text of p0", b"text of p1"), change(b'"stop"', b'"length"'), change(b'"tokens"', b'"tokers"'),
    change(b'"checksum"', b'"checksun"'), lambda line: line[:12] + (b"1" if line[12:13] == b"0" else b"0") + line[13:],
    lambda line: line[:-5] + (b"1" if line[-5:-4] == b"0" else b"0") + line[-4:],
])
def test_a_damaged_entry_is_read_again_and_its_neighbours_are_not(tmp_path, ruin):
    reader, pages = CountingReader(), make_pages(3)
    good = dict(read_pages(reader, pages, Store(tmp_path), "x"))
    (path,) = tmp_path.glob("*.jsonl")
    about, *lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    path.write_bytes(about + b"".join(ruin(line) if b'"text of p0"' in line else line for line in lines))
    # A line without its end takes the one that follows with it.
    lost = ["p0"] if ruin(lines[0]).endswith(b"\n") or not ruin(lines[0]) else ["p0", "p1"]
    store = Store(tmp_path)
    assert dict(read_pages(reader, pages, store, "x")) == good
    assert reader.asked[3:] == lost
    for _ in range(2):  # and it is found beside the damaged one, now and by the next process
        assert {page: store.get(key) for page, (key, _) in good.items()} == {page: reading for page, (_, reading) in good.items()}
        store = Store(tmp_path)
    read_pages(reader, pages, store, "x")
    assert len(reader.asked) == 3 + len(lost)


def test_the_store_lies_in_the_main_workspace(monkeypatch):
    assert store_folder() == Path(".readings")
    monkeypatch.setenv("DVC_ROOT", "/main")
    assert store_folder() == Path("/main/.readings")
    for address in ("/elsewhere", "file:///elsewhere"):
        monkeypatch.setenv("OCRTUNE_STORE", address)
        assert open_store().folder == store_folder() == Path("/elsewhere")
    monkeypatch.setenv("OCRTUNE_STORE", "memory://x")
    assert open_store().folder == Path("/main/.readings")


READ_SLOWLY = """
import sys, time
from pathlib import Path
from ocrtune.reading import Page, Reading
from ocrtune.store.readings import read_pages
from ocrtune.store.store import Store

class SlowReader:
    identity = {"type": "slow"}
    def read(self, pages):
        for page in pages:
            time.sleep(float(sys.argv[1]))
            with open("asked.txt", "a") as file:
                file.write(page.page_id + "\\n")
            yield page, Reading("text of " + page.page_id)

pages = [Page(f"p{number}", Path("absent.png"), f"{number:064x}") for number in range(40)]
print(len(read_pages(SlowReader(), pages, Store(Path("readings")), "slow")))
"""


def test_kill_9_loses_the_page_in_flight_alone(project):
    asked = project.folder / "asked.txt"
    process = project.start("-c", READ_SLOWLY, 0.02)
    while not asked.is_file() or len(asked.read_text().split()) < 8:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = asked.read_text().split()
    assert 8 <= len(before) < 40
    store = Store(project.folder / "readings")
    store.refresh()
    kept = sum(tally.num_readings for tally in store.tallies.values())
    assert len(before) - 1 <= kept <= len(before)
    status, output = project.run("-c", READ_SLOWLY, 0)
    assert status == 0, output
    after = asked.read_text().split()[len(before):]
    assert len(after) == 40 - kept
    assert len(set(before) & set(after)) == len(before) - kept  # the one in flight, if any


WRITE_MANY = """
import sys
from pathlib import Path
from ocrtune.reading import Reading
from ocrtune.store.store import Store

store = Store(Path("readings"))
for round in range(20):
    for number in range(20):
        key = f"{number:064x}"
        store.put(key, Reading(f"text {number} " * 200))
        found = store.get(key)
        assert found is not None and found.text.startswith(f"text {number} "), (key, found)
"""


def test_processes_and_threads_may_write_the_same_readings_at_once(project):
    processes = [project.start("-c", WRITE_MANY) for _ in range(3)]
    failures, store = [], Store(project.folder / "readings")

    def write():
        for number in range(200):
            store.put(f"{number % 20:064x}", Reading(f"text {number % 20} " * 200))
            if store.get(f"{number % 20:064x}") is None:
                failures.append(number)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    assert failures == []
    for opened in (store, Store(project.folder / "readings")):
        opened.refresh()
        assert [opened.get(f"{number:064x}") for number in range(20)] == [Reading(f"text {number} " * 200) for number in range(20)]
        assert opened.tallies[""].num_readings == 3 * 400 + 4 * 200
    assert len(list((project.folder / "readings").rglob("*"))) == 4  # a segment a process
