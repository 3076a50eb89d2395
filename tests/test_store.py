"""A page is read once by a reader, whatever is killed, broken or busy."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ocrtune.params.teachers import Api
from ocrtune.prompts import Prompt
from ocrtune.readers.api import ApiReader
from ocrtune.reading import Page, Reading
from ocrtune.readings import read_pages
from ocrtune.store import Store, open_store, reading_key, store_folder

PAGE = Page("a_p1", Path("a.png"), "00" * 32, "words")
API = Api(base_url="http://127.0.0.1:1/v1", model_name="m")
PROMPT = Prompt(user="Read.")


class CountingReader:
    """Reads the page's id, and remembers what it was asked for."""

    def __init__(self, failing=()):
        self.identity = {"type": "counting"}
        self.asked, self.failing = [], failing

    def read(self, pages):
        for page in pages:
            self.asked.append(page.page_id)
            yield page, Reading("", "error", "no answer") if page.page_id in self.failing else Reading(f"text of {page.page_id}")


def make_pages(count: int) -> list[Page]:
    return [Page(f"p{number}", Path("absent.png"), f"{number:064x}") for number in range(count)]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "readings")


def test_each_of_image_prompt_model_and_settings_changes_the_key():
    def key(page=PAGE, prompt=PROMPT, **change):
        return reading_key(page, ApiReader(API.model_copy(update=change), prompt).identity)

    keys = [
        key(), key(replace(PAGE, sha256="11" * 32)), key(prompt=Prompt(user="Read all.")), key(prompt=Prompt("You read.", "Read.")),
            key(model_name="n"),
        key(generation=API.generation.model_copy(update={"temperature": 0.2})),
        key(generation=API.generation.model_copy(update={"max_tokens": 5})), reading_key(PAGE, {"type": "text-layer"}),
    ]
    assert len(set(keys)) == len(keys)


def test_what_shapes_no_answer_leaves_the_key():
    key = reading_key(PAGE, ApiReader(API, PROMPT).identity)
    patient = API.model_copy(update={"request": API.request.model_copy(update={"timeout": 5.0, "concurrent_requests": 1})})
    assert reading_key(PAGE, ApiReader(patient, PROMPT).identity) == key
    assert reading_key(replace(PAGE, page_id="b", image=Path("b.png"), text_layer=None), ApiReader(API, PROMPT).identity) == key
    assert reading_key(PAGE, {"a": 1, "type": "x"}) == reading_key(PAGE, {"type": "x", "a": 1})


def test_a_text_layers_key_hangs_on_the_text():
    identity = {"type": "text-layer"}
    assert reading_key(PAGE, identity) != reading_key(replace(PAGE, text_layer="other words"), identity)


@pytest.mark.parametrize("reading", [
    Reading(""), Reading("cut o", "length"), Reading("", "none"), Reading("ſäß\n\t\0 漢 \U0001f600"), Reading("lone \ud800 surrogate"),
    Reading('", "checksum": "\\', 'a "reason" \\'), Reading("counted", tokens=(1200, 7)), Reading("long " * 2_000_000)])
def test_what_is_put_is_got(store, reading):
    store.put("ab" * 32, reading, {"type": "x"})
    for opened in (store, Store(store.folder)):
        assert opened.get("ab" * 32) == reading
        assert opened.holds("ab" * 32)
        assert opened.get("cd" * 32) is None
        assert not opened.holds("cd" * 32)
        (digest,) = opened.identities
        assert opened.identities[digest] == {"type": "x"}
        assert opened.tallies[digest].num_readings == 1


def test_of_two_readings_of_a_page_the_earliest_counts_whoever_asks(tmp_path):
    first, second = Store(tmp_path), Store(tmp_path)
    first.refresh(), second.refresh()
    first.put("ab" * 32, Reading("first"))
    time.sleep(0.002)
    second.put("ab" * 32, Reading("second"))  # it doesn't know of the first
    assert second.get("ab" * 32) == Reading("second")
    for store in (first, second, Store(tmp_path)):
        store.refresh()
        assert store.get("ab" * 32) == Reading("first")


def test_what_others_write_meanwhile_is_seen_after_a_refresh(tmp_path):
    ours, theirs = Store(tmp_path), Store(tmp_path)
    assert ours.get("ab" * 32) is None
    theirs.put("ab" * 32, Reading("x"))
    assert ours.get("ab" * 32) is None
    ours.refresh()
    assert ours.get("ab" * 32) == Reading("x")


def test_a_segment_that_was_moved_or_removed_meanwhile_is_noticed(tmp_path):
    store, other = Store(tmp_path), Store(tmp_path)
    store.put("ab" * 32, Reading("x"))
    other.refresh()
    (path,) = tmp_path.glob("*.jsonl")
    (tmp_path / "shared").mkdir()
    path.rename(tmp_path / "shared" / path.name)
    assert other.get("ab" * 32) == Reading("x")
    store.put("cd" * 32, Reading("y"))  # the writer, too, sees that its file is gone, and begins another
    assert {path.name for path in tmp_path.glob("*.jsonl")}.isdisjoint({path.name})
    other = Store(tmp_path)
    assert (other.get("ab" * 32), other.get("cd" * 32)) == (Reading("x"), Reading("y"))
    for path in tmp_path.rglob("*.jsonl"):
        path.unlink()
    other.open_files.clear()
    assert other.get("ab" * 32) is None
    assert not other.holds("cd" * 32)


