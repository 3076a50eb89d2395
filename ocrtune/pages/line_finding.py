"""Find lines of text by their ink, for pages without a text layer: straighten, cut into blocks, project onto the margin."""

import itertools
from dataclasses import replace

import numpy as np
from PIL import Image

from ocrtune.pages.ink import Blots, find_blots, mark_ink
from ocrtune.pages.line_crops import cut_frame
from ocrtune.pages.lines import Line

STEEPEST = 5.0  # degrees; pages lie no more askew than this on a scanner
STEPS = (0.25, 0.05)  # degrees, coarse then fine
LEVEL = 0.1  # degrees
SIDEWAYS = 3.0  # with so many times the banding of rows, columns of ink are lines that stand upright; seen: 1/80 to 1/8, 9 to 17
POINTS = 60_000  # ink pixels that measure the skew; more change nothing
GUTTER = 2.0  # letter heights; a wider white strip, upright or level, parts blocks
VALLEY = 0.5  # a row with less than this share of the ink of the lines beside it parts them
CORE = 0.4  # rows with more than this share of a line's densest row belong to its small letters


class SidewaysError(ValueError):
    """The page lies on its side, and ink alone doesn't say on which."""


def usual_height(blots: Blots, least: int) -> float:
    """Return the height of a usual letter in px, 0 where there are none.

    It is the height that half of the ink does not reach, so that specks don't count; blots lower
    than `least` or drawn out like rules are no letters.
    """
    heights = blots.bottom - blots.top
    kept = np.nonzero((heights >= least) & (heights < 20 * least) & (blots.right - blots.left < 10 * heights))[0]
    if not len(kept):
        return 0.0
    ordered = kept[np.argsort(heights[kept], kind="stable")]
    reached = np.cumsum(blots.ink[ordered])
    return float(heights[ordered[np.searchsorted(reached, reached[-1] / 2)]])


