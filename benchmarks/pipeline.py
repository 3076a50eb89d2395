"""What the pipeline itself costs: a run with nothing to do, a clone that fetches what others ran, documents rendered on Ray.

    python -m benchmarks.pipeline                 # in a folder where `dvc repro` has run and dvc.lock is committed
    python -m benchmarks.pipeline --folder DEMO --rounds 5

Each figure is set beside a plainer thing in the same run, by turns: `dvc repro` beside `dvc status`, pull and repro of a fresh clone
beside a copy of the same bytes, Ray beside the local pool with the same number of processes.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated

import typer


def run(folder: Path, *words: str) -> str:
    """Run a program of this environment in a folder and return what it printed; a failure ends the benchmark."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for name in ("PYTHONPATH", "DVC_ROOT"):
        environment.pop(name, None)
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {folder} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def timed(work: Callable, *arguments) -> float:
    """Return the seconds that some work takes."""
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def by_turns(rounds: int, ours: Callable[[int], float], theirs: Callable[[int], float]) -> tuple[float, float, list[float]]:
    """Return the medians of both, in seconds, and their ratio round by round."""
    pairs = [(ours(number), theirs(number)) for number in range(rounds)]
    return median(our for our, _ in pairs), median(their for _, their in pairs), [our / their for our, their in pairs]


def shown(ratios: list[float]) -> str:
    return f"{median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def idle(folder: Path, rounds: int) -> None:
    """Print what a repro with nothing to do takes."""
    run(folder, "dvc", "status")  # the caches of files are warm for both

    def repro(_: int) -> float:
        began, told = time.perf_counter(), run(folder, "dvc", "repro")
        seconds = time.perf_counter() - began
        if "Running stage" in told:
            raise SystemExit(f"{folder}: dvc repro had stages to run; run it to its end and commit dvc.lock, then measure")
        return seconds

    ours, theirs, ratios = by_turns(rounds, repro, lambda _: timed(run, folder, "dvc", "status"))
    print(f"nothing to do: dvc repro {ours:.2f} s, dvc status {theirs:.2f} s: {shown(ratios)}", flush=True)


def fetch(folder: Path, rounds: int) -> None:
    """Print what a fresh clone takes to have all that was run, beside a copy of the same bytes."""
    with tempfile.TemporaryDirectory(prefix="ocrtune-bench-") as name:
        root = Path(name)

        def clone(number: str) -> Path:
            run(root, "git", "clone", "--quiet", str(folder.resolve()), number)
            run(root / number, "dvc", "remote", "add", "--force", "--default", "bench", str(root / "remote"))
            return root / number

        run(folder, "dvc", "remote", "add", "--local", "bench", str(root / "remote"))
        try:
            run(folder, "dvc", "push", "--quiet", "--run-cache", "--remote", "bench")
        finally:
            run(folder, "dvc", "remote", "remove", "--local", "bench")
        files = [path for path in (root / "remote").rglob("*") if path.is_file()]
        print(f"a fresh clone: {len(files):,} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB", flush=True)
        parts = []

        def ours(number: int) -> float:
            there = clone(f"clone{number}")
            pulled = timed(run, there, "dvc", "pull", "--quiet", "--run-cache")
            began, told = time.perf_counter(), run(there, "dvc", "repro")
            reproduced = time.perf_counter() - began
            if "Running stage" in told:
                raise SystemExit(f"{there}: dvc repro ran stages; commit dvc.lock first")
            parts.append((pulled, reproduced))
            shutil.rmtree(there)
            return pulled + reproduced

        seconds, copied, ratios = by_turns(rounds, ours, lambda number: timed(run, root, "cp", "-r", "remote", f"copy{number}"))
        halves = [median(part[place] for part in parts) for place in (0, 1)]
        print(f"  dvc pull {halves[0]:.2f} s + dvc repro of no stage {halves[1]:.2f} s = {seconds:.2f} s; cp -r of the same bytes "
              f"{copied:.2f} s: {shown(ratios)}", flush=True)


def render(folder: Path, rounds: int) -> None:
    """Print what rendering takes on Ray and in the local pool, each with a process a core."""
    from ocrtune.machines.ray_workers import connect
    from ocrtune.machines.workers import count_workers
    from ocrtune.pages.rows import write_all_pages
    from ocrtune.params.load import read_params
    from ocrtune.params.pdf2img import Pdf2imgParams
    from ocrtune.rows import read_rows

    with contextlib.redirect_stderr(io.StringIO()):
        started = timed(connect)  # from here: its processes take our code, not the folder's
    root = Path.cwd()
    os.chdir(folder)
    documents = read_rows(Path("data/documents/documents.jsonl"), ("doc_id", "file", "media_type"))
    params = Pdf2imgParams.model_validate(read_params()["pdf2img"])
    workers = params.workers or count_workers(0, len(documents))
    pages = {}

    def with_executor(executor: str) -> float:
        with tempfile.TemporaryDirectory(prefix="ocrtune-bench-") as name:
            out = Path(name)
            (out / "images").mkdir()
            began = time.perf_counter()
            results = list(write_all_pages(documents, Path("data/documents"), out, params, executor))
            seconds = time.perf_counter() - began
        pages[executor] = sorted((row["page_id"], row["sha256"]) for rows, _ in results for row in rows)
        return seconds

    cold = with_executor("ray")
    ours, theirs, ratios = by_turns(rounds, lambda _: with_executor("ray"), lambda _: with_executor("local"))
    os.chdir(root)
    if pages["ray"] != pages["local"]:
        raise SystemExit("Ray and the local pool wrote different images")
    print(f"{len(documents)} documents, {len(pages['ray']):,} images, {workers} processes: Ray {ours:.2f} s, "
          f"the local pool {theirs:.2f} s: {shown(ratios)}; "
          f"Ray's start {started:.1f} s and its processes' {max(0.0, cold - ours):.1f} s come once", flush=True)


def main(
    folder: Annotated[Path, typer.Option(help="where dvc repro has run")] = Path(),
    rounds: Annotated[int, typer.Option(min=1, help="times that each is measured")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="idle, fetch or render; none: all")] = None,
) -> None:
    """Print the figures."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before", flush=True)
    for name, measure in (("idle", idle), ("fetch", fetch), ("render", render)):
        if not only or name in only:
            measure(folder.resolve(), rounds)


if __name__ == "__main__":
    typer.run(main)
