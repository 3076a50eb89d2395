"""A reader behind an API gives a reading for each page whatever the server does, says what went wrong, and keeps secrets."""

import base64
import io
import json
import threading
import time

import pytest
from answering_server import DONE, KEY, answer, cut, drip, event, hang_up, serving, stream
from conftest import draw_line
from PIL import Image

from ocrtune.params.teachers import Api, ChatRequest, Generation, ImageSizing
from ocrtune.readers import crew
from ocrtune.readers.open import open_reader
from ocrtune.reading import Page, Reading
from ocrtune.readings import read_pages
from ocrtune.store import Store

LOOP = "and so on " * 30


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    with serving() as server:
        yield server


def api(server, **change):
    """Return a reader in a hurry."""
    request = {"timeout": 20.0, "max_retries": 2, "concurrent_requests": 1, "backoff": 0.01} | change.pop("request", {})
    settings = {"model_name": "m", "api_key_env": "TEST_KEY", "request": ChatRequest(**request)} | change
    prompts = settings.pop("prompts", {})
    return open_reader(Api(**{"base_url": server.url} | settings), prompts)


@pytest.fixture
def pages(tmp_path) -> list[Page]:
    images = [tmp_path / "images" / f"{number}.png" for number in range(24)]
    return [Page(f"p{number:02d}", image, draw_line(image, f"{number}", 32)) for number, image in enumerate(images)]


def read(reader, pages) -> dict[str, Reading]:
    readings = list(reader.read(pages))
    assert len(readings) == len({page.page_id for page, _ in readings})
    return {page.page_id: reading for page, reading in readings}


def read_one(reader, pages) -> Reading:
    return read(reader, pages[:1])["p00"]


def kinds(readings) -> dict[str, str]:
    return {name: reading.finish_reason for name, reading in readings.items()}


# What is asked, and what comes back


def test_a_request_is_what_servers_expect(server, pages):
    prompts = {"letters": {"system": "You read.", "user": "Read this."}}
    reader = api(server, task="letters", prompts=prompts, generation=Generation(temperature=0.3, max_tokens=77, extra_body={"seed": 5}))
    server.script = [(200, {}, answer("ſo\nwe", tokens=(900, 12)))]
    assert list(reader.read(pages[:1])) == [(pages[0], Reading("ſo\nwe", "stop", tokens=(900, 12)))]
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    system, user = body.pop("messages")
    assert body == {"model": "m", "temperature": 0.3, "max_tokens": 77, "seed": 5}
    assert system == {"role": "system", "content": "You read."}
    image, words = user["content"]
    kind, _, data = image["image_url"]["url"].partition(",")
    assert (user["role"], kind, words) == ("user", "data:image/png;base64", {"type": "text", "text": "Read this."})
    assert base64.b64decode(data) == pages[0].image.read_bytes()


def test_what_is_null_is_not_sent_and_an_empty_system_prompt_neither(server, pages):
    read_one(api(server, generation=Generation(temperature=None, max_tokens=None)), pages)
    ((_, _, body),) = server.asked
    assert body.keys() == {"model", "messages"}
    (message,) = body["messages"]
    assert message["role"] == "user"


def test_a_model_is_asked_in_its_makers_words(server, pages):
    for name, task in (("deepseek-ai/DeepSeek-OCR", "ocr"), ("deepseek-ai/DeepSeek-OCR", "document"), ("another", "ocr")):
        read_one(api(server, model_name=name, task=task), pages)
    words = [body["messages"][0]["content"][1]["text"] for _, _, body in server.asked]
    assert words == ["Free OCR.", "<|grounding|>Convert the document to markdown.", "Extract all text from the image."]
    with pytest.raises(ValueError, match="task 'nothing': unknown; there are: document"):
        api(server, task="nothing")


