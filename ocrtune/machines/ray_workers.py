"""Processes of a Ray cluster that do jobs side by side, as those of `ocrtune.machines.workers` do on one machine.

A node that dies takes no job with it: Ray runs what it had, or what of its results was not fetched yet, on another. Nodes may
join and leave while jobs run. What belongs to the cluster stands in the environment: RAY_ADDRESS, where it is (none: Ray is
started on this machine for the time being), and OCRTUNE_RAY_GPUS, the GPUs that each process gets which reads with a model.
"""

import math
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ocrtune.machines.workers import IN_FLIGHT, Crash

RETRIES = 3  # deaths of its process or node that a job survives; with one more it is to blame
COUNT_EVERY_S = 1.0  # how soon nodes that joined get jobs
ANSWER_S = 5  # within which a cluster's port must take a connection
SEEN_BY = "params.yaml"  # a worker that doesn't find this in the project's folder is in another one


def import_ray():
    """Return Ray; where it is not installed, a `ValueError` says how to add it."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to its makers otherwise
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # a process without a GPU sees none
    try:
        import ray
    except ImportError:
        raise ValueError("executor: ray: Ray is not installed; run `./run uv sync --locked --inexact --extra ray`, "
                         "or set executor: local") from None
    return ray


def check_address() -> None:
    """Raise a `ValueError` where $RAY_ADDRESS names a port that takes no connection: Ray would try for a quarter of an hour."""
    host, _, port = os.environ.get("RAY_ADDRESS", "").rpartition("/")[2].rpartition(":")
    if port.isdigit():  # else `auto`, `local`, or nothing
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
        except OSError as error:
            raise no_cluster(error) from None


def no_cluster(error: OSError) -> ValueError:
    """Return what says that there is no cluster, why, and what to do."""
    return ValueError(f"executor: ray: no cluster at RAY_ADDRESS={os.environ.get('RAY_ADDRESS')} ({error}); "
                      "start one with `./run ray start --head`, or unset RAY_ADDRESS")


def connect():
    """Return Ray, connected to the cluster at $RAY_ADDRESS or to one of this machine alone."""
    ray = import_ray()
    if not ray.is_initialized():
        check_address()
        try:
            ray.init(logging_level="error", include_dashboard=None if "RAY_ADDRESS" in os.environ else False)
        except ConnectionError as error:
            raise no_cluster(error) from None
    return ray


def work_in(root: str, function: Callable, job: tuple) -> Any:
    """Return the result of a job done in the project's folder, which all machines must have under the same path."""
    if not (Path(root) / SEEN_BY).is_file():
        raise ValueError(f"executor: ray: {socket.gethostname()} has no {root}/{SEEN_BY}; share the project's folder with all machines "
                         "of the cluster, under the same path")
    os.chdir(root)
    return function(*job)


class RayWorkers:
    """The processes of a cluster, `asked` at a time or with 0 one a CPU; each has one CPU and `gpus` GPUs of its own."""

    def __init__(self, asked: int = 0, gpus: float = 0.0):
        self.asked, self.gpus = asked, gpus

    def __enter__(self) -> "RayWorkers":
        self.ray = connect()
        self.task = self.ray.remote(work_in).options(num_cpus=1, num_gpus=self.gpus, max_retries=RETRIES)
        self.count_at = -math.inf
        if not self.most_in_flight():
            raise ValueError(f"executor: ray: no machine of the cluster has a CPU and {self.gpus:g} GPUs (OCRTUNE_RAY_GPUS)")
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the connection to the end of the process: another set of workers may be at work in it."""

    def most_in_flight(self) -> int:
        """Return how many jobs the cluster of this moment should be given at a time: none waits for the next one's way."""
        if time.monotonic() - self.count_at > COUNT_EVERY_S:
            there, self.count_at = self.ray.cluster_resources(), time.monotonic()
            places = min(there.get("CPU", 0.0), there.get("GPU", 0.0) / self.gpus if self.gpus else math.inf)
            self.most = min(self.asked or math.inf, IN_FLIGHT * int(places))
        return self.most

    def run(self, function: Callable, jobs: Iterable[tuple]) -> Iterator[tuple[tuple, Any]]:
        """Yield each job, the arguments of `function`, with its result as soon as it is there; jobs are drawn when they are due."""
        jobs, flying, root = iter(jobs), {}, str(Path.cwd())
        try:
            while True:
                while len(flying) < max(1, self.most_in_flight()) and (job := next(jobs, None)) is not None:
                    flying[self.task.remote(root, function, job)] = job
                if not flying:
                    return
                for done in self.ray.wait(list(flying), timeout=COUNT_EVERY_S)[0]:
                    yield flying.pop(done), self.fetch(done)
        finally:
            for left in flying:
                self.ray.cancel(left)

    def fetch(self, done) -> Any:
        """Return a result; an exception of the job itself is raised as it would be here."""
        from ray.exceptions import ObjectLostError, OutOfMemoryError, RayTaskError, WorkerCrashedError

        try:
            return self.ray.get(done)
        except RayTaskError as error:
            raise error.cause from None
        except (WorkerCrashedError, OutOfMemoryError, ObjectLostError):
            return Crash()
