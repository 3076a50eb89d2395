"""Say what reading will cost, and stop before it costs more than allowed."""

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from ocrtune.reading import Page, Reader, Reading
from ocrtune.store.segments import reader_digest
from ocrtune.store.store import Store, Tally

LOG = "spending.log"  # in the store's folder, outside all that DVC tracks
LOG_EVERY_S = 60  # what a killed run leaves out of the log at most


class BudgetError(ValueError):
    """The budget doesn't allow what is still to be read."""


class Budget:
    """What a run may spend, over all its readers: pages, tokens, cost (in the currency of the prices); None is no limit.

    `name` is what a user knows it by.
    """

    def __init__(self, max_pages: int | None = None, max_tokens: int | None = None, max_cost: float | None = None, name: str = "budget"):
        self.name = name
        self.max_pages, self.max_tokens, self.max_cost = max_pages, max_tokens, max_cost
        self.pages, self.tokens, self.cost = 0, 0, 0.0

    def allows(self, pages: int, tokens: int, cost: float) -> bool:
        """Return whether so much more may be spent."""
        return ((self.max_pages is None or self.pages + pages <= self.max_pages)
                and (self.max_tokens is None or self.tokens + tokens <= self.max_tokens)
                and (self.max_cost is None or self.cost + cost <= self.max_cost))

    def __str__(self) -> str:
        limits = {"max_pages": self.max_pages, "max_tokens": self.max_tokens, "max_cost": self.max_cost}
        return ", ".join(f"{name} {limit:,}" for name, limit in limits.items() if limit is not None)


