"""Search for the parameters that train best, judged by validation pages alone; each trial is a DVC experiment.

    python -m tools.search --study-name first --space search/conservative.yaml --n-trials 12 --workers 2
    python -m tools.search status --study-name first       # how many trials have ended, the best, the time left
    python -m tools.search report --study-name first       # search/first/leaderboard.md, history.png, importance.png
    python -m tools.search apply --study-name first        # the winner into the workspace; then ./run dvc repro reads the test split

The same command goes on with a study that was stopped or killed; started again elsewhere on the same
storage, it helps. A trial trains up to `train` and no further: the test split stays locked.
"""

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)
FOLDER = Path("search")
StudyName = Annotated[str, typer.Option(help="begins the names of the experiments; the same name goes on with the same study")]
Storage = Annotated[str, typer.Option(envvar="OCRTUNE_SEARCH_STORAGE", help="any Optuna URL; a server's for several machines")]
WORKER = "OCRTUNE_SEARCH_WORKER"  # set for a process that another one started: that one reports
STORAGE = f"sqlite:///{FOLDER}/studies.db"


class Mode(StrEnum):
    """How the next trial is chosen."""

    bayesian = "bayesian"
    grid = "grid"
    random = "random"


def check_ready(space_file: Path):
    """Return space and params, all that is wrong with them named at once; a `ValueError` where trials would not start alike."""
    import json
    import subprocess
    import sys

    from ocrtune.params.load import read_params
    from ocrtune.rows import read_rows
    from ocrtune.search.space import read_space, space_problems

    space, params = read_space(space_file), read_params()
    found = space_problems(space, params)
    if found:
        raise ValueError("\n  ".join([f"{space_file} has problems:", *found]))
    done = subprocess.run([sys.executable, "-m", "dvc", "status", "--json", "--with-deps", "split"], capture_output=True, text=True)
    if done.returncode or json.loads(done.stdout or "{}"):
        why = done.stderr.strip() if done.returncode else "stages up to split would run again in every trial"
        raise ValueError(f"the splits are not ready: {why}; run `./run dvc repro --pull split` and commit first")
    if not read_rows(Path("data/splits/val.jsonl")):
        raise ValueError("data/splits/val.jsonl: no pages to judge a trial by; raise split.val or add documents")
    return space, params


def run_trial(study, trial, space, params: dict, logs: Path, turn) -> float:
    """Run a trial's experiment and return the CER of the weights that it kept; a hopeless one raises `TrialPruned`."""
    import optuna

    from ocrtune.search.experiments import ExperimentError, read_figures, run_experiment
    from ocrtune.search.space import overrides, suggest
    from ocrtune.search.study import experiment_name, mark_process

    mark_process(trial)
    values = suggest(trial, space)
    trial.set_user_attr("values", values)
    name = experiment_name(study, trial.number)
    print(f"{name}: {', '.join(f'{path}={value}' for path, value in values.items())}", flush=True)

    def watch(step: int, cer: float) -> bool:
        trial.report(cer, step)
        return trial.should_prune()

    try:
        whole = run_experiment(name, overrides(params, {**space.hold, **values}), logs / f"{name}.log", watch, turn.give_back)
        if not whole:
            print(f"{name}: ended early", flush=True)
            raise optuna.TrialPruned
        figures = read_figures(name)
        if "best_val_cer" not in figures:
            raise ExperimentError(f"experiment {name}: its training read no validation pages; set train.early_stopping")
    except ExperimentError as error:
        trial.set_user_attr("error", str(error))
        raise
    trial.set_user_attr("step", figures["best_step"])
    print(f"{name}: CER {figures['best_val_cer']:.4f} on validation pages, after step {figures['best_step']}", flush=True)
    return figures["best_val_cer"]


def work(study, space, params: dict, logs: Path, n_trials: int, sampler_for: Callable) -> None:
    """Run trials until the study has `n_trials`; other processes may work on the same study.

    `sampler_for(place)` returns what draws the values of the study's trial at that place.
    """
    from optuna.trial import TrialState

    from ocrtune.search.experiments import ExperimentError, stop_experiment, take_turn
    from ocrtune.search.report import write_board
    from ocrtune.search.study import experiment_name, num_taken, take_up

    while True:
        # The turn is held until the trial's experiment has begun: trials are counted exactly, and started one by one.
        with take_turn(Path(".dvc/tmp/search.turn")) as turn:
            for number in take_up(study):
                stop_experiment(experiment_name(study, number))
                print(f"{experiment_name(study, number)}: was cut off; it runs again and goes on from its last checkpoint", flush=True)
            write_board(study, FOLDER / study.study_name)
            if (place := num_taken(study)) >= n_trials:
                return
            study.sampler = sampler_for(place)
            study.optimize(lambda trial: run_trial(study, trial, space, params, logs, turn), n_trials=1, catch=(ExperimentError,))
        last = study.get_trials(deepcopy=False)
        errors = [trial.user_attrs["error"] for trial in last if "error" in trial.user_attrs]
        if errors and not any(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in last):
            raise ExperimentError(f"{errors[-1]}\nno trial has come to its end yet, so the search stops here")


