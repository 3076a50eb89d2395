"""Give each process that needs a GPU one of its own, where a machine has several.

DVC's queue assigns none: without this all its workers would crowd on the first. A GPU is claimed by a
lock on a file of the machine, which the operating system releases when the process ends, however it ends.
"""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

POLL_S = 1.0
held: list[IO] = []  # open files keep their locks as long as this process lives


def list_gpus() -> list[str]:
    """Return the names of this machine's NVIDIA GPUs as CUDA_VISIBLE_DEVICES takes them; $OCRTUNE_GPUS (0,1) says which may be used."""
    if "OCRTUNE_GPUS" in os.environ:
        return [name for name in os.environ["OCRTUNE_GPUS"].split(",") if name]
    return sorted((path.name[len("nvidia") :] for path in Path("/dev").glob("nvidia[0-9]*")), key=int)


def lock_folder() -> Path:
    """Return where the locks lie: one place for all users and projects of the machine."""
    folder = Path(tempfile.gettempdir()) / "ocrtune-gpus"
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777)
    return folder


def try_lock(file: Path) -> IO | None:
    """Return the open, locked file, or None where another process has it."""
    try:
        descriptor = os.open(file, os.O_RDONLY)  # another user's may neither be written to nor, in a folder for all, asked to be made
    except FileNotFoundError:
        descriptor = os.open(file, os.O_RDONLY | os.O_CREAT, 0o644)
    handle = os.fdopen(descriptor)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def claim(count: int, gpus: Sequence[str], folder: Path) -> list[str]:
    """Return that many GPUs that no other process has claimed, claimed until this process ends; wait where too few are free.

    One process at a time collects several: two that have a part each would wait for each other for ever.
    """
    taken: list[str] = []
    turn, told = None, False
    while True:
        turn = turn or (try_lock(folder / "several.lock") if count > 1 else None)
        for name in gpus if turn or count == 1 else ():
            handle = None if name in taken else try_lock(folder / f"{name}.lock")
            if handle:
                held.append(handle)
                taken.append(name)
            if len(taken) == count:
                if turn:
                    turn.close()
                return taken
        if not told:
            print(f"of {len(gpus)} GPUs too few are free; waiting for {count - len(taken)} (set CUDA_VISIBLE_DEVICES to share)",
                  file=sys.stderr, flush=True)
            told = True
        time.sleep(POLL_S)


def claim_gpu(count: int = 1) -> str | None:
    """Let this process, and the `count` that it starts, see one GPU of several each; return their names. Call it before CUDA is asked.

    None, and nothing changes, where there is one GPU or none, or fewer than `count`, where CUDA_VISIBLE_DEVICES is set, and
    in a process that a launcher started: whoever launched it has claimed for all.
    """
    if held or "CUDA_VISIBLE_DEVICES" in os.environ or "LOCAL_RANK" in os.environ:
        return None
    gpus = list_gpus()
    if len(gpus) < max(2, count):
        return None
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(claim(count, gpus, lock_folder()))
    return os.environ["CUDA_VISIBLE_DEVICES"]
