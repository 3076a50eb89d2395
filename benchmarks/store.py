"""Open a store of many readings when nothing is new: seconds, and memory that does not grow with the texts.

    python -m benchmarks.store --rows 100000

Each figure is a process of its own. Beside ours go two plain ways to keep answers: one JSON Lines file that is read into a
dictionary at the start, and a file for each answer, named by its key.
"""

import contextlib
import io
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

IDENTITY = {"type": "api", "model": "m"}


class Silent:
    """A reader that must not be asked."""

    identity = IDENTITY

    def read(self, pages):
        raise AssertionError("nothing is new")


def make_pages(rows: int):
    """Yield pages one by one, as a stage reads its rows."""
    from ocrtune.reading import Page

    for number in range(rows):
        yield Page(f"p{number:06}", Path("absent.png"), f"{number:064x}")


def make_text(number: int, chars: int) -> str:
    return f"{number} lines of a page, ".ljust(chars, "abcdefghij "[number % 11])


def fill_ours(folder: Path, rows: int, chars: int) -> None:
    from ocrtune.reading import Reading
    from ocrtune.store.store import Store, reading_key

    store = Store(folder)
    for number, page in enumerate(make_pages(rows)):
        store.put(reading_key(page, IDENTITY), Reading(make_text(number, chars)), IDENTITY)
    store.flush()


def fill_lines(folder: Path, rows: int, chars: int) -> None:
    from ocrtune.store.store import reading_key

    folder.mkdir()
    with (folder / "answers.jsonl").open("w") as file:
        for number, page in enumerate(make_pages(rows)):
            file.write(json.dumps({"key": reading_key(page, IDENTITY), "text": make_text(number, chars)}) + "\n")
            file.flush()


def fill_files(folder: Path, rows: int, chars: int) -> None:
    from ocrtune.store.store import reading_key

    folder.mkdir()
    for number, page in enumerate(make_pages(rows)):
        (folder / reading_key(page, IDENTITY)).write_text(make_text(number, chars))


def open_ours(folder: Path, rows: int) -> int:
    """Ask for all pages, of which none is new, and hand out every text once."""
    from ocrtune.store.readings import read_pages
    from ocrtune.store.store import Store

    with contextlib.redirect_stdout(io.StringIO()):
        readings = read_pages(Silent(), make_pages(rows), Store(folder), "benchmark")
    return sum(len(reading.text) for _, reading in readings.values())


def open_lines(folder: Path, rows: int) -> int:
    from ocrtune.store.store import reading_key

    with (folder / "answers.jsonl").open() as file:
        texts = {row["key"]: row["text"] for row in map(json.loads, file)}
    return sum(len(texts[reading_key(page, IDENTITY)]) for page in make_pages(rows))


def open_files(folder: Path, rows: int) -> int:
    from ocrtune.store.store import reading_key

    return sum(len((folder / reading_key(page, IDENTITY)).read_text()) for page in make_pages(rows))


def memory(name: str) -> float:
    """Return MB of this process from Linux: `VmRSS` now, `VmHWM` at most."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(f"{name}:"))


def measured(report, work, *arguments) -> None:
    """Do some work and report its seconds and by how many MB the process grew at most."""
    import tqdm  # noqa: F401  what is imported is not what is measured

    import ocrtune.store.readings  # noqa: F401

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew; that of getrusage would be the parent's
    before, began = memory("VmRSS"), time.perf_counter()
    result = work(*arguments)
    report.send((time.perf_counter() - began, memory("VmHWM") - before, result))


def alone(work, *arguments) -> tuple[float, float, object]:
    """Do some work in a process of its own; return its seconds, MB and result."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=measured, args=(theirs, work, *arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


WAYS = {"ours": (fill_ours, open_ours), "one file, read whole": (fill_lines, open_lines), "a file for each": (fill_files, open_files)}


def main(
    rows: Annotated[int, typer.Option(help="readings in the store")] = 100_000,
    chars: Annotated[list[int] | None, typer.Option(help="characters of a text")] = None,
) -> None:
    """Print what it takes to find that nothing is new."""
    for size in chars or [500, 4000]:
        for name, (fill, find) in WAYS.items():
            with tempfile.TemporaryDirectory() as root:
                filled, _, _ = alone(fill, Path(root) / "store", rows, size)
                seconds, megabytes, found = alone(find, Path(root) / "store", rows)
            assert found == sum(len(make_text(number, size)) for number in range(rows))
            print(f"{rows:,} readings of {size:,} characters, {name}: kept in {filled:.1f} s ({1e6 * filled / rows:.0f} us each); "
                  f"with nothing new, all found and handed out in {seconds:.1f} s and {megabytes:.0f} MB", flush=True)


if __name__ == "__main__":
    typer.run(main)
