"""Write what people checked: data/gold.jsonl, one row an image, safe for several people at once.

A row is `{page_id, sha256, text}`, found by the SHA-256 of the image's bytes; `text` null says that a person
looked and the image can't be used. Who wrote it and when is git's to say.
"""

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ocrtune.rows import index_rows, read_rows, write_rows

COLUMNS = ("sha256", "text")
REMEDY = 'mend that line: {"page_id": "...", "sha256": "<of the image, from data/pages/pages.jsonl>", "text": "..."}'


class ConflictError(ValueError):
    """Somebody else wrote the same row in the meantime; `row` is what stands there now."""

    def __init__(self, message: str, row: dict | None):
        super().__init__(message)
        self.row = row


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file against other writers, in this process and in others. A killed holder lets go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the file: the file itself is replaced by each writer, and a lock on it would hold a copy that is gone.
    with path.with_name(f".{path.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_gold(path: Path) -> dict[str, dict]:
    """Return the rows by SHA-256; none where there is no file. A broken line is a `RowError` naming it."""
    return index_rows(read_rows(path, COLUMNS, REMEDY), "sha256", str(path)) if path.is_file() else {}


def change_row(path: Path, sha256: str, expected: dict | None, choose: Callable[[], dict | None]) -> None:
    """Replace the row of an image by what `choose` returns, None: no row, if it still is what is `expected`."""
    with locked(path):
        rows = read_gold(path)
        if rows.get(sha256) != expected:
            raise ConflictError(f"somebody else {describe(rows.get(sha256))} in the meantime; nothing was changed", rows.get(sha256))
        row = choose()
        rows.pop(sha256, None)
        write_rows(path, [*rows.values(), *([row] if row else [])])


def describe(row: dict | None) -> str:
    """Return what somebody did who left this row."""
    if row is None:
        return "took it out"
    return "rejected it" if row["text"] is None else f"wrote {json.dumps(row['text'], ensure_ascii=False)}"


def put_gold(path: Path, page_id: str, sha256: str, text: str | None, expected: dict | None) -> dict:
    """Keep a checked text, on disk when this returns, and return its row.

    `expected` is the row that the person saw, None: none. Where another stands there now, nothing is
    written and a `ConflictError` holds it.
    """
    row = {"page_id": page_id, "sha256": sha256, "text": text}
    change_row(path, sha256, expected, lambda: row)
    return row


def restore_gold(path: Path, written: dict, before: dict | None) -> None:
    """Take a row back to what it was before; not if somebody changed it since (`ConflictError`)."""
    change_row(path, written["sha256"], written, lambda: before)
