"""Examine what a run will want of this machine: room on the disk, optional packages, readers that open, servers that answer."""

import os
import shutil
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ocrtune.checks.findings import Finding

GIB = 1 << 30
ROOM_BYTES = 2 * GIB  # pages, labels and reports
COPIES = 4  # of a student's weights: two checkpoints, the merged model, and that in DVC's cache; adapters are small
ANSWER_S = 5
EXTRAS = {"ray": ("executor: ray", "ray", "set executor: local"),
          "bitsandbytes": ("load_in_4bit", "quantization", "set load_in_4bit: false")}


def check_disk(folder: Path, weights: int) -> Finding:
    """Compare the room on the disk with what a training and its outs take; `weights` are the student's bytes."""
    free, wanted = shutil.disk_usage(folder).free, ROOM_BYTES + COPIES * weights
    if free < wanted:
        return Finding("note", "disk", f"{free / GIB:.1f} GiB are free, and a training with its outs takes about {wanted / GIB:.1f}",
                       "make room: ./run dvc gc --workspace --all-commits drops what no commit names, from this machine")
    return Finding("fine", "disk", f"{free / GIB:.1f} GiB are free")


def check_packages(values: Mapping[str, Any]) -> list[Finding]:
    """Name the optional packages that params.yaml asks for and that are not installed."""
    train = values["train"]
    wanted = [name for name, asked in (
        ("ray", values.get("executor") == "ray"),
        ("bitsandbytes", train.get("load_in_4bit") or any(profile.get("load_in_4bit") for _, profile in used_profiles(values))),
    ) if asked and find_spec(name) is None]
    found = [Finding("wrong", "package", f"{EXTRAS[name][0]}: {name} is not installed",
                     f"./run uv sync --locked --inexact --extra {EXTRAS[name][1]}, or {EXTRAS[name][2]}") for name in wanted]
    if train.get("wandb") and find_spec("wandb") is None:
        found.append(Finding("wrong", "package", "train.wandb: wandb is not installed", "./run uv pip install wandb, or set wandb: false"))
    if train.get("backend") == "unsloth":
        from ocrtune.training.unsloth_backend import check_unsloth

        try:
            check_unsloth()
        except ValueError as error:
            found.append(refused("package", str(error)))
    return found


def check_cluster(values: Mapping[str, Any]) -> list[Finding]:
    """Ask the port of the cluster that `executor: ray` would use, where $RAY_ADDRESS names one."""
    from ocrtune.machines.ray_workers import check_address

    if values.get("executor") == "ray":
        try:
            check_address()
        except ValueError as error:
            return [refused("cluster", str(error))]
    return []


def refused(subject: str, error: str) -> Finding:
    """Return a finding of an error as the pipeline would raise it: what is wrong; what to do."""
    text, _, remedy = error.partition("; ")
    return Finding("wrong", subject, text, remedy or f"choose another {subject}")


def used_profiles(values: Mapping[str, Any]) -> Iterator[tuple[str, dict]]:
    """Yield where it stands, and the profile, of each reader that the pipeline opens beside the student."""
    names = {values["teacher"], values["teacher_label"].get("second_teacher") or values["teacher"]}
    yield from ((f"teachers.{name}", values["teachers"][name]) for name in sorted(names))
    for name, reader in values["evaluate"]["readers"].items():
        if reader["reader"]["type"] != "student":
            yield f"evaluate.readers.{name}", reader["reader"]


def check_readers(values: Mapping[str, Any]) -> list[Finding]:
    """Open each engine and ask each server's port for a connection; models are looked at, not loaded."""
    found = []
    for where, profile in used_profiles(values):
        kind = profile["type"]
        if kind in ("rapidocr", "tesseract"):
            found += check_engine(where, profile)
        elif kind in ("api", "service"):
            found += check_server(where, profile.get("base_url") or profile["url"])
        elif kind == "local" and not (Path(profile["model"]) / "config.json").is_file() and not profile.get("repository"):
            found.append(Finding("wrong", "reader", f"{where}: no model in {profile['model']}",
                                 "put its files there, or choose another reader"))
    return found


def check_engine(where: str, profile: Mapping[str, Any]) -> list[Finding]:
    from pydantic import TypeAdapter

    from ocrtune.readers.open import Profile, open_reader

    try:
        open_reader(TypeAdapter(Profile).validate_python(dict(profile)))
    except ValueError as error:
        return [refused("reader", f"{where}: {error}")]
    return []


def check_server(where: str, url: str) -> list[Finding]:
    """Return a note where nothing takes connections at a URL's port; behind a proxy nobody can tell from here."""
    parts = urlsplit(url)
    if urllib.request.getproxies().get(parts.scheme) and not urllib.request.proxy_bypass(parts.netloc):
        return []
    address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection(address, timeout=ANSWER_S).close()
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        return [Finding("note", "reader", f"{where}: {address[0]}:{address[1]} takes no connection ({why}); pages not read yet want it",
                        "start the server (docs/teachers.md), or set the profile's address")]
    return []


def hub_token() -> bool:
    """Return whether a token for the model hub is at hand."""
    return bool(os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN"))
