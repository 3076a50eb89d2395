"""A real browser for tests: Chromium, the operating system's or playwright's own."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


@contextmanager
def open_window(browser, address: str) -> Iterator:
    """Open a window onto a server; what it asks of other hosts, or fails at in its scripts, fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 950}, base_url=address)
    context.set_default_timeout(PATIENCE_MS)
    window = context.new_page()
    problems = []
    window.on("pageerror", lambda error: problems.append(str(error)))
    window.on("request", lambda request: problems.append(request.url) if not request.url.startswith((address, "data:", "blob:")) else None)
    yield window
    context.close()
    assert problems == [], problems
