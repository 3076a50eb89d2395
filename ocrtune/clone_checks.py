"""Examine a clone: git, DVC's cache, the remote, keys in the environment."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ocrtune.findings import Finding

REMOTE_TIMEOUT_S = 30
CHUNK = 1 << 20


def check_git(folder: Path) -> Finding:
    """DVC needs a repository with a commit; experiments hang on it."""
    done = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode or not (folder / ".dvc").is_dir():
        return Finding("wrong", "git", "no git repository with a commit and a .dvc folder here",
                       "git clone the project, or: git init && dvc init && git add -A && git commit -m begin")
    return Finding("fine", "git", f"at commit {done.stdout[:10]}")


def listed_outs(lock: Path) -> list[dict]:
    """Return the cached outs in dvc.lock: {path, md5, size}."""
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {}) if lock.is_file() else {}
    return [out for stage in stages.values() for out in stage.get("outs", []) if "md5" in out]


def cache_file(cache: Path, md5: str) -> Path:
    return cache / "files/md5" / md5[:2] / md5[2:]


def is_damaged(file: Path, md5: str) -> bool:
    """Return whether a file of the cache has other bytes than its name says."""
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest() != md5.removesuffix(".dir")


def needed_hashes(outs: list[dict], cache: Path) -> Iterator[tuple[str, str]]:
    """Yield (path of the out, hash) for each file that the outs consist of, as far as their lists are here and whole."""
    for out in outs:
        yield out["path"], out["md5"]
        listing = cache_file(cache, out["md5"])
        if out["md5"].endswith(".dir") and listing.is_file() and not is_damaged(listing, out["md5"]):
            yield from ((f"{out['path']}/{entry['relpath']}", entry["md5"]) for entry in json.loads(listing.read_bytes()))


def check_cache(lock: Path, cache: Path, uncached: frozenset[str] = frozenset()) -> list[Finding]:
    """Hash every file of the cache that dvc.lock names, against its name; `uncached` paths are git's."""
    from tqdm import tqdm

    outs = [out for out in listed_outs(lock) if out["path"] not in uncached]
    if not outs:
        return [Finding("note", "cache", "dvc.lock names nothing yet", "dvc repro")]
    absent, damaged, paths = [], {}, dict((md5, path) for path, md5 in needed_hashes(outs, cache))
    for md5, path in tqdm(paths.items(), desc="cache", unit="file", leave=False, mininterval=2):
        file = cache_file(cache, md5)
        if not file.is_file():
            absent.append(path)
        elif is_damaged(file, md5):
            damaged[path] = file
    found = []
    if damaged:
        path, file = next(iter(damaged.items()))
        found.append(Finding("wrong", "cache", f"{len(damaged)} files are damaged, the first {file} ({path})",
                             f"rm -f {' '.join(map(str, list(damaged.values())[:20]))}; then dvc repro --pull, and dvc checkout --force"))
    if absent:
        found.append(Finding("note", "cache", f"{len(absent)} files are not on this machine, the first of {absent[0]}", "dvc repro --pull"))
    return found or [Finding("fine", "cache", f"{len(paths)} files, all whole")]


def check_remote(folder: Path) -> Finding:
    """Ask the default remote for something, within a time limit, in a process of its own: some drivers hang."""
    import sys

    # The folder appears with the first push; what it lies in (a bucket, a mounted disk) must be there.
    ask = ("from dvc.repo import Repo\nremote = Repo().cloud.get_remote()\nfs, path = remote.fs, remote.path\n"
           "try:\n    list(fs.ls(path, detail=False))\n"
           "except FileNotFoundError:\n    list(fs.ls(fs.parent(path), detail=False))")
    name = subprocess.run([sys.executable, "-m", "dvc", "config", "core.remote"], cwd=folder, capture_output=True, text=True).stdout.strip()
    if not name:
        return Finding("note", "remote", "none is set: nothing is shared, and this machine holds the only copy",
                       "dvc remote add --default team <folder or URL>; see docs/team.md")
    try:
        done = subprocess.run([sys.executable, "-c", ask], cwd=folder, capture_output=True, text=True, timeout=REMOTE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return Finding("wrong", "remote", f"{name} gives no answer within {REMOTE_TIMEOUT_S} s",
                       "is the host up, and the network or VPN on? `dvc remote list` shows the URL")
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:300]
        return Finding("wrong", "remote", f"{name} can't be reached: {why}",
                       "check the URL (`dvc remote list`), the network, and the keys in the environment or .dvc/config.local; docs/team.md")
    return Finding("fine", "remote", f"{name} answers")


def check_keys(values: Mapping[str, Any]) -> list[Finding]:
    """Name the environment variables that the chosen teacher and the evaluated readers want and that are not set."""
    profiles = {f"teachers.{values['teacher']}": values["teachers"][values["teacher"]]}
    profiles |= {f"evaluate.readers.{name}": reader["reader"] for name, reader in values["evaluate"]["readers"].items()}
    found = []
    for where, profile in profiles.items():
        name = profile.get("api_key_env")
        if name and not os.environ.get(name):
            local = any(host in profile.get("base_url", "") for host in ("localhost", "127.0.0.1"))  # one's own may want no key
            found.append(Finding("note" if local else "wrong", "key", f"{where}: ${name} is not set",
                                 f"export {name}=...; the key itself belongs into no file"))
    return found or [Finding("fine", "key", "every key that a profile names is set, or none is named")]
