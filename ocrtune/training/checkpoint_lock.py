"""Let one training at a time have a folder of checkpoints: those with the same inputs share it.

The locks are files beside the folder, so that who removes it takes no lock away. The operating system gives them back
when their process ends, however it ends.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

POLL_S = 1.0


def lock_files(folder: Path) -> tuple[Path, Path]:
    """Return the file that whoever trains in a folder locks, and the one that those lock, together, who wait for it."""
    return folder.with_name(f"{folder.name}.lock"), folder.with_name(f"{folder.name}.queue")


def try_lock(file: Path) -> IO | None:
    """Return the open, locked file, or None where another process has it."""
    while True:
        handle = file.open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle.fileno()), file.stat()):
                return handle
        except BlockingIOError:
            handle.close()
            return None
        except FileNotFoundError:
            pass
        handle.close()  # of a file that its last owner removed: a lock on it keeps nobody out


def is_awaited(queue: Path) -> bool:
    """Return whether a process waits for the folder of this queue."""
    try:
        with queue.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def remove_locked(folder: Path) -> None:
    """Remove a folder whose lock this process has, unless somebody waits for it and can go on with what is there."""
    lock, queue = lock_files(folder)
    if not is_awaited(queue):
        shutil.rmtree(folder, ignore_errors=True)
        queue.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)


@contextmanager
def hold_checkpoints(folder: Path) -> Iterator[None]:
    """Have a folder of checkpoints, and remove it at the end; one whose training fails stays.

    Where another process has it, say so and wait for its end. The folder is then left as it is: its last checkpoint holds the
    whole training, and going on from there takes no step.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock, queue = lock_files(folder)
    handle = try_lock(lock)
    if handle is None:
        with queue.open("a") as place:
            fcntl.flock(place, fcntl.LOCK_SH)
            print(f"{folder}: another process trains with the same inputs; waiting for its end, to go on from there", flush=True)
            while (handle := try_lock(lock)) is None:
                time.sleep(POLL_S)
    with handle:
        yield
        remove_locked(folder)


def discard_checkpoints(folder: Path) -> None:
    """Remove the checkpoints that a training left, unless another process has them or waits for them."""
    if folder.is_dir() and (handle := try_lock(lock_files(folder)[0])):
        with handle:
            remove_locked(folder)