def test_a_full_segment_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr("ocrtune.segments.MAX_BYTES", 1000)
    store = Store(tmp_path)
    readings = {f"{number:064x}": Reading(f"{number} " * 100) for number in range(9)}
    for key, reading in readings.items():
        store.put(key, reading, {"type": "x"})
    assert len(list(tmp_path.glob("*.jsonl"))) == 5
    for opened in (store, Store(tmp_path)):
        assert {key: opened.get(key) for key in readings} == readings


def test_a_full_disk_is_an_error_and_leaves_the_store_whole(project):
    code = """
import resource, signal
from pathlib import Path
from ocrtune.reading import Reading
from ocrtune.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
store = Store(Path("readings"))
for number in range(4):
    try:
        store.put(f"{number:064x}", Reading("long " * (200 if number != 2 else 1000)))
    except OSError as error:
        print("error at", number)
print([bool(store.get(f"{number:064x}")) for number in range(4)])
"""
    status, output = project.run("-c", code)
    assert (status, output.split("\n")[:2]) == (0, ["error at 2", "[True, True, False, True]"])
    store = Store(Path("readings"))
    assert [store.holds(f"{number:064x}") for number in range(4)] == [True, True, False, True]


def test_flush_returns_when_all_is_on_disk(store, monkeypatch):
    synced = []
    sync = os.fsync
    monkeypatch.setattr("os.fsync", lambda descriptor: (time.sleep(0.01), synced.append(os.fstat(descriptor).st_size), sync(descriptor)))
    for number in range(100):
        store.put(f"{number:064x}", Reading("text"))
    store.flush()
    (path,) = store.folder.glob("*.jsonl")
    assert synced[-1] == path.stat().st_size
    assert len(synced) < 50  # what came during a sync went along with the next


def test_a_disk_that_fails_to_sync_is_an_error(store, monkeypatch):
    store.put("ab" * 32, Reading("text"))
    store.flush()

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    store.put("cd" * 32, Reading("text"))
    with pytest.raises(OSError, match="Input/output error"):
        store.flush()
    with pytest.raises(OSError, match="Input/output error"):
        store.put("ef" * 32, Reading("text"))


def test_a_second_run_reads_nothing_and_a_new_page_is_read_alone(store, capsys):
    pages, reader = make_pages(5), CountingReader()
    first = read_pages(reader, pages, store, "first")
    assert read_pages(reader, pages, store, "second") == first
    assert len(reader.asked) == 5
    read_pages(reader, make_pages(6), store, "third")
    assert reader.asked[5:] == ["p5"]
    assert "third: 6 pages, 5 in the store, 1 to read" in capsys.readouterr().out


def test_images_of_the_same_bytes_are_read_once(store):
    reader = CountingReader()
    twins = [PAGE, replace(PAGE, page_id="b_p1"), replace(PAGE, page_id="c_p1", sha256="11" * 32)]
    readings = read_pages(reader, twins, store, "twins")
    assert reader.asked == ["a_p1", "c_p1"]
    assert readings["b_p1"] == readings["a_p1"] != readings["c_p1"]


def test_a_failure_is_given_and_tried_again(store):
    reader = CountingReader(failing=("p1",))
    readings = read_pages(reader, make_pages(3), store, "x")
    assert readings["p1"][1] == Reading("", "error", "no answer")
    assert [store.has_failed(readings[page][0]) for page in readings] == [False, True, False]
    reader.failing = ()
    assert read_pages(reader, make_pages(3), store, "x")["p1"][1] == Reading("text of p1")
    assert reader.asked == ["p0", "p1", "p2", "p1"]
    assert not store.has_failed(readings["p1"][0])


def test_only_the_failed_or_only_the_stale_are_asked_for(tmp_path):
    reader = CountingReader(failing=("p1", "p2"))
    read_pages(reader, make_pages(4), Store(tmp_path), "x")
    asked = {}
    for retry in ("failed", "stale"):
        reader.asked = []
        readings = read_pages(reader, make_pages(6), Store(tmp_path), "x", retry=retry)
        asked[retry] = reader.asked
        left_out = {page for page, (_, reading) in readings.items() if reading.finish_reason == "unread"}
        assert left_out == {"p1", "p2", "p4", "p5"} - set(reader.asked)
    assert asked == {"failed": ["p1", "p2"], "stale": ["p4", "p5"]}


def test_a_reader_that_forgets_a_page_is_an_error(store):
    class Forgetful(CountingReader):
        def read(self, pages):
            return super().read(list(pages)[1:])

    with pytest.raises(RuntimeError, match="nothing for 1 pages, the first p0"):
        read_pages(Forgetful(), make_pages(2), store, "x")


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
from ocrtune.readings import read_pages
from ocrtune.store import Store

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
from ocrtune.store import Store

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
