"""Read and write rows: JSON Lines files, one object a line, sorted by their key.

Writing is atomic and byte for byte repeatable: sorted rows, fixed key order, UTF-8, line feeds.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


class RowError(ValueError):
    """A file of rows that can't be used; says where, what, and what to do."""


def iterate_rows(path: Path, columns: Iterable[str] = (), remedy: str = "rerun the stage that wrote it") -> Iterator[dict]:
    """Yield the rows of a file; a line that is no object or lacks one of `columns` is a `RowError` naming it, and what to do.

    Empty lines, as people's editors leave them, are passed over.
    """
    columns = tuple(columns)
    if not path.is_file():
        raise RowError(f"{path}: no such file; run the stage that writes it (dvc repro), or correct the name")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise RowError(f"{path}:{number}: not JSON: {error}; {remedy}") from None
            missing = [name for name in columns if not isinstance(row, dict) or name not in row]
            if missing or not isinstance(row, dict):
                raise RowError(f"{path}:{number}: not a row: missing {', '.join(missing) or 'everything'}; {remedy}")
            yield row


def read_rows(path: Path, columns: Iterable[str] = (), remedy: str = "rerun the stage that wrote it") -> list[dict]:
    """Return the rows of a file, in its order; see `iterate_rows`."""
    return list(iterate_rows(path, columns, remedy))


def index_rows(rows: Iterable[dict], key: str = "page_id", source: str = "rows") -> dict[str, dict]:
    """Return rows by key; a key that occurs twice is a `RowError` naming it."""
    by_key: dict[str, dict] = {}
    for row in rows:
        if row[key] in by_key:
            raise RowError(f"{source}: {key} {row[key]!r} occurs twice; a row must be found by its id")
        by_key[row[key]] = row
    return by_key


def write_rows(path: Path, rows: Iterable[dict], key: str | None = "page_id") -> int:
    """Write rows sorted by `key` (None: as they come) and return how many; the file appears whole or not at all."""
    rows = list(rows) if key is None else sorted(rows, key=lambda row: row[key])
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return len(rows)


def write_json(path: Path, value: object) -> None:
    """Write an object as readable JSON, keys in the order given."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all. Lone surrogates, which UTF-8 can't hold, become U+FFFD."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace").encode())
    partial.replace(path)


def check_counts(stage: str, rows_in: int, rows_out: int, refused: int) -> None:
    """Print what a stage took, gave and refused; a row that is neither given nor refused is an error."""
    print(f"{stage}: {rows_in} in, {rows_out} out, {refused} refused")
    if rows_in != rows_out + refused:
        raise RowError(f"{stage}: {rows_in} rows in but {rows_out} out and {refused} refused: rows were lost; please report this")
