"""Look after the store of readings: what is in it, whether it is whole, in and out of it, and what may go.

    python -m tools.store list
    python -m tools.store refill --rev HEAD~3
    python -m tools.store prune --older-than 90 --dry-run

The store is `.readings`, or where OCRTUNE_STORE says. Any of these may be killed and run again, and run beside the pipeline.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)
MEASURES = ("letter-places", "measures")  # what we measure ourselves: no row refers to it, and it is worth keeping


def list_store() -> None:
    """Print each reader with what the store holds of it, and what reading has cost so far."""
    import json

    from ocrtune.store.budget import read_log
    from ocrtune.store.store import open_store

    store = open_store()
    store.refresh()
    entries = read_log(store.folder)
    print(f"{store.folder}: {len(store.places):,} readings in {len(store.numbers)} segments, {sum(store.sizes) / 1e6:,.1f} MB")
    for reader, tally in sorted(store.tallies.items(), key=lambda item: -item[1].num_bytes):
        cost = sum(entry["cost"] for entry in entries if entry["reader"] == reader)
        identity = store.identities.get(reader)
        print(f"{reader or '-':16}  {tally.num_readings:>9,} readings  {tally.num_failed:>6,} failures  {tally.num_bytes / 1e6:>9,.1f} MB"
              f"  {tally.prompt_tokens + tally.completion_tokens:>13,} tokens  cost {cost:,.2f}")
        print(f"    {json.dumps(identity, ensure_ascii=False)[:200] if identity else 'readers not known: refilled or imported rows'}")


def verify_store(repair: bool) -> None:
    """Look at every byte; damaged lines are an error unless `repair` takes them out."""
    from tqdm import tqdm

    from ocrtune.store.packing import check_segment, closed_segments, pack
    from ocrtune.store.store import open_store

    store = open_store()
    closed, damaged, broken = set(closed_segments(store)), 0, []
    for path in tqdm(list(store.numbers), desc="verify", unit="segment"):
        check = check_segment(path)
        damaged += check.damaged
        if check.damaged or (check.torn_bytes and path in closed):
            broken.append(path)
            print(f"{path}: {check.readings} whole readings, {check.damaged} damaged lines, {check.torn_bytes} bytes of a line never ended")
    print(f"{len(store.places):,} readings in {len(store.numbers)} segments, {damaged} damaged lines")
    if repair and broken:
        packed = pack(store, [path for path in broken if path in closed])
        damaged -= packed.damaged
        print(f"repaired: {packed.kept} readings kept, {packed.damaged} damaged lines taken out")
    if damaged:
        raise ValueError(f"{damaged} damaged lines: their pages are read again when they are needed; verify --repair takes out those "
                         "in segments that nobody writes to")


def export_store(path: Path, reader: str | None) -> None:
    """Write the readings as rows, one a key, sorted."""
    import json

    from tqdm import tqdm

    from ocrtune.store.segments import read_head
    from ocrtune.store.store import open_store

    store, count = open_store(), 0
    store.refresh()
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("w", encoding="utf-8", errors="surrogatepass") as file:
        for key in tqdm(sorted(store.places), desc="export", unit="reading"):
            head = next((read_head(line) for line in store.lines_of(key.hex())), None)
            if head is None or (reader is not None and head.reader != reader) or (reading := store.get(head.key)) is None:
                continue
            row = {"key": head.key, "reader": store.identities.get(head.reader), "finish_reason": reading.finish_reason,
                   "tokens": reading.tokens, "text": reading.text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    partial.replace(path)
    print(f"{path}: {count:,} readings")


def take_over(store, readings) -> tuple[int, int]:
    """Put readings (key, reading, identity of its reader) that it lacks into a store; return how many came, and how many were new."""
    counts = [0, 0]
    for key, reading, identity in readings:
        if is_new := not store.holds(key):
            store.put(key, reading, identity)
        counts[is_new] += 1
    store.flush()
    return sum(counts), counts[True]


def import_rows(paths: list[Path]) -> None:
    """Put the readings of rows into the store: those of `export`, of labels.jsonl, of predictions; what it has already stays."""
    from ocrtune.store.store import open_store
    from ocrtune.store.tracked_rows import read_file

    store = open_store()
    counts = {path: take_over(store, read_file(path)) for path in paths}
    total, new = (sum(column) for column in zip(*counts.values(), strict=True))
    print(f"{total:,} readings in {len(paths)} files, {new:,} of them new")
    without = [str(path) for path, (count, _) in counts.items() if not count]
    if without:
        raise ValueError(f"{', '.join(without)}: no readings; name files of `export`, labels or predictions")


def refill_store(revs: list[str]) -> None:
    """Put into the store what the rows of these git revisions hold, or those of the workspace and of HEAD."""
    from ocrtune.store.store import open_store
    from ocrtune.store.tracked_rows import tracked_readings
    from ocrtune.workspace import main_root

    total, new = take_over(open_store(), tracked_readings(main_root(), revs or [None, "HEAD"]))
    print(f"{total:,} readings in the rows of {', '.join(revs) or 'the workspace and HEAD'}, {new:,} of them new")


def prune_store(keep_revs: list[str], older_than: float | None, reader: str | None, dry_run: bool) -> None:
    """Remove the readings that meet every condition given; none given is an error."""
    import time

    from ocrtune.store.packing import Packed, choose, closed_segments, pack
    from ocrtune.store.segments import Head, read_lines
    from ocrtune.store.store import open_store
    from ocrtune.store.tracked_rows import tracked_readings
    from ocrtune.workspace import main_root

    if not keep_revs and older_than is None and reader is None:
        raise ValueError("say what may go: --keep-rev, --older-than or --reader; all conditions given must be met")
    store = open_store()
    closed = closed_segments(store)
    named = {found for found in store.identities if store.identities[found].get("type") in MEASURES}
    referred = {bytes.fromhex(key) for key, *_ in tracked_readings(main_root(), keep_revs)} if keep_revs else set()
    if keep_revs and not referred:
        raise ValueError(f"no readings found in the rows of {', '.join(keep_revs)}: everything would go; `dvc fetch` them first")
    limit_ms = None if older_than is None else (time.time() - older_than * 86_400) * 1000

    def keep(head: Head) -> bool:
        return ((reader is not None and head.reader != reader) or (limit_ms is not None and head.at_ms >= limit_ms)
                or (bool(keep_revs) and (bytes.fromhex(head.key) in referred or head.reader in named)))

    if dry_run:
        packed = Packed()
        for path in closed:
            for place, line in read_lines(path):
                choose(store, store.numbers[path], place, line, keep, packed)
    else:
        packed = pack(store, closed, keep)
    print(f"{'would remove' if dry_run else 'removed'} {packed.dropped:,} readings, {packed.doubles:,} doubles and {packed.damaged:,} "
          f"damaged lines; {packed.kept:,} readings stay")
    if left := len(store.numbers) - len(closed_segments(store)):
        print(f"{left} segments are still being written to, and were left alone")


def pack_store() -> None:
    """Join the segments that nobody writes to, and drop doubles and damaged lines."""
    from ocrtune.store.packing import closed_segments, pack
    from ocrtune.store.store import open_store

    store = open_store()
    closed = closed_segments(store)
    packed = pack(store, closed)
    print(f"{len(closed)} segments joined: {packed.kept:,} readings; {packed.doubles:,} doubles and {packed.damaged:,} damaged lines gone")


def do(body, *arguments) -> None:
    """Run a command; a mistake of the user's is one message."""
    from ocrtune.params.load import report_errors

    with report_errors():
        try:
            body(*arguments)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read our output, as `head` does, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None


