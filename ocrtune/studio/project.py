"""The project that is looked at: its folders, and its rows as they stand on disk at the moment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ocrtune.rows import RowError, index_rows, read_rows

Stamp = tuple[int, int] | None


class Project:
    """The folders of a project. Rows are kept until their file changes, so 50,000 of them are parsed once."""

    def __init__(self, root: Path, eval_dirs: list[Path] | None = None):
        self.root = root.resolve()
        self.eval_dirs = [settle(place) for place in eval_dirs or []]
        self.kept: dict[Any, tuple[Any, Any]] = {}

    @property
    def pages_folder(self) -> Path:
        return self.root / "data" / "pages"

    @property
    def splits_folder(self) -> Path:
        return self.root / "data" / "splits"

    @property
    def labels_folder(self) -> Path:
        return self.root / "data" / "labels"

    @property
    def gold_file(self) -> Path:
        return self.root / "data" / "gold.jsonl"

    @property
    def params_file(self) -> Path:
        return self.root / "params.yaml"

    def keep(self, name: Any, files: list[Path], load: Callable[[], Any]) -> Any:
        """Return what `load` makes of some files, loading anew where one of them changed."""
        return self.keep_while(name, [stamp(path) for path in files], load)

    def keep_while(self, name: Any, state: Any, load: Callable[[], Any]) -> Any:
        """Return what `load` makes, loading anew where `state` is not what it was."""
        kept = self.kept.get(name)
        if kept is None or kept[0] != state:
            kept = self.kept[name] = (state, load())
        return kept[1]

    def read(self, path: Path, columns: tuple[str, ...] = ()) -> list[dict]:
        """Return a file's rows in their order; a missing or broken file is a `RowError` with the path from the project's root."""
        try:
            return read_rows(path, columns)
        except RowError as error:
            raise RowError(str(error).replace(str(path), self.show(path))) from None

    def rows(self, path: Path, columns: tuple[str, ...], key: str = "page_id") -> dict[str, dict]:
        """Return a file's rows by `key`; a missing or broken file is a `RowError` with the path from the project's root."""
        return self.keep(path, [path], lambda: index_rows(self.read(path, columns), key, self.show(path)))

    def pages(self) -> dict[str, dict]:
        """Return the rows of pages.jsonl by page_id."""
        return self.rows(self.pages_folder / "pages.jsonl", ("page_id", "doc_id", "page", "image", "sha256"))

    def examples(self) -> dict[str, dict]:
        """Return the rows of all splits by page_id, each with its `split`."""
        files = [self.splits_folder / f"{name}.jsonl" for name in ("train", "val", "test")]

        def load() -> dict[str, dict]:
            return {page_id: row | {"split": path.stem, "image": path.parent / row["image"]} for path in files if path.is_file()
                    for page_id, row in self.rows(path, ("page_id", "doc_id", "image", "text", "origin")).items()}

        return self.keep("examples", files, load)

    def labels(self) -> dict[str, dict]:
        """Return the teacher's labels by page_id; none before teacher_label ran."""
        path = self.labels_folder / "labels.jsonl"
        return self.rows(path, ("page_id", "text")) if path.is_file() else {}

    def refused_labels(self) -> dict[str, dict]:
        """Return the pages that got no label, with their reasons, by page_id."""
        path = self.labels_folder / "refused.jsonl"
        return self.rows(path, ("page_id", "reason")) if path.is_file() else {}

    def gold(self) -> dict[str, dict]:
        """Return the texts that people checked by the SHA-256 of the image."""
        return self.rows(self.gold_file, ("page_id", "sha256", "text"), "sha256") if self.gold_file.is_file() else {}

    def show(self, path: Path) -> str:
        """Return a path as a person of this project knows it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def settle(path: Path) -> Path:
    """Return a path in full; a file that is a link, as out of a cache of DVC, keeps its name."""
    return path.resolve() if path.is_dir() else path.parent.resolve() / path.name


def stamp(path: Path) -> Stamp:
    """Return what changes with a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
