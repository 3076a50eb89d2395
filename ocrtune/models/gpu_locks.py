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
    handle = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o666), "r+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def claim_one(gpus: Sequence[str], folder: Path) -> str:
    """Return a GPU that no other process has claimed, claimed until this process ends; wait where all are taken."""
    told = False
    while True:
        for name in gpus:
            handle = try_lock(folder / f"{name}.lock")
            if handle:
                held.append(handle)
                return name
        if not told:
            print(f"all {len(gpus)} GPUs are taken; waiting for one (set CUDA_VISIBLE_DEVICES to share)", file=sys.stderr, flush=True)
            told = True
        time.sleep(POLL_S)


def claim_gpu() -> str | None:
    """Let this process see one GPU of several, its own; return it. Call it before CUDA is first asked.

    None, and nothing changes, where there is one GPU or none, where CUDA_VISIBLE_DEVICES is set, and in a
    training that a launcher spread over several processes: it has its own plan.
    """
    if held or "CUDA_VISIBLE_DEVICES" in os.environ or "LOCAL_RANK" in os.environ:
        return None
    gpus = list_gpus()
    if len(gpus) < 2:
        return None
    os.environ["CUDA_VISIBLE_DEVICES"] = claim_one(gpus, lock_folder())
    return os.environ["CUDA_VISIBLE_DEVICES"]
