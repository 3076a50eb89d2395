"""Write a file of rows that may come in any order, and hold none of them in memory."""

import json
import os
from pathlib import Path


class SortedRows:
    """A file of rows in the making. Leaving its context sorts it by page_id and puts it in place, whole or not at all."""

    def __init__(self, path: Path):
        self.path, self.partial = path, path.with_name(f".{path.name}.{os.getpid()}.partial")
        self.places: list[tuple[str, int, int]] = []
        self.size = 0

    def __enter__(self) -> "SortedRows":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.partial.open("w+b")
        return self

    def __len__(self) -> int:
        return len(self.places)

    def add(self, row: dict) -> None:
        """Add a row. Lone surrogates, which UTF-8 can't hold, become U+FFFD."""
        line = json.dumps(row, ensure_ascii=False) + "\n"
        content = line.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="replace").encode()
        self.file.write(content)
        self.places.append((row["page_id"], self.size, len(content)))
        self.size += len(content)

    def __exit__(self, kind, error, trace) -> None:
        try:
            if error is None and self.places != (ordered := sorted(self.places)):
                self.sort(ordered)
        finally:
            self.file.close()
            if error is None:
                self.partial.replace(self.path)
            else:
                self.partial.unlink()

    def sort(self, ordered: list[tuple[str, int, int]]) -> None:
        """Write the rows anew, in order."""
        copy = self.partial.with_name(f"{self.partial.name}.sorted.partial")
        with copy.open("w+b") as file:
            for _, place, length in ordered:
                self.file.seek(place)
                file.write(self.file.read(length))
        copy.replace(self.partial)
