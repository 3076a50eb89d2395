"""Find the folder of what outlives a run: readings, checkpoints, crawls under way."""

import os
from pathlib import Path


def main_root() -> Path:
    """Return the root of the main workspace, in an experiment's temporary workspace too: DVC tells it its stages."""
    return Path(os.environ.get("DVC_ROOT") or ".")
