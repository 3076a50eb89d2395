"""Ask git: what changed in a file, and record it."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory


class GitError(ValueError):
    """What git refused, in its own words."""


def git(root: Path, *words: str, stdin: str | None = None, **environment: str) -> str:
    """Return what git prints; a failure is a `GitError`."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, encoding="utf-8", timeout=60, input=stdin,
                              env=os.environ | environment)
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


def read_committed(root: Path, path: Path) -> str:
    """Return a file as the last commit holds it; nothing where it holds none."""
    try:
        return git(root, "show", f"HEAD:./{path.relative_to(root)}")
    except GitError:
        return ""


def commit_file(root: Path, path: Path, message: str, author: str | None) -> str:
    """Commit one file and nothing else, staged or not, and return the commit's short name and title."""
    name = str(path.relative_to(root))
    git(root, "add", "--", name)
    who = [f"--author={author} <{author}@studio>"] if author else []
    git(root, "commit", "--quiet", "--only", *who, "-m", message, "--", name)
    return name_commit(root)


def commit_text(root: Path, path: Path, text: str, message: str, author: str | None) -> str:
    """Commit one file as it never stood on disk, with this text, and return the commit's short name and title.

    The file and what is staged stay as they are, and hooks don't run.
    """
    name = str(path.relative_to(root))
    git(root, "add", "--", name)
    git(root, "commit", "--dry-run", "--only", "--", name)  # refused where a merge is under way
    head, full_name = (git(root, *words).strip("\n\0") for words in (("rev-parse", "HEAD"), ("ls-files", "-z", "--full-name", "--", name)))
    blob = git(root, "hash-object", "-w", "--path", name, "--stdin", stdin=text).strip()
    with TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(root, "read-tree", head, **index)
        git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{full_name}", **index)
        tree = git(root, "write-tree", **index).strip()
    who = {"GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": f"{author}@studio"} if author else {}
    commit = git(root, "commit-tree", tree, "-p", head, "-m", message, **who).strip()
    git(root, "update-ref", "-m", f"commit: {message}", "HEAD", commit, head)  # not where somebody else committed meanwhile
    return name_commit(root)


def name_commit(root: Path) -> str:
    """Return the last commit's short name, author and title."""
    return git(root, "log", "-1", "--format=%h %an: %s").strip()
