"""A page is read once by a reader, whatever is killed, broken or busy."""

import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ocrtune.params.teachers import Api
from ocrtune.readers.api import ApiReader
from ocrtune.reading import Page, Reading
from ocrtune.readings import read_pages
from ocrtune.store import Store, reading_key, store_folder

PAGE = Page("a_p1", Path("a.png"), "00" * 32, "words")
API = Api(base_url="http://127.0.0.1:1/v1", model_name="m", user="Read.")


class CountingReader:
    """Reads the page's id, and remembers what it was asked for."""

    def __init__(self, failing=()):
        self.identity = {"type": "counting"}
        self.asked, self.failing = [], failing

    def read(self, pages):
        for page in pages:
            self.asked.append(page.page_id)
            yield page, Reading("", "error") if page.page_id in self.failing else Reading(f"text of {page.page_id}")


def make_pages(count: int) -> list[Page]:
    return [Page(f"p{number}", Path("absent.png"), f"{number:064x}") for number in range(count)]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "readings")


def test_each_of_image_prompt_model_and_settings_changes_the_key():
    def key(page=PAGE, **change):
        return reading_key(page, ApiReader(API.model_copy(update=change)).identity)

    keys = [
        key(), key(replace(PAGE, sha256="11" * 32)), key(user="Read all."), key(system="You read."), key(model_name="n"),
        key(generation=API.generation.model_copy(update={"temperature": 0.2})),
        key(generation=API.generation.model_copy(update={"max_tokens": 5})), reading_key(PAGE, {"type": "text-layer"}),
    ]
    assert len(set(keys)) == len(keys)


def test_what_shapes_no_answer_leaves_the_key():
    key = reading_key(PAGE, ApiReader(API).identity)
    patient = API.model_copy(update={"request": API.request.model_copy(update={"timeout": 5.0, "concurrent_requests": 1})})
    assert reading_key(PAGE, ApiReader(patient).identity) == key
    assert reading_key(replace(PAGE, page_id="b", image=Path("b.png"), text_layer=None), ApiReader(API).identity) == key
    assert reading_key(PAGE, {"a": 1, "type": "x"}) == reading_key(PAGE, {"type": "x", "a": 1})


def test_a_text_layers_key_hangs_on_the_text():
    identity = {"type": "text-layer"}
    assert reading_key(PAGE, identity) != reading_key(replace(PAGE, text_layer="other words"), identity)


@pytest.mark.parametrize("reading", [
    Reading(""), Reading("cut o", "length"), Reading("", "none"), Reading("ſäß\n\t\0 漢 \U0001f600"), Reading("lone \ud800 surrogate")])
def test_what_is_put_is_got(store, reading):
    store.put("ab" * 32, reading)
    assert store.get("ab" * 32) == reading
    assert store.get("cd" * 32) is None


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


def test_a_failure_is_given_but_not_kept(store):
    reader = CountingReader(failing=("p1",))
    assert read_pages(reader, make_pages(3), store, "x")["p1"][1] == Reading("", "error")
    reader.failing = ()
    assert read_pages(reader, make_pages(3), store, "x")["p1"][1] == Reading("text of p1")
    assert reader.asked == ["p0", "p1", "p2", "p1"]


def test_a_reader_that_forgets_a_page_is_an_error(store):
    class Forgetful(CountingReader):
        def read(self, pages):
            return super().read(list(pages)[1:])

    with pytest.raises(RuntimeError, match="nothing for 1 pages, the first p0"):
        read_pages(Forgetful(), make_pages(2), store, "x")


def damage(change):
    def damaged(content: bytes) -> bytes:
        entry = json.loads(content)
        change(entry)
        return json.dumps(entry).encode()
    return damaged


@pytest.mark.parametrize("ruin", [
    lambda content: b"", lambda content: content[: len(content) // 2], lambda content: b"\xff" + content,
    lambda content: b"[]", lambda content: b"3",
    damage(lambda entry: entry.update(text="other")), damage(lambda entry: entry.update(text=3)), damage(lambda entry: entry.pop("text")),
    damage(lambda entry: entry.update(finish_reason="length")), damage(lambda entry: entry.update(key="00" * 32)),
    damage(lambda entry: entry.pop("checksum")),
])
def test_a_damaged_entry_is_read_again(store, ruin):
    reader, pages = CountingReader(), make_pages(2)
    good = read_pages(reader, pages, store, "x")
    path = store.path(good["p0"][0])
    path.write_bytes(ruin(path.read_bytes()))
    assert read_pages(reader, pages, store, "x") == good
    assert reader.asked == ["p0", "p1", "p0"]
    assert store.get(good["p0"][0]) == good["p0"][1]


def test_the_store_lies_in_the_main_workspace(monkeypatch):
    assert store_folder() == Path(".readings")
    monkeypatch.setenv("DVC_ROOT", "/main")
    assert store_folder() == Path("/main/.readings")
    monkeypatch.setenv("OCRTUNE_STORE", "/elsewhere")
    assert store_folder() == Path("/elsewhere")


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
    kept = len(list((project.folder / "readings").glob("*/*.json")))
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
    assert [store.get(f"{number:064x}") for number in range(20)] == [Reading(f"text {number} " * 200) for number in range(20)]
    assert sorted(path.suffix for path in (project.folder / "readings").rglob("*") if path.is_file()) == [".json"] * 20
