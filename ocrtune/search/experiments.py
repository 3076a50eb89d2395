"""Run a DVC experiment in a workspace of its own up to `train`, watching what it reads of the validation pages."""

import csv
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ocrtune.training.checkpoint_lock import discard_checkpoints

READINGS = Path("metrics/train/plots/metrics/val_cer.tsv")
FIGURES = "metrics/train/metrics.json"
STAGE = "train"
WORKSPACES = ".dvc/tmp/exps/standalone"
COMMAND = ("-m", "dvc", "exp", "run", "--temp", "-n")
POLL_S = 1.0
LOCKED, LOCK_TRIES, LOCK_WAIT_S = b"Unable to acquire lock", 10, 3.0
BEGUN = re.compile(rb"Running stage '|Stage '.+' (didn't change|is cached)")
LAST_LINES = 12  # of a failed experiment's log, shown to the user


class ExperimentError(ValueError):
    """An experiment that failed: its name, its last words, and where all of them stand."""


class Turn:
    """The right to start something, given back once."""

    def __init__(self, file):
        self.file = file

    def give_back(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_UN)


@contextmanager
def take_turn(file: Path) -> Iterator[Turn]:
    """Wait for the turn to start, among all processes that name this file; the end of the block gives it back.

    Two `dvc exp run --temp` that set up their workspaces at once get in each other's way.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield Turn(handle)


def read_cers(folder: Path) -> list[tuple[int, float]]:
    """Return (step, CER on validation pages) as DVCLive has written them so far; the line being written is left for later."""
    try:
        lines = (folder / READINGS).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    rows = csv.DictReader([line for line in lines if line.endswith("\n")], delimiter="\t")
    return [(int(row["step"]), float(row["val_cer"])) for row in rows]


def find_training(process: subprocess.Popen):
    """Return the stage's own process below a running `dvc exp run`, or None where it has not begun or has ended."""
    import psutil

    try:
        for child in psutil.Process(process.pid).children(recursive=True):
            words = child.cmdline()
            if words[1:3] == ["-m", f"stages.{STAGE}"]:
                return child
    except psutil.Error:
        pass
    return None


def stop_tree(pid: int) -> None:
    """End a `dvc exp run --temp` and all below it, and remove its workspace: dvc alone would leave its stage behind."""
    import psutil

    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
        workspaces = {cwd for child in family if (cwd := with_process(child.cwd)) and Path(cwd).parent.match(WORKSPACES)}
    except psutil.NoSuchProcess:
        return
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for member in family:
            with_process(member.send_signal, signum)
        _, family = psutil.wait_procs(family, timeout=10)
    for workspace in workspaces:
        shutil.rmtree(workspace, ignore_errors=True)


def stop_experiment(name: str) -> None:
    """End what a killed search left running: an experiment of this name, begun in this folder."""
    import psutil

    for process in psutil.process_iter():
        words = with_process(process.cmdline) or []
        if words[1 : 1 + len(COMMAND) + 1] == [*COMMAND, name]:
            folder = with_process(process.cwd)  # ours, or the experiment's workspace within: DVC goes there
            if folder and Path(folder).is_relative_to(Path.cwd()):
                stop_tree(process.pid)


def with_process(call: Callable, *arguments: object):
    """Return what a call on a process gives, or None where the process has gone."""
    import psutil

    try:
        return call(*arguments)
    except psutil.Error:
        return None


def run_experiment(name: str, settings: Sequence[str], log: Path, watch: Callable[[int, float], bool], started: Callable[[], None]) -> bool:
    """Run the experiment `name` with the values of -S up to `train`; return False where `watch` ended it.

    `watch(step, cer)` hears of each reading of validation pages and returns True to end the training there.
    `started()` is called once DVC has set its workspace up. What the stages print goes to `log`.
    """
    for _ in range(LOCK_TRIES):
        returncode, ended = follow(start_experiment(name, settings, log), log, watch, started)
        if ended:
            remove_checkpoints(log)
        if ended or not returncode:
            return not ended
        if LOCKED not in log.read_bytes():  # what a person's own dvc command holds for a moment; a finished training is not lost
            break
        time.sleep(LOCK_WAIT_S)
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").splitlines()
    words_at_end = "\n".join(f"    {line}" for line in [line for line in lines if line.strip()][-LAST_LINES:])
    raise ExperimentError(f"experiment {name} failed; the end of {log}:\n{words_at_end}")


def start_experiment(name: str, settings: Sequence[str], log: Path) -> subprocess.Popen:
    """Start `dvc exp run`, in a session of its own: an interrupt is for us to pass on, children first."""
    words = [sys.executable, *COMMAND, name]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen([*words, *(word for setting in settings for word in ("-S", setting)), STAGE],
                                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True)


def follow(process: subprocess.Popen, log: Path, watch: Callable[[int, float], bool], started: Callable[[], None]) -> tuple[int, bool]:
    """Follow a running experiment to its end; return its exit status, and whether `watch` ended its training."""
    training, heard, has_started, ended = None, 0, False, False
    try:
        while process.poll() is None:
            time.sleep(POLL_S)
            if not has_started and BEGUN.search(log.read_bytes()):
                has_started = True
                started()
            training = training or find_training(process)
            folder = training and not ended and with_process(training.cwd)
            readings = read_cers(Path(folder)) if folder else []
            for step, cer in readings[heard:]:
                if not ended and watch(step, cer):
                    ended = True
                    with_process(training.terminate)  # the stage fails, and DVC tidies its workspace up
            heard = max(heard, len(readings))
    except BaseException:
        stop_tree(process.pid)
        process.wait()
        raise
    return process.returncode, ended


def remove_checkpoints(log: Path) -> None:
    """Remove the checkpoints of a training that nobody will go on with, unless its twin does; its log says where they are."""
    found = re.search(rb"^checkpoints: (.+)$", log.read_bytes(), re.MULTILINE)
    if found:
        discard_checkpoints(Path(os.fsdecode(found[1].strip())))


def apply_experiment(name: str, host: str | None = None) -> None:
    """Put an experiment's parameters and what its training wrote into the workspace; a `ValueError` where DVC can't.

    `host` is the machine that ran it, from whose clone it may have to be fetched.

    `dvc exp apply` complains where a stage after `train` has never run, for it finds no hash of its outs, and
    has applied everything by then but the outs: those of `train` are fetched by themselves.
    """
    for words in (["exp", "apply", name], ["checkout", "--force", STAGE]):
        done = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True)
        if not done.returncode:
            return
        if "unknown Git revision" in done.stderr:
            raise ValueError(f"experiment {name} is not in this clone, it ran on {host or 'another machine'}; "
                             f"there `./run dvc exp push origin {name}`, here `./run dvc exp pull origin {name}`, and apply again")
        if "Checkout failed" not in done.stderr:
            break
    raise ValueError(f"dvc {' '.join(words)}: {done.stderr.strip()}")


def read_figures(name: str) -> dict:
    """Return what the training of an experiment wrote at its end: `best_val_cer` at `best_step`."""
    import json

    from dvc.api import DVCFileSystem

    return json.loads(DVCFileSystem(rev=name).read_text(FIGURES))
