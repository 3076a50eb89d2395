"""An OCR service of its own shape is asked by form and its text found by path, whatever it does."""

import email.parser
import email.policy

import pytest
from answering_server import KEY, cut, drip, hang_up, serving
from conftest import draw_line

from ocrtune.params.teachers import ImageSizing, Request, Service
from ocrtune.readers.open import open_reader
from ocrtune.reading import Page, Reading

PAGES = {"result": {"pages": [{"text": "first"}, {"text": "second"}]}}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("SERVICE_KEY", KEY)
    with serving() as server:
        server.usual = (200, {}, PAGES)
        yield server


def service(server, **change):
    request = {"timeout": 20.0, "max_retries": 2, "concurrent_requests": 1, "backoff": 0.01} | change.pop("request", {})
    settings = {"model_name": "s-1", "text_path": "result.pages[*].text",
                "headers_env": {"X-Api-Key": "SERVICE_KEY"}, "request": Request(**request)}
    return open_reader(Service(url=server.url, **settings | change))


@pytest.fixture
def pages(tmp_path) -> list[Page]:
    images = [tmp_path / f"{number}.png" for number in range(6)]
    return [Page(f"p{number}", image, draw_line(image, f"{number}", 32)) for number, image in enumerate(images)]


def read(reader, pages) -> list[Reading]:
    readings = {page.page_id: reading for page, reading in reader.read(pages)}
    return [readings[page.page_id] for page in pages]


def parts_of(headers: dict, body: bytes) -> dict:
    """Return {field: (file name, media type, content)} of a form, parsed by the standard library."""
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return {part.get_param("name", header="content-disposition"): (part.get_filename(), part.get_content_type(),
        part.get_payload(decode=True))
            for part in form.iter_parts()}


def test_an_image_is_uploaded_as_a_form(server, pages):
    assert read(service(server, file_field="image", form={"language": "de", "layout": "süß"}), pages[:1]) == [Reading("first\nsecond")]
    ((path, headers, body),) = server.asked
    assert (path, headers["x-api-key"]) == ("/v1", KEY)
    parts = parts_of(headers, body)
    assert parts.keys() == {"image", "language", "layout"}
    assert parts["image"] == ("image.png", "image/png", pages[0].image.read_bytes())
    assert parts["layout"][2].decode() == "süß"


@pytest.mark.parametrize(("path", "body", "text"), [
    ("text", {"text": "ſo"}, "ſo"), ("a[1].b", {"a": [0, {"b": "x"}]}, "x"), ("", "plain ſ".encode(), "plain ſ"),
    ("lines[*].words[*]", {"lines": [{"words": ["a", "b"]}, {"words": []}, {"words": ["c"]}]}, "a|b|c"),
    ("pages[*].text", {"pages": []}, ""), ("text", {"text": None}, ""), ("n", {"n": 7}, "7"),
])
def test_the_text_is_found_by_its_path(server, pages, path, body, text):
    server.usual = (200, {}, body)
    assert read(service(server, text_path=path, joiner="|"), pages[:1]) == [Reading(text)]


@pytest.mark.parametrize(("path", "body", "problem"), [
    ("result.text", {"result": {"pages": []}}, "text_path result.text: no 'text' in an object with 'pages'"),
    ("pages[*].text", {"pages": "x"}, "text_path pages[*].text: [*] found a text"),
    ("pages[2]", {"pages": ["x"]}, "text_path pages[2]: no 2 in an array of 1"),
    ("text", {"text": {"a": 1}}, "text_path text: no text but"),
    ("text", b"<!DOCTYPE html><title>Sign in</title>", "the answer is no JSON: a web page, 'Sign in'"),
])
def test_a_text_that_is_not_there_is_told(server, pages, path, body, problem):
    server.usual = (200, {}, body)
    (reading,) = read(service(server, text_path=path, request={"max_retries": 0}), pages[:1])
    assert (reading.text, reading.finish_reason) == ("", "error")
    assert reading.problem.startswith(problem)


@pytest.mark.parametrize("trouble", [(500, {}, b""), (429, {"Retry-After": "0"}, b""), (200, {}, hang_up), (200, {},
    cut(b'{"result": 1}' * 9, 20)),
                                     (200, {}, b"{torn"), (200, {}, {"error": "try later"}), (200, {}, drip)])
def test_a_service_that_stumbles_is_asked_again(server, pages, trouble):
    server.script = [trouble]
    assert read(service(server, request={"timeout": 2.0}), pages[:2]) == [Reading("first\nsecond")] * 2
    assert len(server.asked) == 3


@pytest.mark.parametrize("trouble", [(401, {}, {"detail": f"bad key {KEY}"}), (404, {}, b"")])
def test_a_service_that_can_not_succeed_stops_the_run(server, pages, trouble, capfd):
    server.script, server.usual = [(200, {}, PAGES)], trouble
    readings = service(server).read(pages)
    assert next(readings)[1] == Reading("first\nsecond")
    message = rf"/v1: status {trouble[0]}.*; check url and headers_env \(SERVICE_KEY\). What was read is kept"
    with pytest.raises(ValueError, match=message) as error:
        list(readings)
    assert KEY not in str(error.value) + "".join(capfd.readouterr())
    assert len(server.asked) == 2


def test_a_key_said_back_is_not_kept(server, pages):
    server.script = [(200, {}, {"result": {"pages": [{"text": f"key {KEY}"}]}}), (400, {}, KEY.encode())]
    readings = read(service(server), pages[:2])
    assert {(reading.text, reading.problem) for reading in readings} == {("key (key)", ""), ("", "status 400: (key)")}


def test_an_unset_header_is_told_before_anything_is_sent(server, pages, monkeypatch):
    monkeypatch.delenv("SERVICE_KEY")
    with pytest.raises(ValueError, match="not set in the environment: SERVICE_KEY"):
        read(service(server), pages)
    assert server.asked == []


def test_its_identity_is_name_form_and_path(server):
    identities = [service(server, **change).identity for change in (
        {}, {"model_name": "s-2"}, {"form": {"a": "b"}}, {"text_path": "x"}, {"joiner": " "}, {"image": ImageSizing(max_side_px=99)})]
    assert len({repr(identity) for identity in identities}) == len(identities)
    assert service(server, request={"concurrent_requests": 8}).identity == identities[0]
    assert server.url not in repr(identities)
    assert KEY not in repr(identities)
