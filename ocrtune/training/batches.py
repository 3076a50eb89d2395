"""Put examples of like length into one batch, in an order that depends on seed and epoch alone."""

import random
from collections.abc import Iterator, Sequence

POOL = 50  # batches' worth of examples that are sorted together


class LengthBuckets:
    """A sampler: indices whose consecutive `batch_size` are of like length, the batches of an epoch in random order.

    Little of a batch is padding then. `batch_size` counts the examples that are learnt at the same time, in all processes.
    Examples are drawn into pools, sorted there and cut into batches; what fills no batch comes last. The very first batch holds the
    longest example, so that memory that does not suffice is told at once. The order of an epoch is drawn from `seed` and the
    epoch's number, never from what was drawn before: a training that goes on in the midst of one goes on with the same examples.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int):
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order is given next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self.seed} {self.epoch}")
        drawn = draw.sample(range(len(self)), len(self))
        whole = len(drawn) - len(drawn) % self.batch_size
        order = []
        for start in range(0, whole, POOL * self.batch_size):
            order += sorted(drawn[start : min(whole, start + POOL * self.batch_size)], key=self.lengths.__getitem__)
        batches = [order[start : start + self.batch_size] for start in range(0, whole, self.batch_size)]
        draw.shuffle(batches)
        if self.epoch == 0 and batches:
            longest = max(range(len(batches)), key=lambda number: max(map(self.lengths.__getitem__, batches[number])))
            batches[0], batches[longest] = batches[longest], batches[0]
        return iter([index for batch in batches for index in batch] + drawn[whole:])