def test_headers_come_from_the_environment(server, pages, monkeypatch):
    monkeypatch.setenv("GATEWAY", " through \n")
    read_one(api(server, headers_env={"X-Gateway": "GATEWAY"}), pages)
    assert server.asked[0][1]["x-gateway"] == "through"
    monkeypatch.delenv("GATEWAY")
    with pytest.raises(ValueError, match="headers_env: not set in the environment: GATEWAY"):
        read_one(api(server, headers_env={"X-Gateway": "GATEWAY"}), pages)


@pytest.mark.parametrize(("choice", "expected"), [
    ({"finish_reason": "length", "message": {"content": "cut o"}}, Reading("cut o", "length")),
    ({"finish_reason": None, "message": {"content": "a"}}, Reading("a")),
    ({"finish_reason": "eos_token", "message": {"content": "a"}}, Reading("a")),
    ({"finish_reason": "none", "message": {"content": "a"}}, Reading("a", "other")),
    ({"finish_reason": "content_filter", "message": {"content": "a"}}, Reading("a", "content_filter")),
    ({"finish_reason": "stop", "message": {"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}},
     Reading("ab")),
    ({"finish_reason": "stop", "message": {"content": "a\u2028b\x85c\ud83d\x00"}}, Reading("a\u2028b\x85c\ud83d\x00")),
])
@pytest.mark.parametrize("streamed", [False, True])
def test_answers_of_many_servers_are_understood(server, pages, choice, expected, streamed):
    if streamed:
        chunk = {"choices": [{"delta": choice["message"], "finish_reason": choice["finish_reason"]}]}
        server.usual = (200, {}, stream(b"data:" + json.dumps(chunk).encode() + b"\r\n\r\n", DONE))
    else:
        server.usual = (200, {}, {"choices": [choice]})
    assert read_one(api(server, request={"stream": streamed}), pages) == expected


def test_tokens_that_are_no_counts_are_left_out(server, pages):
    for usage in ({"prompt_tokens": None, "completion_tokens": 3}, {"prompt_tokens": "7", "completion_tokens": 3}, [], {}):
        server.usual = (200, {}, answer() | {"usage": usage})
        assert read_one(api(server), pages).tokens is None


def test_all_that_shapes_an_answer_is_its_identity_and_nothing_else(server):
    prompts = {"a": {"system": "", "user": "Read."}, "b": {"system": "", "user": "Read!"}}
    identities = [api(server, prompts=prompts, **change).identity for change in (
        {}, {"model_name": "n"}, {"task": "a"}, {"task": "b"}, {"image": ImageSizing(max_side_px=500)},
        {"generation": Generation(temperature=0.2)},
        {"generation": Generation(max_tokens=9)}, {"generation": Generation(retry_temperatures=[])},
        {"generation": Generation(extra_body={"a": 1})})]
    assert len({repr(identity) for identity in identities}) == len(identities)
    for change in ({"request": {"concurrent_requests": 9, "stream": True}}, {"base_url": "https://elsewhere/v1"}, {"api_key_env": "OTHER"}):
        assert api(server, prompts=prompts, **change).identity == identities[0]
    assert server.url not in repr(identities)


# A rising temperature


def temperatures(server) -> list[float]:
    return [body["temperature"] for _, _, body in server.asked]


def test_an_empty_or_looping_answer_is_asked_for_again_warmer(server, pages):
    server.script = [(200, {}, answer("", tokens=(10, 1))), (200, {}, answer(LOOP, "length", tokens=(10, 300))),
                     (200, {}, answer("fine", tokens=(10, 2)))]
    assert read_one(api(server), pages) == Reading("fine", tokens=(30, 303))
    assert temperatures(server) == [0.1, 0.5, 0.9]


def test_the_first_answer_with_any_text_stays_where_none_is_good(server, pages):
    server.script = [(200, {}, answer(" \n")), (200, {}, answer(LOOP)), (200, {}, answer(LOOP * 2))]
    assert read_one(api(server), pages) == Reading(LOOP)
    server.usual = (200, {}, answer(""))
    assert read_one(api(server), pages) == Reading("")
    assert len(server.asked) == 6


def test_no_answer_is_the_right_one_where_there_is_no_ink(server, tmp_path):
    image = tmp_path / "blank.png"
    Image.new("L", (300, 200), 240).save(image)
    server.usual = (200, {}, answer(""))
    assert read(api(server), [Page("blank", image, "0")]) == {"blank": Reading("")}
    assert len(server.asked) == 1


def test_a_server_that_takes_one_temperature_alone_gives_what_it_gave(server, pages):
    server.script = [(200, {}, answer(LOOP)), (400, {}, {"error": {"message": "temperature must be 0.1"}})]
    assert read_one(api(server), pages) == Reading(LOOP)


def test_temperatures_need_not_rise(server, pages):
    server.usual = (200, {}, answer(""))
    assert read_one(api(server, generation=Generation(retry_temperatures=[])), pages) == Reading("")
    assert len(server.asked) == 1


# Many at a time


@pytest.mark.parametrize("allowed", [1, 3])
def test_so_many_requests_are_in_flight_and_no_more(server, pages, allowed):
    server.delay_s = 0.1
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


# Images


def test_an_image_that_is_gone_or_none_fails_alone_and_is_no_failure_of_the_server(server, pages):
    for page in pages[:12]:
        page.image.write_bytes(b"no image")
    pages[12].image.unlink()
    pages[13].image.write_bytes(pages[13].image.read_bytes()[:20])
    readings = read(api(server), pages)
    assert sorted(name for name, kind in kinds(readings).items() if kind == "error") == [page.page_id for page in pages[:14]]
    assert readings["p00"].problem == "0.png: not an image that opens"
    assert readings["p12"].problem == "12.png: No such file or directory"
    assert len(server.asked) == 10


def test_a_large_image_is_sent_smaller(server, tmp_path):
    image = tmp_path / "large.png"
    Image.new("1", (20_000, 20_000), 1).save(image)
    server.usual = (200, {}, answer(""))
    assert read(api(server), [Page("large", image, "0")]) == {"large": Reading("")}
    ((_, _, body),) = server.asked
    data = body["messages"][0]["content"][0]["image_url"]["url"].partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(data))) as sent:
        assert sent.size == (4472, 4472)  # 20 million pixels


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


