"""Ask a server about many pages at a time: always as many as allowed, until the last.

An event loop in a thread of its own, for two reasons. A request can be given a time limit and called off wherever it hangs,
which a thread can't. And a place that becomes free is taken at once, however long the caller ponders what it got.
"""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

from ocrtune.params.teachers import Request
from ocrtune.readers.pace import Pace
from ocrtune.readers.trouble import Trouble
from ocrtune.reading import Page, Reading

LONGEST_BACKOFF_S = 60.0
MOST_AHEAD = 32  # pages made ready beyond those in flight
MOST_UNTAKEN = 64
END = object()

Answer = TypeVar("Answer")
Send = Callable[[Callable[[], Awaitable[Answer]]], Awaitable[Answer]]
ReadPage = Callable[[Page, Send], Awaitable[Reading]]


def read_together(pages: Iterable[Page], read_page: ReadPage, request: Request, place: str,
                  close: Callable[[], Awaitable[None]]) -> Iterator[tuple[Page, Reading]]:
    """Yield a reading for each page as they come.

    `read_page(page, send)` makes the requests of a page and hands each to `send`, which waits for its turn, retries and returns
    the answer. It raises `Trouble` where there is none.
    After `max_failures` pages failed in a row, or at once where no page can succeed, no further page is asked for; those in
    flight are waited for and yielded; then a `ValueError` says what happened at `place`. A caller who closes the iterator
    calls off what is in flight. `close` is called in the end.
    """
    crew = Crew(iter(pages), read_page, request, close)
    thread = threading.Thread(target=crew.run, name="requests", daemon=True)
    thread.start()
    try:
        while (found := crew.results.get()) is not END:
            if isinstance(found, BaseException):
                raise found
            page, reading = found
            if reading.finish_reason == "error":
                print(f"{page.page_id}: not read: {reading.problem}", flush=True)
            yield found
    finally:
        crew.call_off()
        thread.join()
    if crew.stopped:
        raise ValueError(f"{place}: {crew.stopped}. What was read is kept; run again to go on")


class Crew:
    """Workers that take page after page. There are more than requests allowed: some prepare pages or wait for a second try."""

    def __init__(self, pages: Iterator[Page], read_page: ReadPage, request: Request, close: Callable[[], Awaitable[None]]):
        self.pages, self.read_page, self.request, self.close = pages, read_page, request, close
        self.results: SimpleQueue = SimpleQueue()
        self.stopped, self.failures = "", 0
        self.idle: set[asyncio.Task] = set()  # may be called off without losing an answer
        self.busy_since: float | None = None  # no answer since, for the server says that it has too much to do
        self.loop, self.called_off = None, False

    def run(self) -> None:
        """Read all pages, then put `END` into `results`; an exception that nobody expected goes there, too."""
        try:
            asyncio.run(self.read_all())
        except asyncio.CancelledError:
            pass
        except BaseExceptionGroup as errors:
            self.results.put(errors.exceptions[0])
        self.results.put(END)

    def call_off(self) -> None:
        """Stop now, from another thread."""
        self.called_off = True
        with suppress(RuntimeError):  # it has ended by itself
            if self.loop:
                self.loop.call_soon_threadsafe(self.main.cancel)

    async def read_all(self) -> None:
        most = self.request.concurrent_requests
        self.pace, self.drawing, self.main = Pace(most), asyncio.Lock(), asyncio.current_task()
        self.loop = asyncio.get_running_loop()
        if self.called_off:
            return
        try:
            async with asyncio.TaskGroup() as group:
                # One request at a time keeps the pages' order: nobody prepares a page while another is asked for.
                for _ in range(most + min(most - 1, MOST_AHEAD)):
                    group.create_task(self.work())
        finally:
            await self.close()

    async def work(self) -> None:
        while not self.stopped:
            while self.results.qsize() > MOST_UNTAKEN:  # what is not taken is not kept yet, and would be lost
                await asyncio.sleep(0.05)
            async with self.drawing:
                page = await asyncio.to_thread(next, self.pages, None)
            if page is None:
                return
            try:
                self.results.put((page, await self.read_one(page)))
            except asyncio.CancelledError:
                if not self.stopped:
                    raise
                return

    async def read_one(self, page: Page) -> Reading:
        """Return the reading of a page, and stop the crew where there is no use in going on."""
        try:
            reading = await self.read_page(page, self.send)
        except Trouble as trouble:
            self.failures += trouble.kind != "image"
            if trouble.kind == "stop":
                self.stop(str(trouble))
            elif self.failures >= self.request.max_failures:
                self.stop(f"{self.failures} failures in a row, the last: {trouble}")
            return Reading("", "error", problem=str(trouble))
        self.failures = 0
        return reading

    def stop(self, why: str) -> None:
        """Ask for nothing more; what is in flight comes home."""
        self.stopped = self.stopped or why
        for task in self.idle - {asyncio.current_task()}:
            task.cancel()

    async def send(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer to a request, made when there is a place for it and again where that may help."""
        retries = 0
        while True:
            entered = await self.rest(self.pace.enter())
            try:
                answer = await ask()
            except Trouble as trouble:
                if trouble.kind == "busy":
                    self.give_way(entered, trouble)
                    continue
                if trouble.wait_s:
                    self.pace.pause(min(trouble.wait_s, self.request.patience))
                if trouble.kind != "again" or retries == self.request.max_retries:
                    raise
                backoff = min(LONGEST_BACKOFF_S, self.request.backoff * 2**retries) * random.uniform(0.5, 1)
                retries += 1
            else:
                self.pace.speed_up()
                self.busy_since = None
                return answer
            finally:
                self.pace.leave()
            await self.rest(asyncio.sleep(backoff))

    def give_way(self, entered: float, trouble: Trouble) -> None:
        """Slow all requests down; give up on a server that is busy for too long."""
        wait_s = self.pace.slow_down(entered, trouble.wait_s)
        self.busy_since = self.busy_since or entered
        if self.loop.time() + wait_s - self.busy_since > self.request.patience:
            what = f"it asks to wait {trouble.wait_s:.0f} s" if trouble.wait_s else "no answer in that time"
            raise Trouble(f"the server is busy beyond request.patience ({self.request.patience:g} s): {what}; {trouble}", "stop")

    async def rest(self, waiting: Awaitable):
        """Wait for something that may be called off."""
        task = asyncio.current_task()
        if self.stopped:
            waiting.close()
            raise asyncio.CancelledError
        self.idle.add(task)
        try:
            return await waiting
        finally:
            self.idle.discard(task)
