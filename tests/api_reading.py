"""What the tests of the API reader share: a server that follows a script, pages, and a reader in a hurry."""

import pytest
from answering_server import KEY, serving
from conftest import draw_line

from ocrtune.params.teachers import Api, ChatRequest
from ocrtune.readers.open import open_reader
from ocrtune.reading import Page, Reading

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
