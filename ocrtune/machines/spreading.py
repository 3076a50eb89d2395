"""Have pages read by the processes of a cluster that a reader would read here, batch by batch, with the same answers."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from ocrtune.machines.workers import Crash
from ocrtune.reading import Page, Reader, Reading
from ocrtune.store.segments import reader_digest

CRASHED = "the process that read it died, time and again"
ReadBatch = Callable[[Sequence[Page]], Iterable[tuple[Page, Reading]]]


class Spreadable(Reader, Protocol):
    """A reader that works in another process, too: it can be pickled, and cuts its work into batches that don't know of each other."""

    def batches(self, pages: Iterable[Page]) -> Iterator[Sequence[Page]]:
        """Yield the pages, drawn as they are due, in the groups in which they are read together."""
        ...

    def open(self) -> ReadBatch:
        """Return a function that reads a batch on one core, or on the GPU, with all that takes long to load in its hand."""
        ...


def cut_batches(pages: Iterable[Page], size: int) -> Iterator[list[Page]]:
    """Yield the pages in order, so many at a time."""
    waiting = iter(pages)
    while batch := list(islice(waiting, size)):
        yield batch


def spread(reader: Reader, executor: str, has_model: bool = False) -> Reader:
    """Return the reader, or one of the same identity that has the executor's processes read.

    A reader of a server stays here: it has many pages in flight as it is, and holds one account of what the server allows.
    """
    if executor == "local" or not hasattr(reader, "batches"):
        return reader
    return SpreadReader(reader, float(os.environ.get("OCRTUNE_RAY_GPUS") or 0) if has_model else 0.0)


class SpreadReader:
    """Reads with the processes of a Ray cluster what `reader` would read here."""

    def __init__(self, reader: Spreadable, gpus: float = 0.0):
        from ocrtune.machines.ray_workers import import_ray

        import_ray()
        self.reader, self.gpus, self.identity = reader, gpus, reader.identity

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        """Yield readings as they come; pages whose batch died are read alone, and one that dies again is told as failed."""
        from ocrtune.machines.ray_workers import RayWorkers

        died = []
        with RayWorkers(gpus=self.gpus) as workers:
            for (_, batch), result in workers.run(read_batch, ((self.reader, tuple(batch)) for batch in self.reader.batches(pages))):
                if isinstance(result, Crash):
                    died += batch
                else:
                    yield from zip(batch, result, strict=True)
            for (_, (page,)), result in workers.run(read_batch, ((self.reader, (page,)) for page in died)):
                if isinstance(result, Crash):
                    print(f"{page.page_id}: not read: {CRASHED}", flush=True)
                    yield page, Reading("", "error", CRASHED)
                else:
                    yield page, result[0]


opened: dict[str, ReadBatch] = {}  # of this process: the reader that it used last


def read_batch(reader: Spreadable, pages: tuple[Page, ...]) -> list[Reading]:
    """Return the readings of a batch, in its order; the reader is opened once in each process."""
    digest = reader_digest(reader.identity)
    if digest not in opened:
        opened.clear()  # two models at a time may be more than fits
        opened[digest] = reader.open()
    found = dict(opened[digest](pages))
    return [found[page] for page in pages]
