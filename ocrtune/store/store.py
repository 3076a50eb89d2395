"""Keep every reading, so that no page is read twice by the same reader.

A reading's key is the SHA-256 of image, reader and settings: a changed byte, prompt, model or setting
is another key, and nothing stale is ever found. Readings lie in segments (`ocrtune.store.segments`), to which any
number of threads, processes and machines may add at once. The store lies outside every DVC out, under the
root of the main workspace: experiments in temporary workspaces share it (DVC tells them the root).
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ocrtune.reading import Page, Reading
from ocrtune.store import segments
from ocrtune.store.segments import Head, SegmentWriter
from ocrtune.workspace import main_root

MAX_OPEN = 128  # segments held open


def store_folder() -> Path:
    """Return the folder of readings: $OCRTUNE_STORE where that is one, else `.readings` in the root of the project."""
    address = os.environ.get("OCRTUNE_STORE", "").removeprefix("file://")
    return main_root() / (".readings" if not address or "://" in address else Path(address).expanduser())


def reading_key(page: Page, identity: dict) -> str:
    """Return the key of a page's reading by the reader of that identity."""
    described = {"image": page.sha256, "reader": identity}
    if identity["type"] == "text-layer":  # its answer hangs on the text, not on the pixels
        described["text_layer"] = page.text_layer
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def open_store() -> "Store":
    """Return the store of this project, shared at the URL in $OCRTUNE_STORE where one stands there."""
    address = os.environ.get("OCRTUNE_STORE", "")
    if "://" not in address or address.startswith("file://"):
        from ocrtune.store.packing import tidy

        store = Store(store_folder())
        tidy(store)
        return store
    from ocrtune.store.share import Share

    return Store(store_folder(), Share(address, store_folder()))


@dataclass
class Tally:
    """What the store holds of one reader."""

    num_readings: int = 0
    num_failed: int = 0
    num_bytes: int = 0
    num_counted: int = 0  # readings whose tokens a server counted
    prompt_tokens: int = 0
    completion_tokens: int = 0
    most_tokens: tuple[int, int] = (0, 0)  # of a page, prompt and completion each

    def add(self, head: Head, num_bytes: int) -> None:
        self.num_bytes += num_bytes
        self.num_failed += head.finish_reason == b"error"
        self.num_readings += head.finish_reason != b"error"
        if head.tokens:
            self.num_counted += 1
            self.prompt_tokens += head.tokens[0]
            self.completion_tokens += head.tokens[1]
            self.most_tokens = (max(self.most_tokens[0], head.tokens[0]), max(self.most_tokens[1], head.tokens[1]))


