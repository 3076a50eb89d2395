"""Examine a clone: git, DVC's cache, the remote, keys in the environment."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ocrtune.checks.findings import Finding
from ocrtune.checks.machine import used_profiles
from ocrtune.params.teachers import Api

REMOTE_TIMEOUT_S = 30
CHUNK = 1 << 20
MOST_IN_GIT = 100 << 20  # bytes of documents
MOST_NAMED = 20  # damaged files in one command


def check_git(folder: Path) -> Finding:
    """DVC needs a repository with a commit; experiments hang on it."""
    done = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode or not (folder / ".dvc").is_dir():
        return Finding("wrong", "git", "no git repository with a commit and a .dvc folder here",
                       "git clone the project, or: git init && ./run dvc init && git add -A && git commit -m begin")
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


def check_cache(lock: Path, cache: Path, uncached: frozenset[str] = frozenset(), has_remote: bool = True) -> list[Finding]:
    """Hash every file of the cache that dvc.lock names, against its name; `uncached` paths are git's."""
    from tqdm import tqdm

    outs = [out for out in listed_outs(lock) if out["path"] not in uncached]
    bring = "./run dvc repro --pull" if has_remote else "./run dvc repro"
    if not outs:
        return [Finding("note", "cache", "dvc.lock names nothing yet", "./run dvc repro")]
    absent, damaged, paths = [], {}, dict((md5, path) for path, md5 in needed_hashes(outs, cache))
    for md5, path in tqdm(paths.items(), desc="cache", unit="file", leave=False, disable=None):
        file = cache_file(cache, md5)
        if not file.is_file():
            absent.append(path)
        elif is_damaged(file, md5):
            damaged[path] = file
    found = []
    if damaged:
        path, file = next(iter(damaged.items()))
        more = "; then look again, for there are more" if len(damaged) > MOST_NAMED else ""
        files = " ".join(shlex.quote(str(file)) for file in list(damaged.values())[:MOST_NAMED])
        found.append(Finding("wrong", "cache", f"{len(damaged)} files are damaged, the first {file} ({path})",
                             f"rm -f {files} && {bring} && ./run dvc checkout --force{more}"))
    if absent:
        found.append(Finding("note", "cache", f"{len(absent)} files are not on this machine, the first of {absent[0]}", bring))
    return found or [Finding("fine", "cache", f"{len(paths)} files, all whole")]


def check_remote(folder: Path) -> Finding:
    """Ask the default remote for something, within a time limit, in a process of its own: some drivers hang."""
    # The folder appears with the first push; what it lies in (a bucket, a mounted disk) must be there.
    ask = ("from dvc.repo import Repo\nremote = Repo().cloud.get_remote()\nfs, path = remote.fs, remote.path\n"
           "try:\n    list(fs.ls(path, detail=False))\n"
           "except FileNotFoundError:\n    list(fs.ls(fs.parent(path), detail=False))")
    name = subprocess.run([sys.executable, "-m", "dvc", "config", "core.remote"], cwd=folder, capture_output=True, text=True).stdout.strip()
    if not name:
        return Finding("note", "remote", "none is set: nothing is shared, and nobody has a second copy",
                       "./run dvc remote add --default team FOLDER_OR_URL (docs/team.md)")
    try:
        done = subprocess.run([sys.executable, "-c", ask], cwd=folder, capture_output=True, text=True, timeout=REMOTE_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return Finding("wrong", "remote", f"{name} gives no answer within {REMOTE_TIMEOUT_S} s",
                       "is the host up, and the network or VPN on? `./run dvc remote list` shows the URL")
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1][:300]
        return Finding("wrong", "remote", f"{name} can't be reached: {why}", f"{remedy_for(why)} (`./run dvc remote list` shows the URL)")
    return Finding("fine", "remote", f"{name} answers")


def remedy_for(why: str) -> str:
    """Return what to do about a remote's last words: they tell a key that is missing from a host that is down."""
    for words, remedy in (
        (("credential", "accessdenied", "forbidden", "unauthorized", "permission denied", "signature"),
         "put its keys into the environment or .dvc/config.local, see docs/team.md"),
        (("no such file or directory",), "is the disk mounted? The folder above the remote must be there"),
        (("refused", "unreachable", "timed out", "resolve", "name or service", "getaddrinfo", "connect"),
         "is the host up, and the network or VPN on?"),
    ):
        if any(word in why.lower() for word in words):
            return remedy
    return "check the URL, the network, and the keys in the environment or .dvc/config.local, see docs/team.md"


def check_pushed(folder: Path) -> list[Finding]:
    """Name what this clone has and its remote lacks: who pulls would run it again."""
    done = subprocess.run([sys.executable, "-m", "dvc", "status", "--cloud", "--json"], cwd=folder, capture_output=True, text=True)
    try:
        new = [path for path, state in json.loads(done.stdout or "{}").items() if state == "new"]
    except ValueError:
        return []
    if done.returncode or not new:
        return []
    return [Finding("note", "remote", f"{len(new)} files and folders are not there yet, the first {min(new)}: others would run again "
                    "what made them", "./run dvc push --run-cache")]


def check_documents(folder: Path) -> Finding:
    """Is the folder of documents known to DVC, or small enough for git? One that only this machine has stops everybody else."""
    if folder.with_name(f"{folder.name}.dvc").is_file():
        return Finding("fine", "documents", f"{folder} is DVC's")
    listed = subprocess.run(["git", "ls-files", "-z", "--", str(folder)], capture_output=True, text=True).stdout.split("\0")
    size = sum(Path(name).stat().st_size for name in listed if name and Path(name).is_file())
    here = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else [folder] if folder.is_file() else []
    give = f"git rm -rq --cached --ignore-unmatch {folder} && ./run dvc add {folder} && git add {folder}.dvc && git commit -am 'Documents'"
    if size > MOST_IN_GIT:
        return Finding("note", "documents", f"{folder}: {size >> 20} MiB in git, which every clone keeps for ever", give)
    if here and not any(listed):
        return Finding("note", "documents", f"{folder} is known to neither git nor DVC: clones lack it", give)
    return Finding("fine", "documents", f"{folder} is git's, {size / (1 << 20):.1f} MiB" if here else f"{folder}: none there")


def check_keys(values: Mapping[str, Any]) -> list[Finding]:
    """Name the environment variables that the readers in use want for keys and headers, and that are not set."""
    found = []
    for where, profile in used_profiles(values):
        local = any(host in profile.get("base_url", "") for host in ("localhost", "127.0.0.1"))  # one's own may want no key
        key = [profile.get("api_key_env", Api.model_fields["api_key_env"].default)] if profile["type"] == "api" else []
        for name in [*key, *(profile.get("headers_env") or {}).values()]:
            if not os.environ.get(name, "").strip():
                found.append(Finding("note" if local and name in key else "wrong", "key", f"{where}: ${name} is not set",
                                     f"export {name}=...; the key itself belongs into no file"))
    return found or [Finding("fine", "key", "every key that a profile names is set, or none is named")]
