"""Ask git: what changed in a file, and record it."""

import subprocess
from pathlib import Path


class GitError(ValueError):
    """What git refused, in its own words."""


def git(root: Path, *words: str) -> str:
    """Return what git prints; a failure is a `GitError`."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise GitError("git: not installed") from None
    if done.returncode:
        raise GitError(f"git {words[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def count_new_lines(root: Path, path: Path) -> int:
    """Return how many lines of a file differ from the last commit; 0 where git can't say."""
    try:
        counted = git(root, "diff", "--numstat", "HEAD", "--", str(path.relative_to(root)))
    except GitError:
        return 0
    added, removed, *_ = [*counted.split(), "0", "0"]
    return max(int(added), int(removed)) if added.isdigit() and removed.isdigit() else 0


def commit_file(root: Path, path: Path, message: str, author: str | None) -> str:
    """Commit one file and nothing else, staged or not, and return the commit's short name and title."""
    name = str(path.relative_to(root))
    git(root, "add", "--", name)
    who = [f"--author={author} <{author}@studio>"] if author else []
    git(root, "commit", "--quiet", "--only", *who, "-m", message, "--", name)
    return git(root, "log", "-1", "--format=%h %an: %s").strip()
