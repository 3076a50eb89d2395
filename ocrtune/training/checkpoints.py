"""Checkpoints of a training: where they lie, and which one a training that was killed goes on from."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

from ocrtune.models.checkpoints import check_whole
from ocrtune.workspace import main_root

STATE = "trainer_state.json"


def checkpoint_folder(*inputs: object) -> Path:
    """Return where checkpoints of a training with these inputs lie: outside DVC's outs, under the main workspace's root."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    return main_root() / ".checkpoints" / digest


def last_checkpoint(folder: Path) -> str | None:
    """Return the newest whole checkpoint; one that a kill left unfinished, or that is damaged, is removed and told."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    while found and (torn := torn_file(found[-1])):
        print(f"{found[-1]}: {torn} is missing or torn: removed; an earlier checkpoint is used, where there is one", flush=True)
        shutil.rmtree(found.pop())
    return str(found[-1]) if found else None


def torn_file(checkpoint: Path) -> str | None:
    """Return the name of a file of a checkpoint that is not there to its end; None of a whole one.

    The trainer's state is the last that it gets. torch's own files are zip archives, whose directory stands at the end.
    """
    try:
        json.loads((checkpoint / STATE).read_bytes())
    except (FileNotFoundError, ValueError):
        return STATE
    for path in sorted(checkpoint.rglob("*")):
        if path.suffix == ".safetensors":
            try:
                check_whole(path)
            except ValueError:
                return path.name
        elif path.suffix in (".pt", ".pth", ".bin") and not zipfile.is_zipfile(path):
            return path.name
    return None