def keep_letters(blots: Blots, letter: float, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Say of each blot whether it is text, and whether it is a letter: dots and accents are text only near letters."""
    heights, widths = blots.bottom - blots.top, blots.right - blots.left
    is_rule = (widths > 10 * heights) & (widths > 5 * letter) & (heights < 0.5 * letter)
    is_huge = (heights > 6 * letter) | (widths > 40 * letter)
    is_letter = (heights >= 0.5 * letter) & ~is_rule & ~is_huge
    cell = max(1, round(letter / 2))
    rows, columns = np.nonzero(blots.draw(is_letter, shape))
    taken = np.zeros((shape[0] // cell + 3, shape[1] // cell + 5), bool)
    for down in (0, 1, 2):
        for right in (0, 1, 2, 3, 4):
            taken[rows // cell + down, columns // cell + right] = True
    middle_y, middle_x = (blots.top + blots.bottom) // 2, (blots.left + blots.right) // 2
    is_near = taken[middle_y // cell + 1, middle_x // cell + 2] & (blots.ink >= max(3, (0.1 * letter) ** 2))
    return is_letter | is_near & ~is_rule & ~is_huge, is_letter


def count_rows(ys: np.ndarray, xs: np.ndarray, angle: float) -> np.ndarray:
    """Return how many ink pixels each row holds, seen at an angle in degrees."""
    rows = ys - xs * np.float32(np.tan(np.radians(angle)))
    return np.bincount(np.round(rows - rows.min()).astype(int)).astype(np.float64)


def sharpness(counts: np.ndarray) -> float:
    """Return how abruptly the ink of rows begins and ends: most where lines run level."""
    return float((np.diff(counts) ** 2).sum())


def banding(counts: np.ndarray, letter: float) -> float:
    """Return how much the ink of rows swings between lines and the white between them, whatever the page's size."""
    line, many = max(1, round(letter / 2)), max(3, round(6 * letter))
    counts = np.pad(counts, many)
    smooth, trend = (np.convolve(counts, np.ones(width) / width, mode="same") for width in (line, many))
    return float(((smooth - trend) ** 2).mean() / counts.mean() ** 2)


def measure_skew(ink: np.ndarray, letter: float) -> float:
    """Return by how many degrees the lines of ink run down to the right; lines that stand upright are a `SidewaysError`."""
    ys, xs = np.nonzero(ink)
    if len(ys) < 50:
        return 0.0
    every = max(1, len(ys) // POINTS)
    ys, xs = ys[::every].astype(np.float32), xs[::every].astype(np.float32)
    level, upright = (max(banding(count_rows(*axes, angle), letter) for angle in range(-5, 6)) for axes in ((ys, xs), (xs, ys)))
    if upright > SIDEWAYS * level:
        raise SidewaysError
    best, reach = 0.0, STEEPEST
    for step in STEPS:
        angles = [round(best + step * count, 2) for count in range(-round(reach / step), round(reach / step) + 1)]
        best = max(angles, key=lambda angle: (sharpness(count_rows(ys, xs, angle)), -abs(angle)))
        reach = step
    return best if abs(best) >= LEVEL else 0.0


def find_gaps(is_empty: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Return the runs of True at least `least` long, (start, end), not those at either end."""
    steps = np.diff(np.concatenate(([0], is_empty.astype(np.int8), [0])))
    starts, ends = np.nonzero(steps == 1)[0], np.nonzero(steps == -1)[0]
    return [(int(a), int(b)) for a, b in zip(starts, ends, strict=True) if b - a >= least and a > 0 and b < len(is_empty)]


def cut_blocks(ink: np.ndarray, letter: float, left: int = 0, top: int = 0) -> list[tuple[int, int, int, int]]:
    """Return the boxes of blocks, (left, top, right, bottom), cut along white strips, in reading order."""
    ys, xs = np.nonzero(ink.any(axis=1))[0], np.nonzero(ink.any(axis=0))[0]
    if not len(ys):
        return []
    left, top, ink = left + int(xs[0]), top + int(ys[0]), ink[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    height, width = ink.shape
    boxes: list[tuple[int, int, int, int]] = []
    if height > 3 * letter and (gaps := find_gaps(~ink.any(axis=0), GUTTER * letter)):
        edges = [0, *(sum(gap) // 2 for gap in gaps), width]
        for start, end in itertools.pairwise(edges):
            boxes += cut_blocks(ink[:, start:end], letter, left + start, top)
        return boxes
    if gaps := find_gaps(~ink.any(axis=1), GUTTER * letter):
        edges = [0, *(sum(gap) // 2 for gap in gaps), height]
        for start, end in itertools.pairwise(edges):
            boxes += cut_blocks(ink[start:end], letter, left, top + start)
        return boxes
    return [(left, top, left + width, top + height)]


def part_rows(profile: np.ndarray, letter: float) -> list[tuple[int, int]]:
    """Return the rows (start, end) of each line, given the ink of each row: parted at white rows and at deep valleys."""
    steps = np.diff(np.concatenate(([0], (profile > 0).astype(np.int8), [0])))
    runs = list(zip(np.nonzero(steps == 1)[0].tolist(), np.nonzero(steps == -1)[0].tolist(), strict=True))
    width = max(1, round(letter / 5))
    smooth = np.convolve(profile, np.ones(width) / width, mode="same")
    least = max(2, round(0.6 * letter))
    parted: list[tuple[int, int]] = []
    while runs:
        start, end = runs.pop()
        at = find_valley(smooth[start:end], least)
        if at is None:
            parted.append((start, end))
        else:
            runs += [(start, start + at), (start + at, end)]
    return join_fragments(sorted(parted), letter)


def find_valley(rows: np.ndarray, least: int) -> int | None:
    """Return the row that parts two lines, each at least `least` rows high, or None."""
    if len(rows) < 2 * least + 1:
        return None
    before, after = np.maximum.accumulate(rows), np.maximum.accumulate(rows[::-1])[::-1]
    depth = rows / np.maximum(np.minimum(before, after), 1e-9)
    at = least + int(depth[least : len(rows) - least].argmin())
    return at if depth[at] < VALLEY else None


def join_fragments(runs: list[tuple[int, int]], letter: float) -> list[tuple[int, int]]:
    """Return the runs with low ones (accents, dots) joined to a near line; a low run far from all is dropped."""
    lines = [run for run in runs if run[1] - run[0] >= 0.5 * letter]
    for start, end in (run for run in runs if run[1] - run[0] < 0.5 * letter):
        distances = [max(line[0] - end, start - line[1]) for line in lines]
        if distances and min(distances) < 0.5 * letter:
            near = distances.index(min(distances))
            lines[near] = (min(start, lines[near][0]), max(end, lines[near][1]))
    return lines


def find_extent(columns: np.ndarray, letter: float) -> tuple[int, int]:
    """Return where a line begins and ends, given the ink of each column; lonely specks beside it don't count."""
    gaps = find_gaps(columns == 0, 3 * letter)
    inked = np.nonzero(columns)[0]
    edges = [int(inked[0]), *(edge for gap in gaps for edge in gap if inked[0] < edge <= inked[-1]), int(inked[-1]) + 1]
    parts = list(zip(edges[::2], edges[1::2], strict=True))
    full = [part for part in parts if columns[slice(*part)].sum() >= 0.03 * columns.sum() or part[1] - part[0] > letter]
    full = full or parts
    return full[0][0], full[-1][1]


def read_block(ink: np.ndarray, letters: np.ndarray, box: tuple[int, int, int, int], number: int, letter: float) -> list[Line]:
    """Return the lines of one block of ink; rows without letters are no line."""
    left, top, right, bottom = box
    part = ink[top:bottom, left:right]
    lines = []
    for start, end in part_rows(part.sum(axis=1).astype(np.float64), letter):
        if not letters[top + start : top + end, left:right].any():
            continue
        rows = part[start:end].sum(axis=1)
        core = np.nonzero(rows >= CORE * rows.max())[0]
        first, last = find_extent(part[start:end].sum(axis=0), letter)
        lines.append(
            Line(
                left=left + first, right=left + last, top=top + start, bottom=top + end,
                core_top=top + start + int(core[0]), core_bottom=top + start + int(core[-1]) + 1, block=number,
            )
        )
    return lines


def separate_text(image: Image.Image, least_height: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return where the ink of text is, where that of its letters is, and how high a usual letter is, in px."""
    ink = mark_ink(np.asarray(image))
    blots = find_blots(ink)
    letter = usual_height(blots, max(3, round(0.4 * least_height)))
    is_text, is_letter = keep_letters(blots, letter, ink.shape) if letter else [np.zeros(len(blots.ink), bool)] * 2
    return blots.draw(is_text, ink.shape), blots.draw(is_letter, ink.shape), letter


def find_lines(image: Image.Image, least_height: int) -> list[Line]:
    """Return the lines of a page image in reading order; `least_height` px is the lowest line worth finding."""
    gray = image.convert("L")
    text, _, letter = separate_text(gray, least_height)
    skew = measure_skew(text, letter)
    frame, (du, dv) = cut_frame(gray, skew)
    text, letters, letter = separate_text(frame, least_height)
    lines = []
    for number, box in enumerate(cut_blocks(text, letter)):
        lines += read_block(text, letters, box, number, letter)
    return [replace(line, angle=skew).moved(du, dv) for line in lines]
