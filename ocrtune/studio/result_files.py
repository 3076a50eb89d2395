"""Files of results: which there are, by which names, and the rows in them.

A file of results is one of
- predictions as evaluate writes them, `{page_id, text, finish_reason}`;
- JSON Lines that bring their own reference: `{image, reference or label, prediction}`;
- a report of an earlier system: `{"samples": [{"image_path", "label", "prediction"}]}`.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from ocrtune.rows import RowError
from ocrtune.studio.project import Project

MOST_BYTES = 1 << 20  # looked through for a key of results: a long reference may stand before the first prediction


def list_files(project: Project) -> dict[str, Path]:
    """Return the files of results by name: the pipeline's readers, then what lies in the places given on the command line.

    A file has one name, and a name one file: what was given is called by its folder and name, and by more of its path where
    another file is called so.
    """
    own = {path.stem: path for path in sorted((project.root / "data" / "predictions").glob("*.jsonl"))}
    given: dict[Path, None] = {}
    for place in project.eval_dirs:
        files = [place] if place.is_file() else filter(holds_results, sorted([*place.glob("*.jsonl"), *place.glob("*.json")]))
        given |= dict.fromkeys(path for path in files if path not in own.values())
    return own | dict(zip(tell_apart(list(given), 2), given, strict=True))


def holds_results(path: Path) -> bool:
    """Return whether a file looks like results, by its beginning; figures of a reader lie in the same folders."""
    with path.open("rb") as file:
        beginning = file.read(MOST_BYTES)
    return any(name in beginning for name in (b'"prediction"', b'"samples"', b'"finish_reason"'))


def tell_apart(paths: Sequence[PurePath], least: int = 1) -> list[str]:
    """Return of each path the shortest end, of `least` parts or more, that no other path has; equal paths stay alike.

    >>> tell_apart([PurePath("a/x/1.png"), PurePath("b/x/1.png"), PurePath("b/2.png")])
    ['a/x/1.png', 'b/x/1.png', '2.png']
    """
    names, left, size = [""] * len(paths), list(range(len(paths))), least
    while left:
        for at in left:
            names[at] = str(PurePath(*paths[at].parts[-size:]))
        times = Counter(names[at] for at in left)
        left = [at for at in left if times[names[at]] > 1 and size < len(paths[at].parts)]
        size += 1
    return names


def read_result_rows(project: Project, path: Path) -> list[dict]:
    """Return the rows of a file in any of the three shapes."""
    if path.suffix != ".json":
        return project.read(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RowError(f"{path.name}: not JSON: {error}") from None
    rows = value.get("samples") if isinstance(value, dict) else value
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise RowError(f"{path.name}: no results: expected a list of objects, or an object with `samples`")
    return rows


def first_of(row: dict, *names: str) -> str | None:
    """Return the first text that a row holds under one of these names."""
    return next((row[name] for name in names if isinstance(row.get(name), str)), None)


def name_pages(rows: list[dict], source: str) -> list[str]:
    """Return the id of each row's page: its own, else its picture's name, with folders where two pictures are named alike.

    A page that occurs twice is a `RowError`.
    """
    ids = [first_of(row, "page_id") for row in rows]
    pictures = {at: PurePath(picture) for at, row in enumerate(rows)
                if ids[at] is None and (picture := first_of(row, "image", "image_path", "img_path"))}
    times = Counter(picture.stem for picture in pictures.values())
    tails = dict(zip(pictures, tell_apart(list(pictures.values())), strict=True))
    found: dict[str, int] = {}
    for at, page_id in enumerate(ids):
        picture = pictures.get(at)
        name = page_id or (f"row {at + 1}" if picture is None else picture.stem if times[picture.stem] == 1 else tails[at])
        if name in found:
            raise RowError(f"{source}:{at + 1}: {name} is in row {found[name]} already; a page is found by its id: take one of them out")
        found[name] = at + 1
    return list(found)