class Store:
    """A folder of segments, with an index in memory: 150 bytes a reading, whatever its length.

    Where several readings stand under one key, because two processes read the same page at once, the
    earliest counts, for all and for ever; a damaged one is passed over for the next.
    """

    def __init__(self, folder: Path, share=None):
        self.folder, self.share = folder, share
        self.lock = threading.RLock()
        self.writer = SegmentWriter(folder)
        self.paths: list[Path] = []
        self.numbers: dict[Path, int] = {}
        self.sizes: list[int] = []  # bytes of each segment that the index knows
        self.open_files: dict[int, object] = {}
        self.places: dict[bytes, int] = {}  # of a key: segment, place and length in one number
        self.others: dict[bytes, list[int]] = {}  # further places of the same key, the earliest first
        self.failed_places: dict[bytes, int] = {}  # the last failure of a key
        self.identities: dict[str, dict] = {}
        self.introduced: set[tuple[Path | None, str]] = set()  # readers that a segment of ours has described
        self.tallies: dict[str, Tally] = {}
        self.damaged: set[str] = set()  # keys that were asked for and lay there broken
        self.is_fresh = False

    def refresh(self) -> None:
        """Take notice of what others have written, moved or removed since."""
        with self.lock:
            self.is_fresh = True
            if self.share:
                self.share.pull()
            for path in sorted(self.folder.rglob(f"*{segments.SUFFIX}")) if self.folder.is_dir() else ():
                self.scan(path)

    def scan(self, path: Path) -> None:
        """Add the lines of a segment that the index does not know yet."""
        number = self.number_of(path)
        try:
            if path.stat().st_size == self.sizes[number]:
                return
        except FileNotFoundError:
            return
        for place, line in segments.read_lines(path, self.sizes[number]):
            self.note(number, place, line)
            self.sizes[number] = place + len(line)

    def number_of(self, path: Path) -> int:
        """Return the number of a segment, a new one where it has none."""
        if path not in self.numbers:
            self.numbers[path] = len(self.paths)
            self.paths.append(path)
            self.sizes.append(0)
        return self.numbers[path]

    def note(self, number: int, place: int, line: bytes) -> None:
        """Put a line into the index."""
        head = segments.read_head(line)
        if head is None:
            if segments.READER.match(line) and segments.is_whole(line):
                record = json.loads(line)
                self.identities[record["reader"]] = record["identity"]
            return
        self.tallies.setdefault(head.reader, Tally()).add(head, len(line))
        short, where = bytes.fromhex(head.key), number << 72 | place << 32 | len(line)
        if head.finish_reason == b"error":
            self.failed_places[short] = where
        elif self.places.setdefault(short, where) != where:
            known = [self.places[short], *self.others.get(short, ()), where]
            self.places[short], *self.others[short] = sorted(known, key=self.age)

    def age(self, where: int) -> tuple:
        """Return what orders readings under one key: when each was kept, and its segment's name where that is the same."""
        head = segments.read_head(self.line_at(where) or b"")
        return (head.at_ms if head else 2**63, self.paths[where >> 72].name, where)

    def line_at(self, where: int) -> bytes | None:
        """Return the line at a place; None where its segment is gone."""
        number, place, length = where >> 72, where >> 32 & 2**40 - 1, where & 2**32 - 1
        file = self.open_files.get(number)
        if file is None:
            try:
                file = self.paths[number].open("rb", buffering=0)
            except FileNotFoundError:
                return None
            if len(self.open_files) >= MAX_OPEN:
                self.open_files.pop(next(iter(self.open_files))).close()
            self.open_files[number] = file
        try:
            return os.pread(file.fileno(), length, place)
        except OSError:  # removed by another machine (NFS: a stale handle), or a disk that fails
            self.open_files.pop(number).close()
            return None

    def lines_of(self, key: str) -> Iterator[bytes]:
        """Yield the lines under a key, the one that counts first."""
        short = bytes.fromhex(key)
        for is_last in (False, True):
            places = [self.places[short], *self.others.get(short, ())] if short in self.places else []
            lines = [self.line_at(where) for where in places]
            yield from filter(None, lines)
            if None not in lines or is_last:
                return
            self.forget_gone()
            self.refresh()

    def forget_gone(self) -> None:
        """Drop from the index what lies in segments that are gone: packed, shared or pruned by another process."""
        gone = {number for path, number in self.numbers.items() if not path.exists()}
        for number in gone:
            del self.numbers[self.paths[number]]
        for short in [short for short, where in self.places.items() if where >> 72 in gone or short in self.others]:
            left = [where for where in (self.places.pop(short), *self.others.pop(short, ())) if where >> 72 not in gone]
            if left:
                self.places[short], *rest = left
                self.others |= {short: rest} if rest else {}
        self.failed_places = {short: where for short, where in self.failed_places.items() if where >> 72 not in gone}

    def holds(self, key: str) -> bool:
        """Return whether there is an undamaged reading under a key."""
        with self.lock:
            self.is_fresh or self.refresh()
            found = any(segments.is_whole(line) for line in self.lines_of(key))
            if not found and bytes.fromhex(key) in self.places:
                self.damaged.add(key)
            return found

    def get(self, key: str) -> Reading | None:
        """Return the reading under a key; None where there is none, or none undamaged."""
        with self.lock:
            self.is_fresh or self.refresh()
            return next((reading for line in self.lines_of(key) if (reading := segments.open_reading(line, key))), None)

    def has_failed(self, key: str) -> bool:
        """Return whether a reader has failed under this key, and never done better."""
        with self.lock:
            self.is_fresh or self.refresh()
            short = bytes.fromhex(key)
            return short in self.failed_places and short not in self.places

    def put(self, key: str, reading: Reading, identity: dict | None = None) -> None:
        """Keep a reading of the reader of that identity. A failure (`error`) is noted, and never given as a reading."""
        reader = segments.reader_digest(identity)
        with self.lock:
            self.is_fresh or self.refresh()
            if reader and (self.writer.path, reader) not in self.introduced:
                self.add(segments.seal_reader(identity, reader))
                self.introduced.add((self.writer.path, reader))
            self.add(segments.seal_reading(key, reader, reading))
        if self.share:
            self.share.offer(self.writer.path)

    def add(self, line: bytes) -> None:
        """Append a line and put it into the index."""
        path, place = self.writer.append(line)
        number = self.number_of(path)
        self.note(number, place, line)
        self.sizes[number] = place + len(line)

    def flush(self) -> None:
        """Return when all that was put is on disk, and where it is shared."""
        self.writer.flush()
        if self.share:
            self.share.flush()
