"""Write segments anew, without what nobody needs: damaged lines, doubles, readings that are to go.

The new segment is complete and on disk before the old ones are removed: a kill at any moment leaves doubles and loses
nothing. Nor is anything lost where a living writer was taken for dead: what it appends until its file is removed is copied
after the removal, and what it appends later it writes again, to another file.
"""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ocrtune.store import segments
from ocrtune.store.segments import Head
from ocrtune.store.store import Store

SMALL_BYTES = 2**20
MOST_SMALL = 64  # segments without a writer; with more, they are packed when the store is opened


@dataclass
class Packed:
    """What packing did, in lines."""

    kept: int = 0
    dropped: int = 0  # readings that were to go
    doubles: int = 0
    damaged: int = 0


def closed_segments(store: Store) -> list[Path]:
    """Return the segments that nobody appends to any more."""
    store.refresh()
    return [path for path in store.numbers if path.parent != store.folder or not segments.has_writer(path)]


def tidy(store: Store) -> None:
    """Pack small segments where there are many: each run that reads something leaves one."""
    found = [path for path in store.folder.glob(f"*{segments.SUFFIX}") if not segments.has_writer(path)]
    small = [path for path in found if path.exists() and path.stat().st_size < SMALL_BYTES]
    if len(small) > MOST_SMALL:
        pack(store, small)


def pack(store: Store, paths: list[Path], keep: Callable[[Head], bool] = lambda head: True) -> Packed:
    """Write the readings of these segments that `keep` wants to one new segment, and remove the old."""
    store.refresh()
    packed, ends = Packed(), {}
    old = {path: path.open("rb") for path in paths if path in store.numbers and path.is_file()}
    new = store.folder / f"packed-{secrets.token_hex(6)}{segments.SUFFIX}"
    try:
        with (partial := new.with_suffix(".partial")).open("wb") as file:
            introduced: set[str] = set()
            for path in old:
                ends[path] = 0
                for place, line in segments.read_lines(path):
                    ends[path] = place + len(line)
                    if head := choose(store, store.numbers[path], place, line, keep, packed):
                        if head.reader in store.identities and head.reader not in introduced:
                            introduced.add(head.reader)
                            file.write(segments.seal_reader(store.identities[head.reader], head.reader))
                        file.write(line)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(new)
        segments.sync_folder(store.folder)
        if not packed.kept:
            new.unlink()
        if store.share:
            store.share.replace(new if packed.kept else None, [path for path in old if path.parent == store.share.copy])
        for path, file in old.items():
            path.unlink(missing_ok=True)
            file.seek(ends[path])
            late, _, _ = file.read().rpartition(b"\n")  # behind the last line's end: one that was never finished
            if late:
                (store.folder / f"late-{secrets.token_hex(6)}{segments.SUFFIX}").write_bytes(late + b"\n")
    finally:
        for file in old.values():
            file.close()
    store.forget_gone()
    store.refresh()
    return packed


def choose(store: Store, number: int, place: int, line: bytes, keep: Callable[[Head], bool], packed: Packed) -> Head | None:
    """Return the head of a line that is to stay, and count what becomes of it."""
    head = segments.read_head(line)
    if not segments.is_whole(line):
        packed.damaged += 1
    elif head is None:
        return None  # who a reader is; that is written again with its first reading
    elif not keep(head):
        packed.dropped += 1
    elif not counts_for_its_key(store, head, number << 72 | place << 32 | len(line)):
        packed.doubles += 1
    else:
        packed.kept += 1
        return head
    return None


def counts_for_its_key(store: Store, head: Head, where: int) -> bool:
    """Return whether a line is the first undamaged one of its key or, where all attempts failed, the last."""
    key = bytes.fromhex(head.key)
    places = [store.places[key], *store.others.get(key, ())] if key in store.places else []
    if head.finish_reason == b"error":
        return not places and store.failed_places.get(key) == where
    return where == next((place for place in places if segments.is_whole(store.line_at(place) or b"")), None)


@dataclass
class Check:
    """What is found in a segment, in lines."""

    readings: int = 0
    damaged: int = 0
    torn_bytes: int = 0  # at the end: a line that a killed process began


def check_segment(path: Path) -> Check:
    """Look at every byte of a segment."""
    check, end = Check(), 0
    for place, line in segments.read_lines(path):
        end = place + len(line)
        check.damaged += not segments.is_whole(line)
        check.readings += segments.is_whole(line) and segments.read_head(line) is not None
    check.torn_bytes = path.stat().st_size - end
    return check
