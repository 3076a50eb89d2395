"""A real browser over the running studio, for tests: Chromium, a project that the pipeline made, the app, a window."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.studio_project import make_project

pytest.importorskip("gradio", reason="the studio's extra is not installed: ./run uv sync --inexact --extra studio")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS = 180_000  # a busy machine; nothing here hangs on time


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium: the operating system's, or playwright's own."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with playwright.sync_playwright() as driver:
        path = found or driver.chromium.executable_path
        if not Path(path).is_file():
            pytest.skip("no Chromium here: apt-get install chromium, or .venv/bin/playwright install chromium")
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def project(browser, tmp_path_factory):
    made = make_project(tmp_path_factory.mktemp("studio"))
    yield made
    made.server.shutdown()


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


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
    """Return a window of the browser; what it asks of other hosts, or fails at in its scripts, fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 950}, base_url=address)
    context.set_default_timeout(PATIENCE_MS)
    window = context.new_page()
    problems = []
    window.on("pageerror", lambda error: problems.append(str(error)))
    window.on("request", lambda request: problems.append(request.url) if not request.url.startswith((address, "data:", "blob:")) else None)
    yield window
    hacked = window.evaluate("window.hacked")
    context.close()
    assert (hacked, problems) == (None, [])


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
