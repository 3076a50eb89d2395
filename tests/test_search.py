"""A search end to end: real DVC experiments, real processes, one storage; a training that is arithmetic."""

import copy
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import yaml
from toy_search import Toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Toy:
    return Toy(tmp_path_factory.mktemp("search") / "project")


def wait_for(condition, seconds: float = 900):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)
    return found


def test_a_grid_is_searched_by_two_workers_and_its_winner_applied(toy):
    space = toy.space("rates", {"hold": {"train.weight_decay": 0.1},
                                "search": {"train.learning_rate": {"choices": [1.0e-3, 2.0e-3, 4.0e-3]}}})
    words = ("--study-name", "first", "--space", space, "--search-mode", "grid", "--seed", "1")
    output = toy.search(*words, "--workers", "2")
    rows = toy.board("first")
    assert [(row["state"], float(row["train.learning_rate"])) for row in rows[:1]] == [("complete", 2e-3)]
    assert sorted(float(row["train.learning_rate"]) for row in rows) == [1e-3, 2e-3, 4e-3]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["val_cer"] == "0.0000"
    assert (toy.folder / "search/first/history.png").read_bytes()[:4] == b"\x89PNG"
    best = rows[0]["experiment"]
    assert output.count("study first: ") == output.count("leaderboard.md") == output.count("best: ") == 1  # workers leave that to the first
    assert f"best: {best}, CER 0.0000" in output
    assert {row["experiment"] for row in rows} <= set(toy.run("dvc", "exp", "list", "--name-only").split())

    assert "study first: 3 of 3 trials have ended, 0 running, best CER 0.0000" in toy.search("status", "--study-name", "first")
    assert "3 of 3 trials are there" in toy.search(*words)  # the same command again runs nothing
    assert len(toy.board("first")) == 3
    assert toy.workspaces() == []

    before = (toy.folder / "params.yaml").read_text(encoding="utf-8")
    assert f"applied {best}" in toy.search("apply", "--study-name", "first")
    assert not (toy.folder / "data/test_was_read").exists()
    after = yaml.safe_load((toy.folder / "params.yaml").read_text(encoding="utf-8"))
    assert (after["train"]["learning_rate"], after["train"]["weight_decay"]) == (2e-3, 0.1)
    changed = [line for line in (toy.folder / "params.yaml").read_text(encoding="utf-8").splitlines() if line not in before.splitlines()]
    assert changed == ["  learning_rate: 0.002", "  weight_decay: 0.1"] or changed == ["  weight_decay: 0.1"]  # a person's file, still
    assert (toy.folder / "search/logs/first" / f"{best}.log").is_file()
    assert re.findall(r"Running stage '(\w+)'", toy.run("dvc", "repro")) == ["evaluate"]  # the winner's training is not run again
    toy.run("git", "checkout", "-q", "params.yaml")
    toy.run("git", "checkout", "-q", "dvc.lock")


def test_a_winner_that_ran_elsewhere_is_fetched(toy, tmp_path):
    """As on a second machine with the same storage and a clone of its own."""
    toy.run("git", "clone", "-q", ".", str(tmp_path / "clone"))
    other = copy.copy(toy)
    other.folder = tmp_path / "clone"
    (board,) = {row["experiment"] for row in toy.board("first") if row["rank"] == "1"}
    output = other.search("apply", "--study-name", "first", "--storage", f"sqlite:///{toy.folder}/search/studies.db", ok=False)
    assert f"experiment {board} is not in this clone, it ran on {socket.gethostname()}; there `./run dvc exp push origin {board}`" in output


def test_a_killed_search_goes_on_where_it_was(toy):
    space = toy.space("one", {"search": {"train.learning_rate": {"range": [2.1e-3, 3.0e-3]}}})  # today's 2e-3 is not in it: drawn
    words = ("--study-name", "killed", "--space", space, "--search-mode", "random", "--seed", "3", "--n-trials")
    process = subprocess.Popen([sys.executable, "-m", "tools.search", *words, "1"], cwd=toy.folder, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=toy.environment | {"TOY_PAUSE": "60"})
    (step,) = wait_for(lambda: [file for file in toy.folder.glob(".checkpoints/*/step") if file.read_text() == "1"])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    rate = float(step.parent.name)
    output = toy.search(*words, "1")
    assert "killed-0: was cut off; it runs again" in output
    assert "killed-1: CER" in output
    (row,) = toy.board("killed")
    assert float(row["train.learning_rate"]) == rate
    assert "goes on from step 1" in (toy.folder / "search/logs/killed/killed-1.log").read_text()
    assert "killed-0" not in toy.run("dvc", "exp", "list", "--name-only")
    assert toy.workspaces() == []
    toy.search(*words, "2")
    rates = {float(row["train.learning_rate"]) for row in toy.board("killed")}
    assert rate in rates and len(rates) == 2  # the same seed, and yet not the same draw again


