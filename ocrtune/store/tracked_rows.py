"""Find readings in the rows that DVC tracks, so that a colleague who pulled pays for no page a second time.

Rows of `teacher_label` and `evaluate` carry the key of their reading, its text and, where post-processing
changed that, the raw answer. dvc.lock of any git revision names these files; they are taken from DVC's cache, the
workspace, or, where both lack them, DVC's remote. A missing one is no error: its pages are read anew.
"""

import configparser
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from ocrtune.reading import Reading

STAGES = re.compile(r"(teacher_label|evaluate)(@.*)?")
KEY = re.compile(r"[0-9a-f]{64}")
PATIENCE_S = 600  # for git and for DVC's remote
UNPUSHED = ("FileNotFoundError", "dvc_data.index.index.DataIndexDirError")  # how DVC says that a file, or a folder, is not there
ABSENT: set[tuple[Path, str]] = set()  # outs that the remote did not have, by root and MD5

# Its own process: importing DVC takes seconds, and a remote may need any of its plugins.
FETCH = """
import sys
from dvc.api import DVCFileSystem
DVCFileSystem(rev=sys.argv[1]).get(sys.argv[2], sys.argv[3], recursive=True)
"""


Found = tuple[str, Reading, dict | None]  # key, raw reading, identity of the reader where it is known


def read_row(row: object) -> Found | None:
    """Return the reading of a row; None where it holds none, or a failure."""
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not KEY.fullmatch(str(row.get("key"))):
        return None
    finish_reason = row.get("finish_reason") or "stop"
    raw = row.get("raw", row["text"])
    if finish_reason in ("error", "unread") or not isinstance(raw, str) or not isinstance(finish_reason, str):
        return None
    tokens = row.get("tokens")
    tokens = tuple(tokens) if isinstance(tokens, list) and [type(count) for count in tokens] == [int, int] else None
    identity = row.get("reader") if isinstance(row.get("reader"), dict) else None
    return row["key"], Reading(raw, finish_reason, tokens=tokens), identity


def read_file(path: Path) -> Iterator[Found]:
    """Yield the readings of a file of rows; lines that are none are passed over."""
    with path.open("rb") as file:
        for line in file:
            try:
                found = read_row(json.loads(line))
            except ValueError:
                continue
            if found:
                yield found


def read_lock(root: Path, rev: str | None) -> str:
    """Return dvc.lock of a git revision, or of the workspace; empty where there is none."""
    if rev is None:
        path = root / "dvc.lock"
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    done = subprocess.run(["git", "-C", root, "show", f"{rev}:./dvc.lock"], capture_output=True, timeout=PATIENCE_S)
    return done.stdout.decode("utf-8") if done.returncode == 0 else ""


def list_outs(lock: str) -> list[tuple[str, str]]:
    """Return path and MD5 of what `teacher_label` and `evaluate` wrote; that of a folder ends in `.dir`."""
    stages = (yaml.load(lock, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get("stages") or {}
    outs = [out for name, stage in stages.items() if STAGES.fullmatch(name) for out in stage.get("outs") or ()]
    return [(out["path"], out["md5"]) for out in outs if out.get("md5", "").endswith(".dir") or out["path"].endswith(".jsonl")]


def read_config(root: Path) -> configparser.ConfigParser:
    """Return DVC's configuration of a project, as far as it lies there."""
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.read([root / ".dvc/config", root / ".dvc/config.local"], encoding="utf-8")
    return config


def cached_file(cache: Path, md5: str) -> Path:
    return cache / "files/md5" / md5[:2] / md5[2:]


def list_files(cache: Path, md5: str) -> list[Path]:
    """Return the files of rows of an out in DVC's cache; FileNotFoundError where one is missing."""
    if not md5.endswith(".dir"):
        paths = [cached_file(cache, md5)]
    else:
        listed = json.loads(cached_file(cache, md5).read_bytes())
        paths = [cached_file(cache, entry["md5"]) for entry in listed if entry["relpath"].endswith(".jsonl")]
    for path in paths:
        path.stat()
    return paths


def find_out(root: Path, config: configparser.ConfigParser, out: tuple[str, str]) -> list[Path]:
    """Return the files of rows of an out in DVC's cache, else in the workspace; empty where neither has it."""
    path, md5 = out
    try:
        return list_files(root / ".dvc" / config.get("cache", "dir", fallback="cache"), md5)
    except FileNotFoundError:
        here = root / path
        return [here] if here.is_file() else sorted(here.glob("*.jsonl"))


def fetch_out(root: Path, rev: str, out: tuple[str, str]) -> Iterator[Found]:
    """Yield the readings of an out from DVC's remote; what is not there is asked for once in a process."""
    path, md5 = out
    if (root, md5) in ABSENT:
        return
    print(f"looking for {path} of {rev} in DVC's remote", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", FETCH, rev, path, str(Path(folder) / "out")]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode:
            ABSENT.add((root, md5))
            why = " ".join(done.stderr.strip().splitlines()[-1:])
            print("  not there (never pushed?)" if why.startswith(UNPUSHED) else f"  not found: {why}", flush=True)
            return
        for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            yield from read_file(file)


def tracked_readings(root: Path, revs: list[str | None]) -> Iterator[Found]:
    """Yield the readings in what DVC tracks at these git revisions (None: the workspace), each out once.

    `root` holds dvc.lock and .dvc. What can't be read (no git, no cache, a broken lock) is told in a line and passed over.
    """
    seen = set()
    for rev in revs:
        try:
            config = read_config(root)
            for out in list_outs(read_lock(root, rev)):
                files = [] if out[1] in seen else find_out(root, config, out)
                for file in files:
                    yield from read_file(file)
                if not files and out[1] not in seen and rev is not None and any("remote" in name for name in config.sections()):
                    yield from fetch_out(root, rev, out)
                if files or rev is not None:
                    seen.add(out[1])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, configparser.Error,
                subprocess.SubprocessError) as error:
            place = rev or "the workspace"
            print(f"tracked rows of {place} can't be read, and are passed over: {type(error).__name__}: {error}", flush=True)
