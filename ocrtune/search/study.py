"""Keep a search in Optuna's storage: begin or continue a study, draw trials, end hopeless ones, take up what a kill left behind."""

import hashlib
import json
import os
import re
import socket
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from ocrtune.search.space import Space, grid_of

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # it becomes part of the names of DVC experiments, which are git references
DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}  # packages that bear other names
HEARTBEAT_S, GRACE_S = 60, 300  # a worker on another machine that was silent for that long is taken for dead

optuna.logging.set_verbosity(optuna.logging.ERROR)  # a warning of its own is a stopped trial's traceback; we say in a line what failed
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # the heartbeat has been one for years


def build_sampler(mode: str, space: Space, n_trials: int, seed: int | None) -> optuna.samplers.BaseSampler:
    """Return what draws the trials: TPE (bayesian), every combination (grid) or uniform draws (random)."""
    if mode == "grid":
        # A trial takes the combination at its number, in an order by this seed: another one in another process would leave some out.
        return optuna.samplers.GridSampler(grid_of(space), seed=0)
    if mode == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    # Before it can guess, TPE needs some trials drawn blindly: Optuna's ten are half of our twenty.
    return optuna.samplers.TPESampler(n_startup_trials=max(4, n_trials // 4), seed=seed)


def build_pruner(prune: bool) -> optuna.pruners.BasePruner:
    """Return what ends trials: those above the median of the others at the same step, once four have run to their end."""
    return optuna.pruners.MedianPruner(n_startup_trials=4, n_min_trials=3) if prune else optuna.pruners.NopPruner()


def open_storage(url: str) -> optuna.storages.BaseStorage:
    """Return the storage at an Optuna URL; several processes and machines may use it at once.

    A URL that can't be opened is a `ValueError`.
    """
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    options = {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=options, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S,
                                          heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback())
    except Exception as error:  # of SQLAlchemy, its drivers, or an import of one of them
        absent = getattr(error.__cause__, "name", None) if isinstance(error, ImportError) else None
        why = f"its driver is not installed; run `./run uv pip install '{DRIVERS.get(absent, absent)}'`" if absent \
            else str(error).splitlines()[0]
        raise ValueError(f"--storage {url.partition('@')[2] or url}: can't be opened: {why}") from None


def begin_study(name: str, storage: optuna.storages.BaseStorage, space: Space, judged_by: str, sampler, pruner,
                first: Mapping[str, Any] | None = None) -> optuna.Study:
    """Return the study of that name, new or continued; a `ValueError` where its trials could not be compared with new ones.

    `judged_by` is a hash of the validation pages. A new study begins with the values in `first`, where they are given.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"--study-name {name!r}: letters, digits, - and _ only: it becomes part of experiments' names")
    study = optuna.create_study(study_name=name, storage=storage, direction="minimize", load_if_exists=True, sampler=sampler, pruner=pruner)
    if first and "space" not in study.user_attrs:
        study.enqueue_trial(dict(first), user_attrs={"as_it_was": True})
    facts = {"space": json.loads(space.model_dump_json()), "judged_by": judged_by}
    for fact, value in facts.items():
        known = study.user_attrs.get(fact)
        if known is None:
            study.set_user_attr(fact, value)
        elif known != value:
            what = {"space": "its space was another", "judged_by": "its validation pages were others"}[fact]
            raise ValueError(f"--study-name {name}: {what}: its trials can't be compared with new ones; choose another name")
    return study


def load_study(name: str, storage: optuna.storages.BaseStorage) -> optuna.Study:
    """Return a study that is there; a `ValueError` naming those that are."""
    known = sorted(optuna.get_all_study_names(storage))
    if name not in known:
        raise ValueError(f"--study-name {name}: no such study; there are: {', '.join(known) or 'none'}")
    return optuna.load_study(study_name=name, storage=storage)


def mark_process(trial: optuna.Trial) -> None:
    """Say in the storage which process runs a trial."""
    import psutil

    trial.set_user_attr("process", [socket.gethostname(), os.getpid(), psutil.Process().create_time()])


def is_abandoned(trial: FrozenTrial) -> bool:
    """Return whether a trial counts as running while the process of this machine that ran it has gone."""
    import psutil

    if trial.state != TrialState.RUNNING or "process" not in trial.user_attrs:
        return False
    host, pid, created = trial.user_attrs["process"]
    if host != socket.gethostname():
        return False  # the heartbeat tells
    try:
        return abs(psutil.Process(pid).create_time() - created) > 1
    except psutil.NoSuchProcess:
        return True


def take_up(study: optuna.Study) -> list[int]:
    """Put the trials that a killed process left back into the queue, with the values they had, and return their numbers.

    Their training goes on from its last checkpoint.
    """
    taken = []
    for trial in study.get_trials(deepcopy=False):
        if is_abandoned(trial):
            study.tell(trial.number, state=TrialState.FAIL)
            optuna.storages.RetryHeartbeatStaleTrialCallback()(study, trial)
            taken.append(trial.number)
    return taken


def num_taken(study: optuna.Study) -> int:
    """Return how many trials have run, failed by themselves, or run now; those cut off by a kill are run again and not counted."""
    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING) or "error" in trial.user_attrs
               for trial in study.get_trials(deepcopy=False))


def say_progress(study: optuna.Study) -> str:
    """Return how far a study is: trials of those that were last asked for, the best CER, the time that the others may take."""
    trials, wanted = study.get_trials(deepcopy=False), study.user_attrs.get("n_trials", 0)
    running = sum(trial.state == TrialState.RUNNING and not is_abandoned(trial) for trial in trials)
    ended = num_taken(study) - sum(trial.state == TrialState.RUNNING for trial in trials)
    said = [f"{ended} of {max(wanted, ended)} trials have ended, {running} running"]
    complete = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
    if complete:
        said.append(f"best CER {min(complete):.4f}")
    seconds = [trial.duration.total_seconds() for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if seconds and running and ended < wanted:
        said.append(f"about {sum(seconds) / len(seconds) * (wanted - ended) / running / 60:.0f} min left")
    return ", ".join(said)


def best_trial(study: optuna.Study) -> FrozenTrial:
    """Return the trial with the lowest CER on the validation pages, the earlier of equals; a `ValueError` where none is complete."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise ValueError(f"--study-name {study.study_name}: no trial is complete yet")
    return min(complete, key=lambda trial: (trial.value, trial.number))


def experiment_name(study: optuna.Study, number: int) -> str:
    """Return the name of a trial's DVC experiment."""
    return f"{study.study_name}-{number}"


def pages_digest(lock: Path) -> str:
    """Return a hash of the pages and splits that dvc.lock tells of: trials judged by others can't be compared."""
    import yaml

    try:
        stages = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"]
        outs = [out["md5"] for stage in ("pdf2img", "split") for out in stages[stage]["outs"]]
    except (FileNotFoundError, KeyError, TypeError):
        raise ValueError(f"{lock}: tells of no splits yet; run `dvc repro split` and commit first") from None
    return hashlib.sha256(json.dumps(outs).encode()).hexdigest()[:16]