@app.callback()
def main() -> None:
    """Look after the store of readings."""


@app.command("list")
def list_command() -> None:
    """Show the readers, how much the store holds of each, and what that has cost."""
    do(list_store)


@app.command()
def verify(repair: Annotated[bool, typer.Option("--repair", help="take damaged lines out")] = False) -> None:
    """Look at every byte; exit 1 where something is damaged."""
    do(verify_store, repair)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="JSONL file to write")],
    reader: Annotated[str | None, typer.Option(help="only this reader's, by the name that `list` shows")] = None,
) -> None:
    """Write the readings to a file."""
    do(export_store, path, reader)


@app.command("import")
def import_command(paths: Annotated[list[Path], typer.Argument(help="files of `export`, or of labels or predictions")]) -> None:
    """Take readings over from files."""
    do(import_rows, paths)


@app.command()
def refill(rev: Annotated[list[str] | None, typer.Option(help="git revision; may be given more than once")] = None) -> None:
    """Take readings over from the labels and predictions that DVC tracks; without --rev, of the workspace and of HEAD."""
    do(refill_store, rev or [])


@app.command()
def prune(
    keep_rev: Annotated[list[str] | None, typer.Option(help="what the rows of this git revision refer to stays")] = None,
    older_than: Annotated[float | None, typer.Option(help="days; what is younger stays")] = None,
    reader: Annotated[str | None, typer.Option(help="name that `list` shows; what others read stays")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, and leave it there")] = False,
) -> None:
    """Remove readings that meet all conditions given."""
    do(prune_store, keep_rev or [], older_than, reader, dry_run)


@app.command()
def pack() -> None:
    """Join small segments to a large one."""
    do(pack_store)


if __name__ == "__main__":
    app()
