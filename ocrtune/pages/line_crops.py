"""Cut lines out of a page image, upright, whole, and with as little of their neighbours as can be."""

import math

import numpy as np
from PIL import Image, ImageFilter

from ocrtune.pages.ink import choose_threshold, find_blots
from ocrtune.pages.lines import Line, outline, to_frame, to_page

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
        reach = float((vs + core)[above].max()) if above.any() else None
        found.append((reach, float((vs - core)[below].min()) if below.any() else None))
    return found


def choose_cut(ink: np.ndarray, wanted: float, low: float, high: float) -> int:
    """Return the row, from `low` to `high`, near `wanted` at which a cut crosses least ink."""
    low, high = max(0, math.floor(low)), min(len(ink), math.ceil(high))
    if low >= high:
        return min(max(round(wanted), 0), len(ink))
    rows = np.arange(low, high)
    return int(rows[np.argmin(ink[low:high] + DISTANCE_COST * np.abs(rows - wanted))])


def cut_line(
    image: Image.Image, line: Line, neighbours: tuple[float | None, float | None], padding: float
) -> tuple[Image.Image, Box] | None:
    """Return a line's image and its box on the page; None where there is no ink, as under hidden text."""
    above, below = neighbours
    room, stray = padding * line.height, STRAY * line.height
    top, bottom = line.top - room - stray, line.bottom + room + stray
    left, right = line.left - room, line.right + room
    around = np.asarray(cut_box(image, (left, top, right, bottom), line.angle).convert("L"))
    threshold, contrast = choose_threshold(around)
    if contrast < 8:
        return None
    is_ink = around < threshold
    ink = is_ink.sum(axis=1)
    origin = round(top)
    core = (max(0, round(line.core_top) - origin), round(line.core_bottom) - origin)
    first = choose_cut(ink, line.top - room - origin, (top if above is None else max(above, top)) - origin, core[0])
    last = choose_cut(ink, line.bottom + room - origin, core[1], (bottom if below is None else min(below, bottom)) - origin)
    last = max(last, first + 1)
    box = (left, origin + first, right, origin + last)
    crop = cut_box(image, box, line.angle)
    if is_ink[[first, last - 1]].any():
        crop = erase(crop, find_strays(is_ink, (first, last), core)[first:last])
    return crop, outline(*(round(edge) for edge in box), line.angle)


def find_strays(ink: np.ndarray, cuts: tuple[int, int], core: tuple[int, int]) -> np.ndarray:
    """Return the ink of neighbours: blots that a cut goes through and that don't reach the line's small letters."""
    blots = find_blots(ink)
    is_cut = (blots.top < cuts[0]) & (blots.bottom > cuts[0]) | (blots.top < cuts[1]) & (blots.bottom > cuts[1])
    is_ours = (blots.top < core[1]) & (blots.bottom > core[0])
    return blots.draw(is_cut & ~is_ours, ink.shape)


def erase(crop: Image.Image, strays: np.ndarray) -> Image.Image:
    """Return the crop with strays, and the gray rim around them, in the tone of its paper."""
    if not strays.any():
        return crop
    mask = Image.fromarray(strays[: crop.height, : crop.width]).convert("L").filter(ImageFilter.MaxFilter(3))
    cleaned = crop.copy()
    cleaned.paste(paper_tone(crop), mask=mask)
    return cleaned
