"""Keep every reading, so that no page is read twice by the same reader.

A reading's key is the SHA-256 of image, reader and settings: a changed byte, prompt, model or setting
is another key, and nothing stale is ever found. One file a reading, written whole or not at all, so
threads, processes and machines may share the folder. The store lies outside every DVC out, under the
root of the main workspace: experiments in temporary workspaces share it (DVC tells them the root).
"""

import hashlib
import json
import os
import threading
from pathlib import Path

from ocrtune.reading import Page, Reading
from ocrtune.workspace import main_root


def store_folder() -> Path:
    """Return where readings are kept: $OCRTUNE_STORE, or `.readings` in the root of the project."""
    return Path(os.environ.get("OCRTUNE_STORE") or main_root() / ".readings")


def reading_key(page: Page, identity: dict) -> str:
    """Return the key of a page's reading by the reader of that identity."""
    described = {"image": page.sha256, "reader": identity}
    if identity["type"] == "text-layer":  # its answer hangs on the text, not on the pixels
        described["text_layer"] = page.text_layer
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def open_store() -> "Store":
    """Return the store of this project."""
    return Store(store_folder())


class Store:
    """A folder of readings."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"

    def get(self, key: str) -> Reading | None:
        """Return the reading under a key; None where there is none, or where its file is damaged."""
        try:
            entry = json.loads(self.path(key).read_bytes())
            reading = Reading(entry["text"], entry["finish_reason"])
            return reading if (entry["key"], entry["checksum"]) == (key, checksum(reading)) else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, reading: Reading) -> None:
        """Keep a reading; it is on disk when this returns."""
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
        entry = {"key": key, "text": reading.text, "finish_reason": reading.finish_reason, "checksum": checksum(reading)}
        with partial.open("w", encoding="utf-8") as file:
            json.dump(entry, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def checksum(reading: Reading) -> str:
    return hashlib.sha256(json.dumps([reading.text, reading.finish_reason]).encode()).hexdigest()[:16]
