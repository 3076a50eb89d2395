"""Keep a server full, and give way when it says that it is busy."""

import asyncio
import random
from contextlib import suppress

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
ROUNDS_TO_RECOVER = 16  # rounds of answers from one request at a time to all


class Pace:
    """How many requests may be in flight, and from when on.

    As TCP does with packets (RFC 5681): half as many after each refusal, a few more after each round of answers. A refusal
    holds up all requests, not only the one refused, for as long as the server asks, or twice as long each time.
    """

    def __init__(self, most: int):
        self.most, self.limit, self.in_flight = most, float(most), 0
        self.pause_s, self.pause_ends, self.slowed_at = FIRST_PAUSE_S, 0.0, float("-inf")
        self.door, self.changed = asyncio.Lock(), asyncio.Event()

    async def enter(self) -> float:
        """Wait for a free place; first come, first served. Return the time."""
        clock = asyncio.get_running_loop().time
        async with self.door:
            while self.in_flight >= int(self.limit) or clock() < self.pause_ends:
                self.changed.clear()
                pause = self.pause_ends - clock()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), pause if pause > 0 else None)
            self.in_flight += 1
            return clock()

    def leave(self) -> None:
        self.in_flight -= 1
        self.changed.set()

    def speed_up(self) -> None:
        """Take note of an answer."""
        self.pause_s = FIRST_PAUSE_S
        self.limit = min(float(self.most), self.limit + max(1.0, self.most / ROUNDS_TO_RECOVER) / self.limit)
        self.changed.set()

    def slow_down(self, entered: float, wait_s: float | None) -> float:
        """Take note of a refusal of a request that entered at that time; return the seconds to its end."""
        now = asyncio.get_running_loop().time()
        if entered >= self.slowed_at:  # those sent before the last refusal say nothing new
            self.slowed_at = now
            self.limit = max(1.0, min(self.limit, self.in_flight) / 2)
            if wait_s is None:
                wait_s = self.pause_s * random.uniform(0.75, 1.25)
                self.pause_s = min(LONGEST_PAUSE_S, 2 * self.pause_s)
        self.pause(wait_s or 0.0)
        return self.pause_ends - now

    def pause(self, wait_s: float) -> None:
        """Send nothing for so long."""
        self.pause_ends = max(self.pause_ends, asyncio.get_running_loop().time() + wait_s)
        self.changed.set()
