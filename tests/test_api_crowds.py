"""Many pages are in flight to an API at a time, a busy server is waited for, and streams are shown as they come."""

import threading
import time

import pytest
from answering_server import DONE, answer, drip, event, stream
from api_reading import api, kinds, pages, read, read_one, server  # noqa: F401 (fixtures)

from ocrtune.readers import crew
from ocrtune.reading import Reading

# Many at a time


@pytest.mark.parametrize("allowed", [1, 3])
def test_so_many_requests_are_in_flight_and_no_more(server, pages, allowed):
    server.delay_s = 0.25
    assert len(read(api(server, request={"concurrent_requests": allowed}), pages[:6])) == 6
    assert server.busiest == allowed


def test_a_free_place_is_taken_while_the_caller_ponders(server, pages):
    readings = api(server, request={"concurrent_requests": 2}).read(pages)
    next(readings)
    deadline = time.monotonic() + 30
    while len(server.asked) < 24 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(server.asked) == 24
    assert len(list(readings)) == 23


def test_no_more_is_asked_for_than_can_be_kept(server, pages, monkeypatch):
    monkeypatch.setattr(crew, "MOST_UNTAKEN", 4)
    readings = api(server, request={"concurrent_requests": 2}).read(pages)
    next(readings)
    time.sleep(0.5)
    assert len(server.asked) < 16
    assert len(list(readings)) == 23


def test_pages_may_come_slowly_and_are_asked_for_as_they_come(server, pages):
    drawn = threading.Event()

    def draw():
        yield pages[0]
        drawn.wait(20)
        yield from pages[1:3]

    readings = api(server, request={"concurrent_requests": 2}).read(draw())
    assert next(readings)[0] == pages[0]
    drawn.set()
    assert {page for page, _ in readings} == set(pages[1:3])


def test_an_error_among_the_pages_reaches_the_caller(server, pages):
    def draw():
        yield pages[0]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        list(api(server).read(draw()))


def test_a_caller_who_goes_leaves_nothing_running(server, pages):
    server.script = [(200, {}, answer())]
    server.usual = (200, {}, drip)
    readings = api(server, request={"concurrent_requests": 4}).read(pages)
    next(readings)
    readings.close()
    assert "requests" not in [thread.name for thread in threading.enumerate()]


# A server that is busy


def test_a_busy_server_is_asked_again_when_it_says(server, pages):
    server.script = [(429, {"Retry-After": "1"}, {"error": {"message": "slow down"}})]
    assert read_one(api(server), pages) == Reading("read it")
    assert len(server.asked) == 2
    assert server.times[1] - server.times[0] >= 0.95


def test_all_wait_when_one_is_told_to(server, pages):
    server.script = [(200, {}, answer())] * 4 + [(429, {"Retry-After": "1.5"}, b"")]
    server.delay_s = 0.02
    assert set(kinds(read(api(server, request={"concurrent_requests": 4}), pages)).values()) == {"stop"}
    gaps = [after - before for before, after in zip(server.times, server.times[1:], strict=False)]
    assert max(gaps) >= 1.3
    assert gaps.index(max(gaps)) <= 4 + 4


def test_a_busy_server_that_does_not_say_when_gets_fewer_requests(server, pages, monkeypatch):
    monkeypatch.setattr("ocrtune.readers.pace.FIRST_PAUSE_S", 0.05)
    server.script = [(429, {}, b"busy")] * 10
    assert set(kinds(read(api(server, request={"concurrent_requests": 8}), pages)).values()) == {"stop"}
    assert len(server.asked) == 24 + 10  # refusals use up no retries


def test_patience_with_a_busy_server_ends(server, pages, monkeypatch):
    monkeypatch.setattr("ocrtune.readers.pace.FIRST_PAUSE_S", 0.05)
    server.usual = (429, {}, {"error": {"message": "tokens per minute"}})
    with pytest.raises(ValueError, match=r"busy beyond request.patience \(0.5 s\): no answer in that time; status 429: tokens per minute"):
        read(api(server, request={"patience": 0.5, "concurrent_requests": 3}), pages)
    server.usual = (429, {"Retry-After": "86400"}, b"")
    with pytest.raises(ValueError, match=r"it asks to wait 86400 s"):
        read(api(server), pages)


# Streams


def test_tokens_of_a_stream_are_shown_as_they_come(server, pages, capfd):
    usage = event(choices=[], usage={"prompt_tokens": 9, "completion_tokens": 4})
    server.usual = (200, {}, stream(event("Dear "), event("S"), event("ir,\n"), event("\x1b[2Jyes"), event(None, "stop"), usage, DONE))
    expected = Reading("Dear Sir,\n\x1b[2Jyes", tokens=(9, 4))
    assert read_one(api(server, request={"stream": True}), pages) == expected
    assert capfd.readouterr().err == "p00:\nDear Sir,\n�[2Jyes\n"
    assert server.asked[0][2]["stream_options"] == {"include_usage": True}
    assert list(read(api(server, request={"stream": True, "concurrent_requests": 3}), pages[:3]).values()) == [expected] * 3
    lines = [line for line in capfd.readouterr().err.splitlines() if "|" in line]
    assert sorted(lines) == sorted(f"p0{number} | {line}" for number in range(3) for line in ("Dear Sir,", "�[2Jyes"))


def test_a_stream_is_shown_before_its_end(server, pages, capfd):
    seen = threading.Event()

    def respond(handler):
        handler.begin(200, {"Content-Type": "text/event-stream", "Connection": "close"})
        handler.wfile.write(event("first token"))
        seen.wait(20)
        handler.wfile.write(event(" and last", "stop") + DONE)
        handler.close_connection = True

    server.script = [(200, {}, respond)]
    readings = []
    thread = threading.Thread(target=lambda: readings.append(read_one(api(server, request={"stream": True}), pages)))
    thread.start()
    shown = ""
    while "first token" not in shown:
        shown += capfd.readouterr().err
        time.sleep(0.01)
    assert not readings
    seen.set()
    thread.join()
    assert readings == [Reading("first token and last")]


def test_a_stream_may_be_longer_than_the_patience_between_its_pieces(server, pages):
    pieces = [piece for number in range(8) for piece in (event(f"{number} "), 0.2)]
    server.usual = (200, {}, stream(*pieces, event(None, "stop"), DONE))
    assert read_one(api(server, request={"stream": True, "timeout": 0.8}), pages) == Reading("0 1 2 3 4 5 6 7 ")
    assert len(server.asked) == 1


def test_a_stream_left_open_after_its_last_word_is_whole(server, pages, monkeypatch):
    monkeypatch.setattr("ocrtune.readers.api.GRACE_S", 0.1)
    server.usual = (200, {}, stream(event("all"), DONE, ended=False))
    assert read_one(api(server, request={"stream": True}), pages) == Reading("all")
