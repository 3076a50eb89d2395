"""A reader behind an API gives a reading for each page whatever the server does, and says what went wrong."""

import time

import pytest
from answering_server import DONE, KEY, answer, cut, drip, event, hang_up, serving, stream
from api_reading import api, kinds, pages, read, read_one, server  # noqa: F401 (fixtures)

from ocrtune.reading import Reading
from ocrtune.store.readings import read_pages
from ocrtune.store.store import Store

# Trouble that passes


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("trouble", [
    (500, {}, {"error": "x"}), (503, {}, b"<html>"), (502, {"Retry-After": "0"}, b""), (408, {}, b""), (200, {}, hang_up),
    (200, {}, cut(b'{"choices": [{"message": {"content": "a"}}]}', 20)), (200, {}, b'{"choices": [{"mess'), (200, {}, b""),
    (200, {}, {}), (200, {}, []), (200, {}, {"choices": []}), (200, {}, {"choices": [{"message": None}]}), (200, {}, {"choices": [3]}),
    (200, {}, {"choices": None}), (200, {}, answer(3)), (200, {}, answer([{"type": "text", "text": 3}])), (200, {}, answer(["a"])),
    (200, {}, answer("half", "error")), (200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><title>Welcome</title>"),
    (200, {}, b"[" * 100_000), (200, {"Content-Encoding": "gzip"}, b"no gzip"), (200, {}, {"error": {"message": "overloaded",
    "code": 503}}),
    (200, {}, stream(event("half a st"))), (200, {}, stream(event("half"), b"data: {torn\n\n")),
    (200, {}, stream(event("half"), b'data: {"error": {"message": "provider gone", "code": 502}}\n\n')),
])
def test_a_server_that_stumbles_is_asked_again(server, pages, trouble, streamed):
    server.script = [trouble, trouble]
    assert read_one(api(server, request={"stream": streamed}), pages) == Reading("read it")
    assert len(server.asked) == 3


@pytest.mark.parametrize("silent", [drip, stream(event("half"), ended=False), stream(30.0), stream(b": alive\n\n", 30.0)])
def test_a_server_that_falls_silent_is_asked_again(server, pages, silent):
    server.script = [(200, {}, silent)]
    assert read_one(api(server, request={"timeout": 0.5, "stream": True}), pages) == Reading("read it")
    assert len(server.asked) == 2


def test_an_answer_that_drips_has_a_time_limit(server, pages, capfd):
    server.usual = (200, {}, drip)
    reading = read_one(api(server, request={"timeout": 0.3, "max_retries": 1}), pages)
    assert (reading.finish_reason, reading.problem) == ("error", "no answer within 0.3 s (request.timeout)")
    assert "p00: not read: no answer within 0.3 s" in capfd.readouterr().out


def test_retries_come_later_and_later(server, pages):
    server.usual = (500, {}, b"")
    assert read_one(api(server, request={"backoff": 0.4, "max_retries": 2}), pages).problem == "status 500"
    first, second, third = server.times
    assert second - first >= 0.2
    assert third - second >= 0.4


# Trouble that stays


@pytest.mark.parametrize("trouble", [(500, {}, b""), (403, {}, b"moderated"), (400, {}, b"no"), (413, {}, b""), (200, {}, hang_up),
    (200, {}, b"{torn")])
def test_a_page_that_fails_is_an_empty_answer_and_the_others_go_on(server, pages, trouble, capfd):
    server.script = [(200, {}, answer("first")), trouble]
    readings = read(api(server, request={"max_retries": 0}), pages[:3])
    assert sorted(kinds(readings).values()) == ["error", "stop", "stop"]
    ((name, failed),) = [item for item in readings.items() if item[1].finish_reason == "error"]
    assert (failed.text, bool(failed.problem)) == ("", True)
    assert f"{name}: not read: {failed.problem}" in capfd.readouterr().out


@pytest.mark.parametrize(("trouble", "key", "message"), [
    ((401, {}, {"error": {"message": f"wrong key {KEY}"}}), KEY, "the server refuses the key in the environment variable TEST_KEY"),
    ((401, {}, b""), "", "the server wants a key, and there is none in the environment variable TEST_KEY"),
    ((404, {}, {"error": {"message": "no such model"}}), KEY, "no model 'm' there; the server has: a/vlm, b; set model_name"),
    ((402, {}, {"error": {"message": "pay"}}), KEY, "status 402: pay; the account has no credit left"),
    ((429, {}, {"error": {"message": "quota", "code": "insufficient_quota"}}), KEY, "the account has no credit left"),
    ((301, {"Location": "https://new/v1"}, b""), KEY, "it points to https://new/v1: set that address"),
])
@pytest.mark.parametrize("concurrent", [1, 4])
def test_what_can_not_succeed_stops_at_once_with_the_remedy(server, pages, tmp_path, monkeypatch, capfd, trouble, key, message, concurrent):
    monkeypatch.setenv("TEST_KEY", key)
    server.models = ["a/vlm", "b"]
    server.script, server.usual = [(200, {}, answer())] * 3, trouble
    reader, store = api(server, request={"concurrent_requests": concurrent}), Store(tmp_path / "readings")
    with pytest.raises(ValueError, match="What was read is kept; run again to go on") as error:
        read_pages(reader, pages, store, "teacher")
    assert f"{server.url}: " in str(error.value) and message in str(error.value)
    assert KEY not in str(error.value) + "".join(capfd.readouterr())
    assert 3 < len(server.asked) <= 3 + 2 * concurrent
    server.usual, before = (200, {}, answer()), len(server.asked)
    assert len(read_pages(reader, pages, store, "teacher")) == 24
    assert len(server.asked) == before + 21


def test_a_404_where_there_is_no_api_says_so(server, pages):
    server.models, server.usual = [], (404, {}, b"<html><title>Not Found</title>")
    with pytest.raises(ValueError, match=r"is base_url right\? As a rule it ends in /v1 \(status 404: a web page, 'Not Found'\)"):
        read(api(server), pages)


def test_a_server_that_is_not_there_is_named(pages, monkeypatch):
    with serving() as gone:
        pass
    with pytest.raises(ValueError, match=r"3 failures in a row, the last: APIConnectionError: .*(refused|failed)"):
        read(api(gone, request={"max_failures": 3, "max_retries": 1}), pages)


@pytest.mark.parametrize("concurrent", [1, 4])
def test_a_dead_server_stops_the_run_and_what_was_read_is_kept(server, pages, tmp_path, concurrent):
    server.script, server.usual = [(200, {}, answer())] * 3, (500, {}, b"out of memory")
    reader = api(server, request={"concurrent_requests": concurrent, "max_failures": 5, "max_retries": 0})
    store = Store(tmp_path / "readings")
    with pytest.raises(ValueError, match="5 failures in a row, the last: status 500: out of memory"):
        read_pages(reader, pages, store, "teacher")
    assert 8 <= len(server.asked) < 8 + 2 * concurrent  # the first successes may come late and reset the count
    server.usual, before = (200, {}, answer()), len(server.asked)
    assert len(read_pages(reader, pages, store, "teacher")) == 24
    assert len(server.asked) == before + 21


def test_readings_in_flight_when_the_server_dies_are_kept(server, pages):
    def answer_late(handler):
        while len(server.asked) < 11:
            time.sleep(0.01)
        time.sleep(0.5)  # until the tenth failure has arrived
        handler.send_whole(200, {}, answer("late"))

    server.script, server.usual = [(200, {}, answer_late)], (500, {}, b"")
    seen = []
    with pytest.raises(ValueError, match="10 failures in a row"):
        for _, reading in api(server, request={"concurrent_requests": 2, "max_retries": 0}).read(pages):
            seen.append(reading.text)
    assert seen == [""] * 10 + ["late"]
    assert len(server.asked) == 11


def test_answers_beyond_all_measure(server, pages):
    text = "".join(f"{number} " for number in range(1_500_000))
    assert len(text) > 10_000_000
    server.script = [(200, {}, answer(text)), (200, {}, stream(event(text), event(None, "stop"), DONE))]
    assert read_one(api(server), pages) == Reading(text)
    assert read_one(api(server, request={"stream": True, "concurrent_requests": 2}), pages) == Reading(text)


def test_an_answer_without_end_is_cut_off(server, pages, monkeypatch):
    monkeypatch.setattr("ocrtune.readers.api.MOST_BYTES", 100_000)
    server.usual = (200, {}, answer("a" * 200_000))
    assert read_one(api(server), pages).problem == "the answer is longer than 100000 bytes"
    assert len(server.asked) == 1
