"""Processes that do jobs side by side, and of which one may crash: only its own job is lost."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

IN_FLIGHT = 2  # jobs a process: the next lies ready when one is done


class Crash:
    """The result of a job whose process died, twice."""


def count_workers(asked: int, num_jobs: int) -> int:
    """Return how many processes to start: as many as asked for, or with 0 one a core, but no more than jobs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(asked or cores, num_jobs))


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the main process, which says what was done and what not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def start_pool(count: int) -> ProcessPoolExecutor:
    """Return a pool of fresh processes: a fork would share MuPDF's state and whatever threads stand around."""
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=ignore_interrupts)


def retry_alone(function: Callable, job: tuple) -> Any:
    """Return the result of a job whose process, or a neighbour's, has died; if it dies again it is to blame."""
    with start_pool(1) as pool:
        try:
            return pool.submit(function, *job).result()
        except BrokenProcessPool:
            return Crash()


def open_workers(executor: str, asked: int, num_jobs: int):
    """Return the workers of an executor, `asked` of them or with 0 as many as there are cores: `Workers`, or `RayWorkers`."""
    if executor == "local":
        return Workers(count_workers(asked, num_jobs))
    from ocrtune.machines.ray_workers import RayWorkers

    return RayWorkers(asked)


class Workers:
    """A number of processes, started with the first job and stopped with the context."""

    def __init__(self, count: int):
        self.count = count

    def __enter__(self) -> "Workers":
        self.pool = start_pool(self.count)
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def run(self, function: Callable, jobs: Iterable[tuple]) -> Iterator[tuple[tuple, Any]]:
        """Yield each job, the arguments of `function`, with its result as soon as it is there; jobs are drawn when they are due."""
        jobs, flying = iter(jobs), {}
        while True:
            while len(flying) < IN_FLIGHT * self.count and (job := next(jobs, None)) is not None:
                flying[self.pool.submit(function, *job)] = job
            if not flying:
                return
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                self.pool.shutdown(wait=True)
                broken, flying, self.pool = flying, {}, start_pool(self.count)
                yield from self.settle(function, broken)
                continue
            for future in [future for future in flying if future in done]:  # in the order drawn, where several are done
                yield flying.pop(future), future.result()

    def settle(self, function: Callable, flying: dict[Future, tuple]) -> Iterator[tuple[tuple, Any]]:
        """Yield all jobs of a broken pool: what was done before it broke, and the rest tried again, one by one."""
        for future, job in flying.items():
            yield job, retry_alone(function, job) if isinstance(future.exception(), BrokenProcessPool) else future.result()
