"""Join the texts of lines to the text of a page, by where the lines stand."""

import itertools
from dataclasses import dataclass
from statistics import median

WIDER = 1.3  # times the usual pitch: a gap that parts paragraphs
USUAL_PITCH = 1.4  # line heights from one line to the next, where the page has too few lines to say
ENOUGH = 4  # pitches that tell a page's own
ALIKE = 1.25  # lines whose heights differ by less are set in one size


@dataclass(frozen=True)
class Place:
    """The upright box on the page, in px, around a line's small letters, and the height of the whole line."""

    left: float
    top: float
    right: float
    bottom: float
    height: float


def is_beside(before: Place, after: Place) -> bool:
    """Say whether a place continues the line of another, to its right."""
    overlap = min(before.bottom, after.bottom) - max(before.top, after.top)
    low = min(before.bottom - before.top, after.bottom - after.top)
    return overlap > 0.5 * low and after.left > (before.left + before.right) / 2


def follows(before: Place, after: Place) -> bool:
    """Say whether a place stands below another, in the same column."""
    return after.bottom > before.bottom and min(before.right, after.right) > max(before.left, after.left)


def pitch(before: Place, after: Place) -> float:
    """Return how far down the page the next line stands, in line heights of the lower of the two."""
    return (after.bottom - before.bottom) / min(before.height, after.height)


def surround(places: list[Place]) -> Place:
    """Return the place of a line of several pieces."""
    return Place(min(place.left for place in places), min(place.top for place in places), max(place.right for place in places),
                 max(place.bottom for place in places), max(place.height for place in places))


def join_pieces(pieces: list[tuple[str, Place]]) -> list[tuple[str, Place]]:
    """Return whole lines: pieces that stand side by side are joined by a space."""
    rows: list[list[tuple[str, Place]]] = []
    for text, place in pieces:
        if rows and is_beside(rows[-1][-1][1], place):
            rows[-1].append((text, place))
        else:
            rows.append([(text, place)])
    return [(" ".join(text for text, _ in row), surround([place for _, place in row])) for row in rows]


def usual_pitch(places: list[Place]) -> float:
    """Return the median pitch, in line heights, of neighbouring lines of one size."""
    pitches = [pitch(before, after) for before, after in itertools.pairwise(places)
               if follows(before, after) and 1 / ALIKE < before.height / after.height < ALIKE]  # fmt: skip
    return median(pitches) if len(pitches) >= ENOUGH else min([USUAL_PITCH, *pitches])


def join_lines(lines: list[tuple[str, Place | None]]) -> str:
    """Return the text of lines in reading order: a blank line where the gap is wide or another column begins.

    Pieces of one line are joined by a space. Where places are unknown lines stand one below the other. Empty texts leave no trace.
    """
    lines = [(text.strip("\r\n") if place is None else text.strip(), place) for text, place in lines if text.strip()]
    if not all(place for _, place in lines):
        return "\n".join(text for text, _ in lines)
    rows = join_pieces(lines)
    usual = usual_pitch([place for _, place in rows])
    text = rows[0][0] if rows else ""
    for (_, before), (after_text, after) in itertools.pairwise(rows):
        is_next = follows(before, after) and pitch(before, after) <= WIDER * usual
        text += ("\n" if is_next else "\n\n") + after_text
    return text
