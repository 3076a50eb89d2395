"""A page is read once by a reader, and its reading is found again whoever asks."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ocrtune.params.teachers import Api
from ocrtune.readers.api import ApiReader
from ocrtune.readers.prompts import Prompt
from ocrtune.reading import Page, Reading
from ocrtune.store.readings import read_pages
from ocrtune.store.store import Store, reading_key

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
    monkeypatch.setattr("ocrtune.store.segments.MAX_BYTES", 1000)
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
from ocrtune.store.store import Store
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
