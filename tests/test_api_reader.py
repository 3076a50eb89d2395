"""A reader behind an API asks as servers expect, understands what they answer, and keeps secrets."""

import base64
import io
import json

import pytest
from answering_server import DONE, KEY, answer, event, stream
from api_reading import LOOP, api, kinds, pages, read, read_one, server  # noqa: F401 (fixtures)
from PIL import Image

from ocrtune.params.teachers import Generation, ImageSizing
from ocrtune.reading import Page, Reading
from ocrtune.store.readings import read_pages
from ocrtune.store.store import Store

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


@pytest.mark.parametrize("key", ["none", "EMPTY", "test"])
def test_a_word_that_serves_as_a_key_stays_in_what_was_read(server, pages, monkeypatch, key):
    monkeypatch.setenv("TEST_KEY", key)
    server.usual = (200, {}, answer(f"There is {key} left."))
    assert read_one(api(server), pages).text == f"There is {key} left."


def test_another_model_under_the_same_name_is_another_reader(server):
    plain, first, second = (api(server, model_version=version).identity for version in ("", "1", "2"))
    assert plain == api(server).identity
    assert plain != first != second


@pytest.mark.parametrize("key", ["käse-secret", "two\nlines-secret"])
def test_a_key_that_no_header_can_carry_is_not_shown(server, pages, monkeypatch, key):
    monkeypatch.setenv("TEST_KEY", key)
    with pytest.raises(ValueError, match="TEST_KEY holds signs that no HTTP header can carry") as error:
        read_one(api(server), pages)
    assert "secret" not in str(error.value)


def test_a_key_that_is_not_set_is_no_trouble_for_ones_own_server(server, pages, monkeypatch):
    monkeypatch.delenv("TEST_KEY")
    assert read_one(api(server), pages) == Reading("read it")
