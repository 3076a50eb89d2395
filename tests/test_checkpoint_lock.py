"""Trainings with the same inputs have their checkpoints one after the other, however each of them ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from test_launching import WORDS, ready  # noqa: F401  (a fixture)

from ocrtune.training.checkpoint_lock import discard_checkpoints, hold_checkpoints, try_lock

ROOT = Path(__file__).parents[1]
HOLD = """
import sys
from pathlib import Path
from ocrtune.training.checkpoint_lock import hold_checkpoints
folder = Path(sys.argv[1])
with hold_checkpoints(folder):
    print("holds", [path.name for path in folder.glob("*")], flush=True)
    folder.mkdir(exist_ok=True)
    (folder / "work").touch()
    if input() == "fail":
        raise SystemExit(1)
"""


@pytest.fixture
def hold():
    """Return a function that starts a process which has a folder of checkpoints until it is fed a line or killed."""
    started = []

    def start(folder: Path) -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, "-c", HOLD, folder], cwd=ROOT, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen, word: str) -> None:
    process.communicate(f"{word}\n", timeout=60)


def test_the_second_waits_and_finds_the_work_of_the_first(hold, tmp_path):
    folder = tmp_path / "checkpoints/abc"
    first = hold(folder)
    assert first.stdout.readline() == "holds []\n"
    second = hold(folder)
    assert "another process trains with the same inputs" in second.stdout.readline()
    discard_checkpoints(folder)  # as a search that ends a twin of theirs: it is not its to remove
    assert (folder / "work").is_file()
    end(first, "done")
    assert second.stdout.readline() == "holds ['work']\n"
    end(second, "done")
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("death", ["kill", "fail"])
def test_a_lock_ends_with_its_process_and_checkpoints_stay(hold, tmp_path, death):
    folder = tmp_path / "checkpoints/abc"
    first = hold(folder)
    first.stdout.readline()
    second = hold(folder)
    second.stdout.readline()
    if death == "kill":
        os.kill(first.pid, signal.SIGKILL)
    else:
        end(first, "fail")
    assert second.stdout.readline() == "holds ['work']\n"
    end(second, "fail")
    assert (folder / "work").is_file()
    with hold_checkpoints(folder):
        assert (folder / "work").is_file()
    assert list(folder.parent.iterdir()) == []


def test_a_lock_on_a_file_that_was_removed_is_none(tmp_path):
    """Who opened the file before its owner removed it would else train beside who comes next."""
    file = tmp_path / "lock"
    with try_lock(file):
        assert try_lock(file) is None
        file.unlink()
        with try_lock(file) as other:
            assert os.path.samestat(os.fstat(other.fileno()), file.stat())


def test_twins_train_once(ready):  # noqa: F811
    first = ready.start("-m", "stages.train", *WORDS, "one/adapter", "one/log")
    while not list(ready.folder.glob(".checkpoints/*.lock")):
        assert first.poll() is None, first.communicate()
    code, output = ready.run("-m", "stages.train", *WORDS, "two/adapter", "two/log")
    assert first.wait() == code == 0, output[-3000:]
    assert "waiting for its end" in output and "goes on from step 6" in output
    one, two = (load_file(ready.folder / name / "adapter/adapter_model.safetensors") for name in ("one", "two"))
    assert all(one[name].equal(two[name]) for name in one)
    assert not list((ready.folder / ".checkpoints").iterdir())
