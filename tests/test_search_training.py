"""A search of real trainings: each trial is a DVC experiment of stage `train`, and one that learns nothing is ended early."""

import itertools
import json
import re
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState
from team import Person, begin_small_project, stages_run

from ocrtune.search.space import Dimension, Space, suggest
from ocrtune.search.study import build_sampler, open_storage

pytestmark = pytest.mark.slow
STEPS, WORKERS = 16, 2
RATE, HOPELESS = "train.learning_rate", 1.0e-12
SEARCH = "python -m tools.search --study-name real --space search/rates.yaml --search-mode grid --prune"


def make_space() -> dict:
    """Return a space of which the search draws the hopeless rate last: it is compared with four that have come to their end."""
    rates = [2.0e-2, 1.5e-2, 1.0e-2, 8.0e-3]
    for place in range(len(rates) + 1):
        choices = [*rates[:place], HOPELESS, *rates[place:]]
        space, drawn = Space(search={RATE: Dimension(choices=choices)}), []
        study = optuna.create_study(sampler=build_sampler("grid", space, len(choices), None))
        study.optimize(lambda trial: drawn.append(suggest(trial, space)[RATE]) or 1.0, n_trials=len(choices))  # noqa: B023
        if drawn[-1] == HOPELESS:
            return {"hold": {"train.schedule": "constant"}, "search": {RATE: {"choices": choices}}}
    raise AssertionError("no place is the last one")


@pytest.fixture(scope="module")
def searched(built_student, tmp_path_factory):
    """Return somebody whose project has been searched, four trials and then one more, and the trials."""
    person = begin_small_project(tmp_path_factory.mktemp("searched"), built_student)
    file = person.folder / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    params["train"] |= {"max_steps": STEPS, "early_stopping": {"eval_steps": 2, "num_pages": 4, "patience": STEPS}}
    params["students"]["tiny"]["max_new_tokens"] = 24
    file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (person.folder / "search/rates.yaml").write_text(yaml.safe_dump(make_space()), encoding="utf-8")
    person.run("git init -q && dvc init -q && dvc repro -q split && git add -A && git commit -qm begin")
    person.run(f"{SEARCH} --n-trials 4 --workers {WORKERS}")
    person.run(f"{SEARCH} --n-trials 5")
    study = optuna.load_study(study_name="real", storage=open_storage(f"sqlite:///{person.folder}/search/studies.db"))
    return person, study.trials


def predictions(person: Person) -> list[Path]:
    """Return what `evaluate` has written; DVC makes the folders for it when it applies an experiment."""
    return [path for path in (person.folder / "data/predictions").rglob("*") if path.is_file()]


def log_of(person: Person, trial) -> str:
    return (person.folder / f"search/logs/real/real-{trial.number}.log").read_text(encoding="utf-8")


def test_trials_train_side_by_side_and_each_is_an_experiment(searched):
    person, trials = searched
    *good, _ = trials
    assert [trial.state for trial in good] == [TrialState.COMPLETE] * 4
    assert sorted(trial.params[RATE] for trial in good) == [8.0e-3, 1.0e-2, 1.5e-2, 2.0e-2]
    assert len({trial.user_attrs["process"][1] for trial in good}) == WORKERS
    assert any(one.datetime_start < two.datetime_start < one.datetime_complete for one, two in itertools.permutations(good, 2))
    for trial in good:
        assert list(trial.intermediate_values) == list(range(2, STEPS + 1, 2))
        assert trial.value == min(trial.intermediate_values.values()) < 1
    assert set(person.run("dvc exp list --name-only").split()) == {f"real-{trial.number}" for trial in good}


def test_a_training_that_learns_nothing_is_ended_before_its_last_step(searched):
    person, (*good, hopeless) = searched
    assert (hopeless.state, hopeless.params) == (TrialState.PRUNED, {RATE: HOPELESS})
    assert 2 <= max(hopeless.intermediate_values) < STEPS
    log = log_of(person, hopeless)
    assert "best after step" in log_of(person, good[0]) and "best after step" not in log
    assert not Path(re.search(r"^checkpoints: (.+)$", log, re.MULTILINE)[1]).exists()
    assert not list((person.folder / ".dvc/tmp/exps/standalone").glob("tmp*"))


def test_no_trial_reads_the_test_split(searched):
    person, (*good, hopeless) = searched
    for trial in (*good, hopeless):
        assert stages_run(log_of(person, trial)) == ["train"]
    for trial in good:
        (ref,) = person.run(f"git for-each-ref --format='%(refname)' 'refs/exps/*/*/real-{trial.number}'").split()
        lock = yaml.safe_load(person.run(f"git show {ref}:dvc.lock"))
        assert sorted(lock["stages"]) == ["crawl", "pdf2img", "split", "teacher_label", "train"]
    assert (person.folder / "data/splits/test.jsonl").stat().st_size > 0
    assert predictions(person) == []


def test_the_winner_is_applied_with_its_adapter(searched):
    person, (*good, _) = searched
    best = min(good, key=lambda trial: (trial.value, trial.number))
    assert f"applied real-{best.number}, CER {best.value:.4f}" in person.run("python -m tools.search apply --study-name real")
    train = yaml.safe_load((person.folder / "params.yaml").read_text(encoding="utf-8"))["train"]
    assert (train["learning_rate"], train["schedule"]) == (best.params[RATE], "constant")
    assert json.loads((person.folder / "metrics/train/metrics.json").read_text())["best_val_cer"] == best.value
    assert (person.folder / "models/adapter/adapter_model.safetensors").is_file()
    assert stages_run(person.run("dvc repro train")) == []  # what was applied is what would be trained
    assert predictions(person) == []
