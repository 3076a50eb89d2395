"""Write what people checked: data/gold.jsonl, one row an image, safe for several people at once.

A row is `{page_id, sha256, text}`, found by the SHA-256 of the image's bytes; `text` null says that a person
looked and the image can't be used. Who wrote it and when is git's to say; until it is asked to, the decisions lie
beside the file, each `{author, before, row}` in its order: who, and what stood there before and after.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ocrtune.rows import index_rows, read_rows, write_rows

COLUMNS = ("sha256", "text")
REMEDY = 'mend that line: {"page_id": "...", "sha256": "<of the image, from data/pages/pages.jsonl>", "text": "..."}'
MOST_COMMITTED = 200  # decisions that are kept though git has them: they can still be taken back


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


def replace_row(path: Path, sha256: str, expected: dict | None, row: dict | None) -> None:
    """Put a row in the place of an image's, None: no row, if that is what is `expected`. The file is locked by the caller."""
    rows = read_gold(path)
    if rows.get(sha256) != expected:
        raise ConflictError(f"somebody else {describe(rows.get(sha256))} in the meantime; nothing was changed", rows.get(sha256))
    rows.pop(sha256, None)
    write_rows(path, [*rows.values(), *([row] if row else [])])


def describe(row: dict | None) -> str:
    """Return what somebody did who left this row."""
    if row is None:
        return "took it out"
    return "rejected it" if row["text"] is None else f"wrote {json.dumps(row['text'], ensure_ascii=False)}"


def put_gold(path: Path, page_id: str, sha256: str, text: str | None, expected: dict | None, author: str | None = None) -> dict:
    """Keep a checked text, on disk when this returns, and return its row; `author` None: who git says.

    `expected` is the row that the person saw, None: none. Where another stands there now, nothing is
    written and a `ConflictError` holds it.
    """
    row = {"page_id": page_id, "sha256": sha256, "text": text}
    with locked(path):
        decisions = read_decisions(path)
        replace_row(path, sha256, expected, row)
        write_decisions(path, [*decisions, {"author": author, "before": expected, "row": row}])
    return row


def take_back(path: Path, author: str | None = None) -> dict | None:
    """Undo the last decision of a person and return its row; None: there is none.

    Where somebody changed the row since, it stays (`ConflictError`), and the next call undoes the decision before.
    """
    with locked(path):
        decisions = read_decisions(path)
        at = next((at for at in reversed(range(len(decisions))) if decisions[at]["author"] == author), None)
        if at is None:
            return None
        last = decisions.pop(at)
        try:
            replace_row(path, last["row"]["sha256"], last["row"], last["before"])
        except ConflictError as error:
            write_decisions(path, decisions)
            raise ConflictError(f"{last['row']['page_id']}: not undone: {error}", error.row) from None
        write_decisions(path, decisions)
    return last["row"]


def decisions_file(path: Path) -> Path:
    """Return where the decisions on a gold file lie."""
    return path.with_name(f".{path.name}.decisions")


def read_decisions(path: Path) -> list[dict]:
    """Return the decisions on a gold file that git does not hold yet, and some before, oldest first."""
    found = decisions_file(path)
    return read_rows(found, ("author", "before", "row")) if found.is_file() else []


def write_decisions(path: Path, decisions: list[dict]) -> None:
    """Keep the decisions on a gold file, which is locked by the caller."""
    write_rows(decisions_file(path), decisions, key=None)
