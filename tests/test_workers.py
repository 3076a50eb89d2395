"""Jobs of one process come back in the order in which they were drawn, however slowly they are drawn."""

import time
from collections.abc import Iterator

from ocrtune.machines.workers import Workers


def draw_slowly(count: int) -> Iterator[tuple[int]]:
    """Yield jobs, each after those before it are done."""
    for number in range(count):
        time.sleep(0.02)
        yield (number,)


def test_jobs_that_are_done_together_keep_their_order():
    with Workers(1) as workers:
        assert list(workers.run(abs, draw_slowly(60))) == [((number,), number) for number in range(60)]
