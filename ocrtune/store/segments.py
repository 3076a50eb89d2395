"""The files in which readings are kept: one record a line, only ever appended to, each file written by one process.

A record is a JSON object that ends in a checksum over all before it. A line that was cut short, flipped or
glued to its neighbour fails its checksum and counts as absent; the lines around it stay whole. A process never
appends to a file that it did not begin itself: what a killed one left half written is never built upon.
No file is locked, so folders of segments may lie on NFS and be written by many machines.
"""

import hashlib
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ocrtune.reading import Reading

SUFFIX = ".jsonl"
MAX_BYTES = 32 * 2**20  # a full segment; the next one begins
STALE_S = 86_400  # a segment of another machine, untouched for as long, has no writer left
IDLE_S = 5  # the thread that syncs ends after as long without work

KEY = rb'\{"key": "([0-9a-f]{64})", "reader": "([0-9a-f]{0,16})", '
HEAD = re.compile(KEY + rb'"finish_reason": "((?:[^"\\]|\\.)*)", "tokens": (?:null|\[(\d+), (\d+)\]), "at_ms": (\d+), ')
READER = re.compile(rb'\{"identity": ')
MARK = b', "checksum": "'
TAIL_BYTES = len(MARK) + 16 + len(b'"}\n')


class Head(NamedTuple):
    """What the beginning of a record's line tells, without reading its text."""

    key: str
    reader: str  # of whom the reading is: the digest of an identity; empty where it is not known
    finish_reason: bytes
    tokens: tuple[int, int] | None
    at_ms: int  # when it was kept, milliseconds since 1970


def checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


def seal(record: dict) -> bytes:
    """Return a record as a line; lone surrogates, which a text may hold, are kept."""
    body = json.dumps(record, ensure_ascii=False)[:-1].encode("utf-8", "surrogatepass")
    return body + MARK + checksum(body) + b'"}\n'


def is_whole(line: bytes) -> bool:
    """Return whether a line is as it was written."""
    body, tail = line[:-TAIL_BYTES], line[-TAIL_BYTES:]
    return tail == MARK + checksum(body) + b'"}\n'


def reader_digest(identity: dict | None) -> str:
    """Return the short name of a reader; empty where it is not known."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16] if identity else ""


def seal_reader(identity: dict, reader: str) -> bytes:
    """Return who a reader is as a line."""
    return seal({"identity": identity, "reader": reader})


def seal_reading(key: str, reader: str, reading: Reading) -> bytes:
    """Return a reading as a line."""
    return seal({
        "key": key, "reader": reader, "finish_reason": reading.finish_reason,
        "tokens": list(reading.tokens) if reading.tokens else None, "at_ms": time.time_ns() // 1_000_000,
        "problem": reading.problem, "text": reading.text,
    })


def open_reading(line: bytes, key: str) -> Reading | None:
    """Return the reading in a line; None where it is damaged or another's."""
    if not is_whole(line):
        return None
    record = json.loads(line)
    if record.get("key") != key:
        return None
    tokens = tuple(record["tokens"]) if record["tokens"] else None
    return Reading(record["text"], record["finish_reason"], record["problem"], tokens)


def read_head(line: bytes) -> Head | None:
    """Return what a line's beginning tells; None for anything but a reading."""
    found = HEAD.match(line)
    if found is None:
        return None
    key, reader, finish_reason, prompt, completion, at_ms = found.groups()
    tokens = None if prompt is None else (int(prompt), int(completion))
    return Head(key.decode(), reader.decode(), finish_reason, tokens, int(at_ms))


def read_lines(path: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the complete lines of a segment from a place on, each with its own; a file that is gone has none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        for line in file:
            if line.endswith(b"\n"):
                yield start, line
            start += len(line)


def machine_name() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:32] or "host"


def name_segment() -> str:
    """Return a name that no other process uses, and that tells who writes: machine, process, chance."""
    return f"{machine_name()}-{os.getpid()}-{secrets.token_hex(6)}{SUFFIX}"


def has_writer(path: Path) -> bool:
    """Return whether a process may still append to a segment: it lives on this machine, or the file is young and another's."""
    parts = path.name.split("-")
    if len(parts) != 3:
        return False
    if parts[0] == machine_name() and parts[1].isdigit():
        try:
            os.kill(int(parts[1]), 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
    try:
        return time.time() - path.stat().st_mtime < STALE_S
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SegmentWriter:
    """Appends lines to segments of its own.

    A line survives the death of the process from the moment `append` returns, and that of the machine from the end of the
    next sync. Syncs follow one another in a thread as long as there is something new: a disk that needs 7 ms for
    each would otherwise hold a fast server to 140 pages a second.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.path: Path | None = None
        self.file, self.size, self.process = None, 0, 0
        self.appending = threading.Lock()
        self.changed = threading.Condition()
        self.written = self.synced = 0  # lines, of all segments together
        self.failure: OSError | None = None
        self.thread: threading.Thread | None = None

    def append(self, line: bytes) -> tuple[Path, int]:
        """Append a line; return its file and its place there."""
        with self.appending:
            if self.failure:
                raise self.failure
            if self.file is None or self.size + len(line) > MAX_BYTES or self.process != os.getpid():
                self.begin()
            place = self.write(line)
            while not self.is_linked():  # someone tidied up and took us for dead: what was written just now may be gone
                self.begin()
                place = self.write(line)
            path = self.path
        with self.changed:
            self.written += 1
            if self.thread is None:
                self.thread = threading.Thread(target=self.sync_on, name="sync readings", daemon=True)
                self.thread.start()
            self.changed.notify_all()
        return path, place

    def begin(self) -> None:
        """Begin a new segment."""
        if self.file is not None and self.process == os.getpid():
            self.flush()
            self.file.close()
        elif self.file is not None:  # we are a fork: the parent's file and thread are none of ours
            self.changed, self.thread, self.synced = threading.Condition(), None, self.written
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path, self.process, self.size = self.folder / name_segment(), os.getpid(), 0
        self.file = self.path.open("xb", buffering=0)
        sync_folder(self.folder)

    def write(self, line: bytes) -> int:
        """Write a line whole and return its place; a disk that is full leaves half a line, and the next begins elsewhere."""
        place, left = self.size, memoryview(line)
        try:
            while left:
                count = self.file.write(left)
                self.size, left = self.size + count, left[count:]
        except OSError:
            self.size = MAX_BYTES
            raise
        return place

    def is_linked(self) -> bool:
        """Return whether the file still stands under its name."""
        try:
            return self.path.stat().st_ino == os.fstat(self.file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def sync_on(self) -> None:
        """Sync what is written, again and again, until there is nothing new for a while."""
        while True:
            with self.changed:
                if self.synced == self.written and not self.changed.wait_for(lambda: self.synced < self.written, IDLE_S):
                    self.thread = None
                    return
                target, file = self.written, self.file
            try:
                os.fsync(file.fileno())
            except OSError as error:
                self.failure = error
            with self.changed:
                self.synced = target
                self.changed.notify_all()

    def flush(self) -> None:
        """Return when all that was appended is on disk."""
        with self.changed:
            self.changed.wait_for(lambda: self.synced >= self.written or self.thread is None)
        if self.failure:
            raise self.failure
