"""Cut lines out of a page image, upright, whole, and with as little of their neighbours as can be."""

import math

import numpy as np
from PIL import Image

from ocrtune.ink import choose_threshold
from ocrtune.page_lines import Line, outline, to_frame, to_page

Box = tuple[float, float, float, float]
STRAY = 0.35  # line heights by which a cut may leave its place to spare ink
DISTANCE_COST = 0.3  # px of ink that a cut may cross rather than move by one row
ALIKE = 2.0  # degrees; lines at other angles are no neighbours


def paper_tone(image: Image.Image) -> int | tuple[int, ...]:
    """Return the commonest tone of each channel, as the colour of what lies beyond the page."""
    tones = tuple(int(np.argmax(channel.histogram())) for channel in image.split())
    return tones if len(tones) > 1 else tones[0]


def cut_box(image: Image.Image, box: Box, angle: float) -> Image.Image:
    """Return a box, given in the frame of lines at `angle`, as an upright image."""
    left, top, right, bottom = (round(edge) for edge in box)
    size = (max(1, right - left), max(1, bottom - top))
    if angle == 0 and left >= 0 and top >= 0 and right <= image.width and bottom <= image.height:
        return image.crop((left, top, right, bottom))
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = to_page(left, top, angle)
    return image.transform(
        size, Image.Transform.AFFINE, (cos, -sin, x, sin, cos, y), Image.Resampling.BICUBIC, fillcolor=paper_tone(image)
    )


def cut_frame(image: Image.Image, angle: float) -> tuple[Image.Image, tuple[int, int]]:
    """Return the whole page in the frame of lines at `angle`, and the frame's (u, v) of its top left pixel."""
    if angle == 0:
        return image, (0, 0)
    corners = [to_frame(x, y, angle) for x in (0, image.width) for y in (0, image.height)]
    us, vs = zip(*corners, strict=True)
    left, top = math.floor(min(us)), math.floor(min(vs))
    return cut_box(image, (left, top, math.ceil(max(us)), math.ceil(max(vs))), angle), (left, top)


def find_neighbours(lines: list[Line]) -> list[tuple[float | None, float | None]]:
    """Return for each line how far down the line above reaches with its small letters, and where those of the line below begin."""
    middles = [((line.left + line.right) / 2, (line.core_top + line.core_bottom) / 2, line.angle) for line in lines]
    xs, ys = (np.array(axis) for axis in zip(*(to_page(*middle) for middle in middles), strict=True))
    half = np.array([(line.right - line.left) / 2 for line in lines])
    core = np.array([(line.core_bottom - line.core_top) / 2 for line in lines])
    angles = np.array([line.angle for line in lines])
    found = []
    for line, (u, v, angle) in zip(lines, middles, strict=True):
        us, vs = to_frame(xs, ys, angle)
        is_beside = (np.abs(us - u) < half + (line.right - line.left) / 2) & (np.abs(angles - angle) < ALIKE)
        is_near = np.abs(vs - v) < 3 * line.height
        far = (line.core_bottom - line.core_top) / 2
        above, below = is_beside & is_near & (vs < v - far), is_beside & is_near & (vs > v + far)
        found.append((float((vs + core)[above].max()) if above.any() else None, float((vs - core)[below].min()) if below.any() else None))
    return found


def choose_cut(ink: np.ndarray, wanted: float, low: float, high: float) -> int:
    """Return the row, from `low` to `high`, near `wanted` at which a cut crosses least ink."""
    low, high = max(0, math.floor(low)), min(len(ink), math.ceil(high))
    if low >= high:
        return min(max(round(wanted), 0), len(ink))
    rows = np.arange(low, high)
    return int(rows[np.argmin(ink[low:high] + DISTANCE_COST * np.abs(rows - wanted))])


def cut_line(image: Image.Image, line: Line, neighbours: tuple[float | None, float | None], padding: float) -> tuple[Image.Image, Box] | None:
    """Return a line's image and its box on the page; None where there is no ink, as under hidden text."""
    above, below = neighbours
    room, stray = padding * line.height, STRAY * line.height
    top, bottom = line.top - room - stray, line.bottom + room + stray
    left, right = line.left - room, line.right + room
    around = np.asarray(cut_box(image, (left, top, right, bottom), line.angle).convert("L"))
    threshold, contrast = choose_threshold(around)
    if contrast < 8:
        return None
    ink = (around < threshold).sum(axis=1)
    origin = round(top)
    first = choose_cut(ink, line.top - room - origin, (top if above is None else max(above, top)) - origin, line.core_top - origin)
    last = choose_cut(ink, line.bottom + room - origin, line.core_bottom - origin, (bottom if below is None else min(below, bottom)) - origin)
    box = (left, origin + first, right, origin + max(last, first + 1))
    return cut_box(image, box, line.angle), outline(*(round(edge) for edge in box), line.angle)
