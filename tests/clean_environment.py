"""The environment of the commands that tests run in projects of their own: this process's, without what it would tell of another."""

import os
import sys
from pathlib import Path

ABOUT_A_PROJECT = ("DVC_", "GIT_", "OCRTUNE_")


def clean_environment(*more: str) -> dict[str, str]:
    """Return this process's variables without DVC's, git's, ours and those that begin like `more`; our Python is first on the path.

    DVC reports nothing to its makers: each command would start a process that waits for the network and leaves a file behind.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*ABOUT_A_PROJECT, *more))}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"}