# Keys


def test_a_key_is_nowhere_but_in_the_header(server, pages, tmp_path, capfd):
    """The server here says the key back in whatever it answers."""
    server.script = [
        (500, {}, {"error": {"message": f"Bearer {KEY}"}}), (400, {}, f"key={KEY}&".encode()), (400, {}, ("x" * 190 + KEY).encode()),
        (200, {}, answer(f"I saw {KEY}")), (200, {}, {"choices": [], "key": KEY}), (403, {}, b"<html><title>" + KEY.encode() + b"</title>"),
        (200, {}, stream(event(f"and {KEY}"), event(None, "stop"))),
    ]
    store = Store(tmp_path / "readings")
    readings = read_pages(api(server, request={"max_retries": 0, "stream": True}), pages[:8], store, "teacher")
    text = "".join(capfd.readouterr()) + "".join(f"{reading}" for _, reading in readings.values())
    text += "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".png")
    assert "(key)" in text
    assert KEY not in text
    assert KEY[:12] not in text
    assert KEY not in repr(api(server).identity)


@pytest.mark.parametrize("key", ["käse-secret", "two\nlines-secret"])
def test_a_key_that_no_header_can_carry_is_not_shown(server, pages, monkeypatch, key):
    monkeypatch.setenv("TEST_KEY", key)
    with pytest.raises(ValueError, match="TEST_KEY holds signs that no HTTP header can carry") as error:
        read_one(api(server), pages)
    assert "secret" not in str(error.value)


def test_a_key_that_is_not_set_is_no_trouble_for_ones_own_server(server, pages, monkeypatch):
    monkeypatch.delenv("TEST_KEY")
    assert read_one(api(server), pages) == Reading("read it")
