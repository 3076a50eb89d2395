"""Where a line stands on a page: the common ground of text layers and of line finding."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Line:
    """A line of text in its own upright frame, in px of the page image.

    The frame is the page turned about its top left corner, so that the line runs level: u along the
    line, v down the page. The core is the band of the small letters; top and bottom include
    what rises above it and hangs below it.
    """

    left: float
    right: float
    top: float
    core_top: float
    core_bottom: float
    bottom: float
    angle: float = 0.0  # degrees clockwise from level
    text: str | None = None
    block: int = 0

    @property
    def height(self) -> float:
        """Return the height from top to bottom in px."""
        return self.bottom - self.top

    def moved(self, du: float, dv: float) -> "Line":
        """Return the line moved within its frame."""
        return replace(
            self, left=self.left + du, right=self.right + du, top=self.top + dv, bottom=self.bottom + dv,
            core_top=self.core_top + dv, core_bottom=self.core_bottom + dv,
        )  # fmt: skip


def to_frame(x: float, y: float, angle: float) -> tuple[float, float]:
    """Return (u, v) of a point of the page in the frame of lines at `angle`."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return x * cos + y * sin, y * cos - x * sin


def to_page(u: float, v: float, angle: float) -> tuple[float, float]:
    """Return (x, y) on the page of a point in the frame of lines at `angle`."""
    return to_frame(u, v, -angle)


def outline(left: float, top: float, right: float, bottom: float, angle: float) -> tuple[float, float, float, float]:
    """Return the upright box on the page around a box in a frame."""
    corners = [to_page(u, v, angle) for u in (left, right) for v in (top, bottom)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
