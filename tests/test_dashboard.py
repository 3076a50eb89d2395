"""Optuna's dashboard opens a search's storage with the README's command, in a real browser, without a network."""

# ruff: noqa: F811 - a fixture, imported and named again as an argument
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from toy_search import Toy

from tests.chromium import browser, open_window  # noqa: F401
from tests.ports import free_port

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def toy(browser, tmp_path_factory) -> Toy:
    """Return a project with a finished search of two trials; none is made where there is no browser."""
    toy = Toy(tmp_path_factory.mktemp("dashboard") / "project")
    space = toy.space("rates", {"search": {"train.learning_rate": {"choices": [4.0e-3, 8.0e-3]}}})
    toy.search("--study-name", "rates-of-may", "--space", space, "--search-mode", "grid")
    return toy


@pytest.fixture(scope="module")
def address(toy):
    """Return where the dashboard listens, started as the README says but for its port."""
    (command,) = re.findall(r"`\./run (optuna-dashboard [^`]+)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    program, *words = command.split()
    if not shutil.which(program, path=toy.environment["PATH"]):
        pytest.skip("optuna-dashboard is not installed: ./run uv sync --inexact --extra dashboard")
    process = subprocess.Popen([program, *words, "--port", str(free_port())], cwd=toy.folder, env=toy.environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = process.stdout.readline()
    assert said.startswith("Listening on http://127.0.0.1:"), said + process.stdout.read()
    yield said.split()[-1].rstrip("/")
    process.terminate()
    process.communicate()


def test_the_dashboard_shows_the_study_and_its_trials(toy, address, browser):
    board = {row["experiment"].rpartition("-")[2]: row for row in toy.board("rates-of-may")}
    assert sorted(float(row["val_cer"]) for row in board.values()) == [0.301, 0.6021]
    with open_window(browser, address) as page:
        page.goto("/")
        page.get_by_text("rates-of-may").click()
        page.locator("a[href$='/trials']").click()
        page.get_by_text("2 Trials").wait_for()
        for number, row in board.items():
            page.get_by_text(f"Trial {number}", exact=True).first.click()
            page.get_by_text(f"Trial {number} (trial_id=").wait_for()
            shown = page.inner_text("body").partition(f"Trial {number} (trial_id=")[2]
            assert re.search(r"^Complete$", shown, re.MULTILINE)
            assert float(re.search(r"^Value\s+([\d.]+)$", shown, re.MULTILINE)[1]) == float(row["val_cer"])
            assert f"train.learning_rate {float(row['train.learning_rate'])}" in shown


def test_a_look_at_the_storage_leaves_it_fit_for_a_search(toy, address):
    output = toy.search("--study-name", "rates-of-may", "--space", "search/rates.yaml", "--search-mode", "grid")
    assert "2 of 2 trials are there" in output
    assert [row["state"] for row in toy.board("rates-of-may")] == ["complete", "complete"]