class Account:
    """What one reader spends of a budget, and what the log hears of it.

    Pages in flight are reckoned at their worst, so that the limit holds when their answers are in: as many answers as the reader
    asks for at most (`attempts`), each as long as allowed (`max_completion`, None: no bound) and with the longest prompt known.
    Where none is known, one page is asked for alone first.
    """

    def __init__(self, budget: Budget, reader: Reader, store: Store):
        self.budget, self.reader, self.digest, self.folder = budget, reader, reader_digest(reader.identity), store.folder
        self.prices, self.tally = getattr(reader, "prices", None), store.tallies.get(self.digest) or Tally()
        # Engines and local models have no such attribute: no token of theirs costs anything.
        self.limits_tokens = hasattr(reader, "prices") and (budget.max_tokens is not None or budget.max_cost is not None)
        if self.limits_tokens and budget.max_cost is not None and self.prices is None:
            raise BudgetError("this reader has no prices: max_cost can't be held; give its profile prices, or set max_tokens")
        self.most = self.tally.most_tokens
        self.attempts, self.max_completion = getattr(reader, "attempts", 1), getattr(reader, "max_completion", None)
        self.in_flight: set[str] = set()  # page_ids
        self.held: Page | None = None  # the next page, for which there was no room
        self.lock = threading.Lock()  # readers may draw pages in one thread and answer in another
        self.num_read = self.num_failed = 0
        self.tokens = [0, 0]
        self.cost = 0.0
        self.logged = (0, 0, 0, 0, 0.0)
        self.logged_at = time.monotonic()

    def price(self, tokens: tuple[int, int]) -> float:
        """Return the cost of tokens of prompt and completion."""
        prices = (self.prices.prompt_per_million, self.prices.completion_per_million) if self.prices else (0, 0)
        return sum(count * price for count, price in zip(tokens, prices, strict=True)) / 1e6

    def worst(self) -> tuple[int, int]:
        """Return the tokens of prompt and completion that a page may take; none where no limit hangs on them."""
        if not self.limits_tokens:
            return 0, 0
        prompt, completion = self.most
        return self.attempts * prompt, self.attempts * (completion if self.max_completion is None else self.max_completion)

    def has_room(self, pages: int = 1) -> bool:
        """Return whether so many pages more may be in flight."""
        if self.limits_tokens and not any(self.most) and pages > 1:
            return False
        return self.budget.allows(pages, pages * sum(self.worst()), pages * self.price(self.worst()))

    def rounds(self, pages: Iterable[Page]) -> Iterator[Iterator[Page]]:
        """Yield the pages in rounds, each as far as the budget has room for all that are in flight; all of a round are charged
        before the next. No page is drawn but the one that may come next; where the budget doesn't reach it, it stays `held`.
        """
        waiting = iter(pages)

        def peek() -> Page | None:
            if self.held is None:
                self.held = next(waiting, None)
            return self.held

        def admit() -> Iterator[Page]:
            while (page := peek()) is not None:
                with self.lock:
                    if not self.has_room(len(self.in_flight) + 1):
                        return
                    self.in_flight.add(page.page_id)
                self.held = None
                yield page

        while peek() is not None and self.has_room():
            before = self.num_read
            yield admit()
            if self.in_flight or self.num_read == before:
                missing = sorted(self.in_flight) or [peek().page_id]
                raise RuntimeError(f"the reader gave nothing for {len(missing)} pages, the first {missing[0]}")

    def shortage(self) -> str:
        """Return why not one page more may be asked for."""
        budget, tokens, cost = self.budget, sum(self.worst()), self.price(self.worst())
        tokens_left = None if budget.max_tokens is None else budget.max_tokens - budget.tokens
        cost_left = None if budget.max_cost is None else round(budget.max_cost - budget.cost, 6)
        if budget.allows(1, 0, 0):
            if cost_left and cost_left < cost:
                return f"has {cost_left:,g} left, and one page may cost up to {cost:,g}"
            if tokens_left and tokens_left < tokens:
                return f"has {tokens_left:,} tokens left, and one page may take up to {tokens:,}"
        return "is used up"

    def charge(self, page: Page, reading: Reading) -> None:
        """Count a reading that has come; now and then, write to the log."""
        with self.lock:
            self.in_flight.discard(page.page_id)
            self.count(reading)
        if time.monotonic() - self.logged_at >= LOG_EVERY_S:
            self.log()

    def count(self, reading: Reading) -> None:
        """Add a reading to what was spent."""
        if self.limits_tokens and reading.tokens is None and reading.finish_reason != "error":
            raise BudgetError("its server counts no tokens: max_tokens and max_cost can't be held; set max_pages")
        tokens = reading.tokens or (0, 0)
        self.num_read += 1
        self.num_failed += reading.finish_reason == "error"
        self.most = (max(self.most[0], tokens[0]), max(self.most[1], tokens[1]))
        self.tokens = [self.tokens[0] + tokens[0], self.tokens[1] + tokens[1]]
        self.cost += self.price(tokens)
        self.budget.pages += 1
        self.budget.tokens += sum(tokens)
        self.budget.cost += self.price(tokens)

    def log(self) -> None:
        """Append to the log what was spent since the last entry: a line of JSON."""
        now = (self.num_read, self.num_failed, *self.tokens, self.cost)
        seconds, self.logged_at = time.monotonic() - self.logged_at, time.monotonic()
        pages, failed, prompt, completion, cost = (new - old for new, old in zip(now, self.logged, strict=True))
        self.logged = now
        if not pages:
            return
        entry = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "reader": self.digest, "pages": pages, "failed": failed,
                 "seconds": round(seconds, 3), "prompt_tokens": prompt, "completion_tokens": completion, "cost": round(cost, 6)}
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, (json.dumps(entry) + "\n").encode())
        finally:
            os.close(descriptor)

    def estimate(self, num_pages: int) -> str:
        """Return what so many pages will probably take, by earlier readings of the same reader; empty where it costs nothing."""
        parts = []
        if self.tally.num_counted:
            prompt, completion = (round(total / self.tally.num_counted * num_pages)
                                  for total in (self.tally.prompt_tokens, self.tally.completion_tokens))
            parts.append(f"{prompt + completion:,} tokens ({prompt:,} prompt, {completion:,} completion)")
            if self.prices:
                parts.append(f"cost {self.price((prompt, completion)):,.2f}")
        entries = [entry for entry in read_log(self.folder) if entry["reader"] == self.digest][-100:]
        if seconds := sum(entry["seconds"] for entry in entries):
            parts.append(duration(num_pages * seconds / sum(entry["pages"] for entry in entries)))
        if parts:
            return f"about {', '.join(parts)}, as earlier pages took"
        return "tokens, cost and time are not known before this reader's first pages" if hasattr(self.reader, "prices") else ""

    def summary(self) -> str:
        """Return what was spent."""
        tokens = f"; {sum(self.tokens):,} tokens" if any(self.tokens) else ""
        cost = f", cost {self.cost:,.4f}" if self.prices else ""
        return f"{self.num_read} read, {self.num_failed} of them failed{tokens}{cost}"


def read_log(folder: Path) -> list[dict]:
    """Return the entries of a store's log, the oldest first; broken ones are passed over."""
    path, entries = folder / LOG, []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
            if entry["pages"] > 0 and entry["seconds"] >= 0 and isinstance(entry["reader"], str):
                entries.append(entry)
        except (ValueError, KeyError, TypeError):
            continue
    return entries


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(42), duration(600), duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
