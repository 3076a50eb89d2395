"""A real browser over the running studio, for tests: Chromium, a project that the pipeline made, the app, a window."""

# ruff: noqa: F811 - a fixture, imported and named again as an argument
import socket
import subprocess
import sys

import pytest

from tests.chromium import PATIENCE_MS, browser, open_window  # noqa: F401
from tests.ports import free_port
from tests.studio_project import make_project

pytest.importorskip("gradio", reason="the studio's extra is not installed: ./run uv sync --inexact --extra studio")


@pytest.fixture(scope="module")
def project(browser, tmp_path_factory):
    made = make_project(tmp_path_factory.mktemp("studio"))
    yield made
    made.server.shutdown()


def start(project, *words: str, port: int = 0, **environment: str) -> tuple[subprocess.Popen, str]:
    """Start the studio, at any port or at one given, and return its process and address, once it answers."""
    port = port or free_port()
    process = subprocess.Popen([sys.executable, "-m", "tools.studio", "--server_port", str(port), *words], cwd=project.folder,
                               env=project.environment | environment, text=True, stdout=subprocess.PIPE)
    assert "ocrtune studio: http://" in process.stdout.readline()
    address = f"http://localhost:{port}"
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process, address
        except OSError:
            continue
    raise AssertionError("the studio ended before it answered")


@pytest.fixture(scope="module")
def address(project):
    process, address = start(project)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture
def page(browser, address):
    """Return a window of the browser, in which no script of a document may run."""
    with open_window(browser, address) as window:
        yield window
        assert window.evaluate("window.hacked") is None


def choose(page, field: str, option: str) -> None:
    """Choose an option of a dropdown."""
    page.click(f"{field} input")
    page.get_by_role("option", name=option, exact=True).click()


def wait_for(page, selector: str, text: str) -> None:
    """Wait until an element shows a text."""
    page.locator(selector).filter(has_text=text).first.wait_for()


def list_compared(page) -> list[str]:
    """Open Compare and return what it offers."""
    page.goto("/compare")
    page.wait_for_selector("#compare-detail .detail")
    page.click("#compare-names input")
    return [name.strip(" ✓\n") for name in page.get_by_role("option").all_inner_texts()]