def search(name: str, space_file: Path, mode: str, n_trials: int, workers: int, storage: str, prune: bool, seed: int | None) -> None:
    """Run a study to `n_trials` trials, in this process or in `workers` of them, and write its report."""
    import subprocess
    import sys

    from ocrtune.search.report import write_report
    from ocrtune.search.space import grid_points, values_now
    from ocrtune.search.study import (
        begin_study,
        best_trial,
        build_pruner,
        build_sampler,
        experiment_name,
        num_taken,
        open_storage,
        pages_digest,
    )

    space, params = check_ready(space_file)
    if mode == "grid":
        n_trials = min(n_trials, sum(1 for _ in grid_points(space)))

    def sampler_for(place: int):  # seeds by process would draw again what was drawn before a stop, or by who helps
        return build_sampler(mode, space, n_trials, None if seed is None else seed + place)

    first = None if mode == "grid" else values_now(space, params)
    study = begin_study(name, open_storage(storage), space, pages_digest(Path("dvc.lock")), sampler_for(0), build_pruner(prune), first)
    study.set_user_attr("n_trials", n_trials)
    if WORKER in os.environ:
        return work(study, space, params, FOLDER / "logs" / name, n_trials, sampler_for)
    print(f"study {name}: {num_taken(study)} of {n_trials} trials are there; stop it at any time, the same command goes on", flush=True)
    if workers > 1:
        command = [sys.executable, "-m", "tools.search", "--study-name", name, "--space", str(space_file), "--search-mode", mode,
                   "--n-trials", str(n_trials), "--prune" if prune else "--no-prune", *([] if seed is None else ["--seed", str(seed)])]
        environment = os.environ | {WORKER: "1", "OCRTUNE_SEARCH_STORAGE": storage}  # not among the words: a URL may hold a password
        running = [subprocess.Popen(command, env=environment) for _ in range(workers)]
        try:
            failed = [process.pid for process in running if process.wait()]
        except BaseException:
            for process in running:
                process.terminate()
                process.wait()
            raise
        if failed:
            raise ValueError(f"{len(failed)} of {workers} workers failed; what they say stands above")
    else:
        work(study, space, params, FOLDER / "logs" / name, n_trials, sampler_for)
    best = best_trial(study)
    for file in write_report(study, FOLDER / name):
        print(f"wrote {file}")
    print(f"best: {experiment_name(study, best.number)}, CER {best.value:.4f} on validation pages; "
          f"./run python -m tools.search apply --study-name {name}")


def interrupt_once() -> None:
    """Treat a polite kill like Ctrl-C: the trial's processes are ended, and the trial runs again next time.

    A terminal's Ctrl-C reaches workers twice, by itself and through the process that started them: the second would
    interrupt what tidies up.
    """
    import signal

    def interrupt(signum, frame):
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, interrupt)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    study_name: StudyName = "search",
    space: Annotated[Path, typer.Option(help="what is searched: aggressive.yaml, conservative.yaml, grid.yaml or your own")]
    = FOLDER / "conservative.yaml",
    search_mode: Annotated[Mode, typer.Option(help="how the next trial is chosen")] = Mode.bayesian,
    n_trials: Annotated[int, typer.Option(min=1, help="trials in all, those of earlier runs included")] = 20,
    workers: Annotated[int, typer.Option(min=1, help="trials at once on this machine; with several GPUs each takes one of its own")] = 1,
    storage: Storage = STORAGE,
    prune: Annotated[bool | None, typer.Option(help="end hopeless trials early; --search-mode grid does not unless told to")] = None,
    seed: Annotated[int | None, typer.Option(help="of the draws; the same trials again, with one worker")] = None,
) -> None:
    """Search for the parameters that train best, judged by validation pages alone."""
    from ocrtune.params.load import report_errors

    if context.invoked_subcommand:
        return
    interrupt_once()
    prune = search_mode != Mode.grid if prune is None else prune
    with report_errors():
        try:
            search(study_name, space, search_mode.value, n_trials, workers, storage, prune, seed)
        except KeyboardInterrupt:
            raise SystemExit(1 if WORKER in os.environ else "stopped; the same command goes on") from None


@app.command()
def status(study_name: StudyName = "search", storage: Storage = STORAGE) -> None:
    """Say how far a study is; search/<study>/leaderboard.md has the trials, anew after each."""
    from ocrtune.params.load import report_errors

    with report_errors():
        from ocrtune.search.study import load_study, open_storage, say_progress

        print(f"study {study_name}: {say_progress(load_study(study_name, open_storage(storage)))}")


@app.command()
def report(study_name: StudyName = "search", storage: Storage = STORAGE) -> None:
    """Write leaderboard, history and importance of a study, finished or not."""
    from ocrtune.params.load import report_errors

    with report_errors():
        from ocrtune.search.report import write_report
        from ocrtune.search.study import load_study, open_storage

        for file in write_report(load_study(study_name, open_storage(storage)), FOLDER / study_name):
            print(f"wrote {file}")


@app.command()
def apply(study_name: StudyName = "search", storage: Storage = STORAGE) -> None:
    """Put the winner's parameters and adapter into the workspace; `dvc repro` then merges it and reads the test split."""
    from ocrtune.params.load import report_errors

    with report_errors():
        from ocrtune.params.load import PARAMS
        from ocrtune.search.study import load_study, open_storage
        from ocrtune.search.winner import apply_winner

        print(f"applied {apply_winner(load_study(study_name, open_storage(storage)), PARAMS)}; now: ./run dvc repro")


if __name__ == "__main__":
    app()
