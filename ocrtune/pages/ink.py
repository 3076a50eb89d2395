"""Tell ink from paper, and one blot from another. Arrays are gray pages, height x width, uint8, 0 black."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

TILE = 24  # px; paper tone is measured a tile at a time
PAPER_PERCENTILE = 80
MAX_PIXELS = 640_000  # a page is looked at in this size; a letter of 8 pt is then still 4 px high
MIN_INK = 6  # px of a blot in this size; smaller ones are specks
MIN_CONTRAST = 40  # gray levels between paper and ink; less is an empty page


def choose_threshold(gray: np.ndarray) -> tuple[int, float]:
    """Return Otsu's threshold (ink is below it) and the gray levels between the means of both sides."""
    counts = np.bincount(gray.ravel(), minlength=256).astype(np.float64)
    below = np.cumsum(counts)
    total, mass = below[-1], np.cumsum(counts * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        dark, light = mass / below, (mass[-1] - mass) / (total - below)
        between = np.nan_to_num(below * (total - below) * (dark - light) ** 2)
    best = int(between.argmax())
    return best + 1, float(light[best] - dark[best]) if between[best] > 0 else 0.0


def flatten_paper(gray: np.ndarray) -> np.ndarray:
    """Return the page with its paper made evenly white: shadows and dark margins go, ink stays."""
    height, width = gray.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    padded = np.pad(gray, ((0, rows * TILE - height), (0, columns * TILE - width)), mode="edge")
    tiles = padded.reshape(rows, TILE, columns, TILE).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    paper = np.percentile(tiles, PAPER_PERCENTILE, axis=2).astype(np.float32)
    around = np.pad(paper, 2, mode="edge")
    near = np.stack([around[dy : dy + rows, dx : dx + columns] for dy in range(5) for dx in range(5)])
    smooth = Image.fromarray(np.percentile(near, 70, axis=0).astype(np.float32))
    smooth = smooth.resize((columns * TILE, rows * TILE), Image.Resampling.BILINEAR)
    tone = np.maximum(np.asarray(smooth)[:height, :width], 1)
    return np.minimum(gray * (255 / tone), 255).astype(np.uint8)


def mark_ink(gray: np.ndarray) -> np.ndarray:
    """Return where ink is, True or False; nowhere on a page without contrast. White on black is understood."""
    if np.median(gray) < 100 and np.percentile(gray, 10) < 60:
        gray = 255 - gray
    flat = flatten_paper(gray)
    threshold, contrast = choose_threshold(flat)
    return flat < threshold if contrast >= MIN_CONTRAST else np.zeros(gray.shape, bool)


def small_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height in which a page is looked at; its own where it is small."""
    scale = (MAX_PIXELS / (size[0] * size[1])) ** 0.5
    return (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))) if scale < 1 else size


def shrink(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Return an image as gray levels in that size."""
    gray = image.convert("L")
    return np.asarray(gray if gray.size == size else gray.resize(size, Image.Resampling.BOX))


def has_ink(image: Image.Image) -> bool:
    """Say whether anything but specks stands on a page."""
    gray = shrink(image, small_size(image.size))
    if int(gray.max()) - int(gray.min()) < MIN_CONTRAST:
        return False
    return bool((find_blots(mark_ink(gray)).ink >= MIN_INK).any())


@dataclass
class Blots:
    """The connected blots of a page: their boxes (right and bottom exclusive), ink in px, and the runs they are made of."""

    left: np.ndarray
    top: np.ndarray
    right: np.ndarray
    bottom: np.ndarray
    ink: np.ndarray
    runs: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # row, start, end, blot

    def draw(self, keep: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return the ink of those blots for which `keep` is True."""
        row, start, end, blot = self.runs
        chosen = keep[blot]
        steps = np.zeros((shape[0], shape[1] + 1), np.int8)
        np.add.at(steps, (row[chosen], start[chosen]), 1)
        np.add.at(steps, (row[chosen], end[chosen]), -1)
        return np.cumsum(steps, axis=1)[:, :-1] > 0


def find_blots(ink: np.ndarray) -> Blots:
    """Return the blots of ink, connected by sides or corners."""
    height, width = ink.shape
    steps = np.diff(np.pad(ink, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(steps == 1)
    end = np.nonzero(steps == -1)[1]
    # A run touches those of the next row that begin at or before its end and end at or after its start.
    stride = width + 3
    next_row = (row + 1) * stride
    first = np.searchsorted(row * stride + end, next_row + start, side="left")
    last = np.searchsorted(row * stride + start, next_row + end, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(row)), counts)
    lower = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    label = np.arange(len(row))
    while True:
        least = np.minimum(label[upper], label[lower])
        new = label.copy()
        np.minimum.at(new, label[upper], least)
        np.minimum.at(new, label[lower], least)
        new = new[new]
        while not np.array_equal(new, new[new]):
            new = new[new]
        if np.array_equal(new, label):
            break
        label = new
    _, blot = np.unique(label, return_inverse=True)
    number = int(blot.max()) + 1 if len(blot) else 0
    left, top = np.full(number, width), np.full(number, height)
    right, bottom = np.zeros(number, int), np.zeros(number, int)
    np.minimum.at(left, blot, start)
    np.minimum.at(top, blot, row)
    np.maximum.at(right, blot, end)
    np.maximum.at(bottom, blot, row + 1)
    area = np.bincount(blot, weights=end - start, minlength=number).astype(int)
    return Blots(left, top, right, bottom, area, (row, start, end, blot))