def test_an_interrupt_tidies_up(toy):
    space = toy.space("two", {"search": {"train.learning_rate": {"choices": [5.0e-3, 6.0e-3]}}})
    process = subprocess.Popen([sys.executable, "-m", "tools.search", "--study-name", "ctrl-c", "--space", space, "--search-mode", "grid",
                                "--workers", "2"],
                               cwd=toy.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                               env=toy.environment | {"TOY_PAUSE": "60"})
    wait_for(lambda: all(toy.folder.joinpath(".checkpoints", rate, "step").is_file() for rate in ("0.005", "0.006"))
             or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.count("stopped; the same command goes on") == 1, output
    assert "Traceback" not in output
    assert toy.workspaces() == []


def test_a_hopeless_experiment_is_ended_and_tidied(toy, monkeypatch):
    from ocrtune.search.experiments import run_experiment

    monkeypatch.chdir(toy.folder)
    for name, value in (toy.environment | {"TOY_PAUSE": "60"}).items():
        monkeypatch.setenv(name, value)
    heard, started = [], []
    log = toy.folder / "search/pruned.log"
    assert not run_experiment("hopeless", ["train.learning_rate=0.3"], log, lambda step, cer: heard.append((step, cer)) or True,
                              lambda: started.append(1))
    assert heard == [(1, 2.2061)]
    assert started == [1]
    assert not (toy.folder / ".checkpoints/0.3").exists()
    assert toy.workspaces() == []
    assert "hopeless" not in toy.run("dvc", "exp", "list", "--name-only")


def test_a_search_whose_trials_all_fail_says_why_and_fails(toy):
    space = toy.space("bad", {"search": {"train.learning_rate": {"choices": [0.5]}}})
    output = toy.search("--study-name", "bad", "--space", space, "--n-trials", "3", ok=False)
    assert "the optimizer blew up" in output
    assert "Trial 0 failed" not in output
    assert "no trial has come to its end yet" in output
    assert "Traceback (most recent call last):\n  File \"<frozen" not in output.split("error:")[-1].split("the end of")[0]


def test_what_can_not_be_searched_is_refused_before_the_first_trial(toy):
    space = toy.space("typo", {"search": {"train.lora.alhpa": {"choices": [1]}, "train.mode": {"choices": ["eyes"]}}})
    output = toy.search("--study-name", "typo", "--space", space, ok=False)
    assert "train.lora.alhpa: unknown" in output
    assert "train.mode: 'eyes'" in output
    fine = toy.space("fine", {"search": {"train.learning_rate": {"choices": [1.0e-3]}}})
    assert "letters, digits" in toy.search("--study-name", "a/b", "--space", fine, ok=False)
    assert "no such study; there are: " in toy.search("apply", "--study-name", "nobody", ok=False)
    assert "can't be opened: Can't load plugin" in toy.search("--space", fine, "--storage", "nobody://host/x", ok=False)
    output = toy.search("--space", fine, "--storage", "oracle://me:secret@host/x", ok=False)
    assert "secret" not in output and "its driver is not installed; run `./run uv pip install 'oracledb'`" in output
    assert "its space was another" in toy.search("--study-name", "first", "--space", fine, ok=False)
    pages = toy.folder / "data/pages/pages.jsonl"
    pages.write_text("2")  # stages before split count, too
    assert "stages up to split would run again in every trial" in toy.search("--study-name", "fresh", "--space", fine, ok=False)
    pages.write_text("1\n")
    lock = (toy.folder / "dvc.lock").read_text()
    (toy.folder / "dvc.lock").unlink()
    assert "the splits are not ready" in toy.search("--study-name", "fresh", "--space", fine, ok=False)
    (toy.folder / "dvc.lock").write_text(lock)


def test_importance_and_the_pruner_need_some_trials(tmp_path):
    import optuna

    from ocrtune.search.report import board_rows, write_report
    from ocrtune.search.space import Space, read_space
    from ocrtune.search.study import begin_study, best_trial, build_pruner, build_sampler, num_taken, open_storage

    (tmp_path / "space.yaml").write_text("search: {train.learning_rate: {range: [0.0, 1.0]}, train.seed: {choices: [1, 2]}}")
    space: Space = read_space(tmp_path / "space.yaml")
    storage = open_storage(f"sqlite:///{tmp_path}/deep/studies.db")
    today = {"train.learning_rate": 0.5, "train.seed": 2}
    for _ in range(2):  # the second time it goes on, and begins nothing anew
        study = begin_study("s", storage, space, "pages", build_sampler("bayesian", space, 12, 0), build_pruner(True), today)

    def objective(trial):
        rate, _ = trial.suggest_float("train.learning_rate", 0.0, 1.0), trial.suggest_categorical("train.seed", [1, 2])
        trial.report(1.0 if trial.number == 11 else rate, 1)
        if trial.should_prune():
            raise optuna.TrialPruned
        trial.set_user_attr("step", 1)
        return rate

    study.optimize(objective, n_trials=12)
    assert [trial.params == today for trial in study.trials] == [True] + [False] * 11
    rows = board_rows(study)
    assert rows[0]["val_cer"] == f"{min(trial.value for trial in study.trials if trial.value is not None and trial.number != 11):.4f}"
    assert any(row["state"] == "pruned" and row["experiment"] == "s-11" for row in rows)
    assert best_trial(study).value == min(float(trial.value) for trial in study.trials if trial.state.name == "COMPLETE")
    assert num_taken(study) == 12
    files = write_report(study, tmp_path / "out")
    assert [file.name for file in files] == ["leaderboard.csv", "leaderboard.md", "history.png", "importance.png"]
    assert "s-0 has the values of params.yaml as the search found them" in (tmp_path / "out/leaderboard.md").read_text(encoding="utf-8")
    first = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in write_report(study, tmp_path / "out")] == first
    with pytest.raises(ValueError, match="validation pages were others"):
        begin_study("s", storage, space, "other pages", study.sampler, study.pruner)
    assert json.loads(json.dumps(study.user_attrs["space"]))["search"].keys() == {"train.learning_rate", "train.seed"}
