"""Tell pictures that are nearly alike by a hash of their brightness: a rescan, another resolution or compression.

A difference hash: the picture in few grey cells, one bit for each cell that is darker than its right neighbour by some levels.
Pages are cut into 16 x 16 cells, lines, which are wide, into 64 x 4. Two are alike where at most `MOST_BITS` of 256 bits
differ. Source: N. Krawetz, "Kind of Like That", 2013 (dHash). Pages with next to nothing on them are all alike and left out.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

PAGE_CELLS, LINE_CELLS = (16, 16), (64, 4)
WIDE = 4.0  # times as wide as high: a line
MOST_BITS = 18  # rescaled, compressed, dimmed, noisy: 0 to 18; different lines and pages: 64 and more
MOST_SHARE = 0.25  # of the bits set in either that may differ
MARGIN = 4  # grey levels that a cell must be darker by: in white paper noise alone would decide
MIN_SPREAD = 12  # grey levels between the darkest and the lightest cell
CHUNK = 256  # images at a time


def hash_image(path: Path) -> tuple[str, int] | None:
    """Return the kind of cells and the bits; None where it is no image or nearly blank. One that is missing is an `OSError`."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("L", (256, 256))
            columns, rows = LINE_CELLS if image.width >= WIDE * image.height else PAGE_CELLS
            cells = image.convert("L").resize((columns + 1, rows), Image.Resampling.BOX)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    grey = cells.tobytes()
    if max(grey) - min(grey) < MIN_SPREAD:
        return None
    bits = 0
    for row in range(rows):
        for column in range(columns):
            place = row * (columns + 1) + column
            bits = bits << 1 | (grey[place] + MARGIN < grey[place + 1])
    return ("line" if (columns, rows) == LINE_CELLS else "page"), bits


def find_alike(ones: dict[str, tuple[str, int]], others: dict[str, tuple[str, int]]) -> Iterator[tuple[str, str, int]]:
    """Yield a name of `ones`, a name of `others` and in how many bits their hashes differ, where that is at most `MOST_BITS`.

    Each is compared with each.
    """
    for kind in ("page", "line"):
        names = [[name for name, (found, _) in hashes.items() if found == kind] for hashes in (ones, others)]
        if not all(names):
            continue
        first, second = (np.array([split_bits(hashes[name][1]) for name in chosen], dtype=np.uint64)
                         for chosen, hashes in zip(names, (ones, others), strict=True))
        for start in range(0, len(first), CHUNK):
            part = first[start:start + CHUNK, None, :]
            distances = count_bits(part ^ second)
            # A short line on a wide strip has few bits at all: of those, too, most must agree.
            for row, column in np.argwhere((distances <= MOST_BITS) & (distances <= MOST_SHARE * count_bits(part | second))):
                yield names[0][start + row], names[1][column], int(distances[row, column])


def count_bits(words: np.ndarray) -> np.ndarray:
    """Return how many bits are set in the last axis."""
    return np.bitwise_count(words).sum(axis=-1, dtype=np.uint16)


def split_bits(bits: int) -> list[int]:
    """Return 256 bits as four numbers."""
    return [bits >> 64 * word & 0xFFFFFFFFFFFFFFFF for word in range(4)]
