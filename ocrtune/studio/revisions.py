"""Predictions of the past: what readers gave in earlier commits and in DVC's experiments."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ocrtune.rows import RowError
from ocrtune.store.tracked_rows import cached_file, read_config
from ocrtune.studio.git_state import GitError, git
from ocrtune.studio.project import Project
from ocrtune.studio.result_files import list_files
from ocrtune.studio.result_sets import Result, build_results, load_results, reference_files

MOST_COMMITS = 15
MOST_TITLE = 72
PREDICTIONS = "data/predictions/"


@dataclass(frozen=True)
class Source:
    """Where predictions lie: a file, or a path at a revision with the hash that DVC knows it by."""

    path: Path
    revision: str | None = None
    md5: str = ""

    def is_here(self, root: Path) -> bool:
        """Return whether it lies on this machine, as a file or in DVC's cache."""
        if self.revision is None:
            return self.path.is_file()
        return cached_file(root / ".dvc" / read_config(root).get("cache", "dir", fallback="cache"), self.md5).is_file()


def list_revisions(root: Path) -> list[tuple[str, str]]:
    """Return (revision, title) of experiments, then of commits that changed dvc.lock, newest first; none outside git."""
    try:
        commits = git(root, "log", f"-{MOST_COMMITS}", "--format=%H%x09%h %s", "--", "dvc.lock").splitlines()
        experiments = git(root, "for-each-ref", "--format=%(objectname)%09%(refname)", "refs/exps").splitlines()
    except GitError:
        return []
    found = []
    for revision, name in (line.split("\t", 1) for line in experiments):
        parts = name.split("/")
        if len(parts) == 5 and parts[2] not in ("exec", "celery", "stash"):  # refs/exps/ab/cdef.../name
            found.append((revision, f"experiment {parts[4]}"))
    return found + [(revision, shorten(title)) for revision, title in (line.split("\t", 1) for line in commits)]


def shorten(title: str) -> str:
    """Return a title that fits into a list."""
    return title if len(title) <= MOST_TITLE else f"{title[:MOST_TITLE - 1].rstrip()}…"


def predictions_at(root: Path, revision: str) -> dict[str, str]:
    """Return {path: md5} of the predictions that dvc.lock names at a revision."""
    import yaml

    try:
        lock = yaml.safe_load(git(root, "show", f"{revision}:dvc.lock"))
        outs = [out for stage in lock["stages"].values() for out in stage.get("outs", ())]
    except (GitError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}
    return {out["path"]: out.get("md5", "") for out in outs if re.fullmatch(rf"{PREDICTIONS}[^/]+\.jsonl", out["path"])}


def list_sources(project: Project) -> dict[str, Source]:
    """Return all that can be compared by name: files at hand, then what differs from them at revisions, each state once."""
    sources = {name: Source(path) for name, path in list_files(project).items()}
    files = [source.path for source in sources.values()]

    def look_back() -> dict[str, Source]:
        found, seen = {}, {md5_of(path) for path in files}
        for revision, title in list_revisions(project.root):
            for path, md5 in predictions_at(project.root, revision).items():
                if md5 not in seen:
                    seen.add(md5)
                    found[f"{Path(path).stem} · {title}"] = Source(project.root / path, revision, md5)
        return found

    try:
        state = git(project.root, "rev-parse", "HEAD") + git(project.root, "for-each-ref", "--format=%(objectname)", "refs/exps")
    except GitError:
        return sources
    return sources | project.keep(("revisions", state), files, look_back)


def md5_of(path: Path) -> str:
    """Return a file's hash as DVC names it, to tell what is at hand already."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def load_source(project: Project, name: str, source: Source) -> list[Result]:
    """Return the results of a source; those of a revision are scored against the references of today."""
    if source.revision is None:
        return load_results(project, source.path)
    return project.keep(("revision", source.revision, source.path), reference_files(project),
                        lambda: build_results(project, read_revision(project, name, source), source.path, None))


def read_revision(project: Project, name: str, source: Source) -> list[dict]:
    """Return the rows of predictions at a revision, from DVC's cache or remote."""
    import json

    import dvc.api
    from dvc.exceptions import DvcException, PathMissingError

    path = source.path.relative_to(project.root).as_posix()
    try:
        text = dvc.api.read(path, repo=str(project.root), rev=source.revision, encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line]
    except (DvcException, OSError) as error:
        why = "" if isinstance(error, PathMissingError) else f": {error}"
        raise RowError(f"{name}: its predictions are neither in DVC's cache nor in its remote{why}. Who made them pushes them: "
                       f"./run dvc push --all-commits {path}; then get them: ./run dvc fetch --all-commits {path}") from None
    except ValueError as error:
        raise RowError(f"{name}: not rows: {error}") from None
