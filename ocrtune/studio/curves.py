"""Draw what training writes, step by step, as small pictures of lines (SVG)."""

import csv
import html
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 420, 190, 52, 24, 10
MOST_POINTS = 1500


def read_curve(path: Path) -> list[tuple[float, float]]:
    """Return (step, value) of a file of DVCLive; a last line that is being written is left out."""
    points = []
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        next(rows, None)
        for row in rows:
            try:
                points.append((float(row[0]), float(row[-1])))
            except (ValueError, IndexError):
                continue
    stride = max(1, len(points) // MOST_POINTS)
    return points[::stride] + (points[-1:] if stride > 1 else [])


def find_curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Return the curves under a folder of metrics by name, such as loss or eval/cer."""
    base = folder / "plots" / "metrics"
    found = {path.relative_to(base).with_suffix("").as_posix(): read_curve(path) for path in sorted(base.rglob("*.tsv"))}
    return {name: points for name, points in found.items() if points}


def draw_curve(name: str, points: list[tuple[float, float]]) -> str:
    """Return a curve as SVG, with the range of both axes and its last value."""
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    first, last = steps[0], max(steps[-1], steps[0] + 1)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - 8) * (step - first) / (last - first)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    line = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
    grid = "".join(f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>'
                   f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
                   for value in (low, (low + high) / 2, high))
    return (f'<figure class="curve"><figcaption>{html.escape(name)}<b>{values[-1]:.4g}</b></figcaption>'
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(name, quote=True)} by step">{grid}'
            f'<polyline points="{line}"/><circle cx="{x(steps[-1]):.1f}" cy="{y(values[-1]):.1f}" r="3"/>'
            f'<text x="{LEFT}" y="{HEIGHT - 6}">step {first:g}</text>'
            f'<text x="{WIDTH - 8}" y="{HEIGHT - 6}" text-anchor="end">{steps[-1]:g}</text></svg></figure>')
