"""How DeepSeek-OCR (the first) looks at a picture: one view of the whole, and tiles of a picture larger than a tile.

Sizes, order and rounding are those of the original code's `infer`; `count_tokens` says what a picture costs.
"""

import math
from dataclasses import dataclass

PATCH, DOWNSAMPLE = 16, 4  # pixels a patch of SAM; patches a token along each side
SQUASHED_UP_TO = 640  # without tiles, a view this small is squashed to a square; a larger one is padded
PADDING = (127, 127, 127)
PRESETS = {  # base_size, image_size, crop_mode
    "tiny": (512, 512, False), "small": (640, 640, False), "base": (1024, 1024, False), "large": (1280, 1280, False),
    "gundam": (1024, 640, True),
}


@dataclass(frozen=True)
class Geometry:
    """Sizes in pixels. With `crop_mode` the whole is seen at `base_size` and tiles at `image_size`; else the whole at `image_size`."""

    base_size: int = 1024
    image_size: int = 640
    crop_mode: bool = True
    min_tiles: int = 2
    max_tiles: int = 9

    def __post_init__(self):
        for name in ("base_size", "image_size"):
            size = getattr(self, name)
            if size < PATCH * DOWNSAMPLE or size % (PATCH * DOWNSAMPLE):
                raise ValueError(f"image.{name}: {size}: must be a multiple of {PATCH * DOWNSAMPLE} pixels")
        if not 1 <= self.min_tiles <= self.max_tiles:
            raise ValueError(f"image.max_tiles: {self.max_tiles}: must be at least image.min_tiles, {self.min_tiles}")


def find_geometry(preset: str | None = None, **numbers) -> Geometry:
    """Return the geometry of a preset, single numbers of it replaced by others, or of numbers alone."""
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"image.preset: {preset!r}: no such preset; there are: {', '.join(PRESETS)}")
    unknown = sorted(numbers.keys() - Geometry.__dataclass_fields__.keys())
    if unknown:
        raise ValueError(f"image.{unknown[0]}: unknown; allowed: preset, {', '.join(Geometry.__dataclass_fields__)}")
    named = dict(zip(("base_size", "image_size", "crop_mode"), PRESETS[preset or "gundam"], strict=True))
    return Geometry(**{**named, **numbers})


def find_grid(width: int, height: int, geometry: Geometry) -> tuple[int, int]:
    """Return how many columns and rows of tiles a picture is cut into; (1, 1): none.

    The grid nearest in shape wins; of two as near, the one with more tiles if the picture fills more than half of it.
    """
    if not geometry.crop_mode or max(width, height) <= geometry.image_size:
        return 1, 1
    most = geometry.max_tiles
    grids = [(columns, rows) for columns in range(1, most + 1) for rows in range(1, most + 1)
             if geometry.min_tiles <= columns * rows <= most]
    found, nearest = (1, 1), math.inf
    for columns, rows in sorted(grids, key=lambda grid: (grid[0] * grid[1], grid)):
        distance = abs(width / height - columns / rows)
        fills = width * height > 0.5 * geometry.image_size**2 * columns * rows
        if distance < nearest or (distance == nearest and fills):
            nearest, found = distance, (columns, rows)
    return found


def count_tokens(grid: tuple[int, int], geometry: Geometry) -> int:
    """Return the number of image tokens: a newline after each line of cells, one separator, tiles where there are any."""
    whole = geometry.base_size if geometry.crop_mode else geometry.image_size
    side = math.ceil(whole // PATCH / DOWNSAMPLE)
    tokens = side * (side + 1) + 1
    if grid != (1, 1):
        columns, rows = grid
        side = math.ceil(geometry.image_size // PATCH / DOWNSAMPLE)
        tokens += rows * side * (columns * side + 1)
    return tokens


def cut_views(image, geometry: Geometry) -> tuple[object, list, tuple[int, int]]:
    """Return the view of the whole picture, its tiles line by line, and their grid (columns, rows); PIL images all."""
    from PIL import ImageOps

    grid, tiles = find_grid(*image.size, geometry), []
    if not geometry.crop_mode:
        size = geometry.image_size
        if size <= SQUASHED_UP_TO:
            image = image.resize((size, size))
        return ImageOps.pad(image, (size, size), color=PADDING), tiles, grid
    if grid != (1, 1):
        size, (columns, rows) = geometry.image_size, grid
        scaled = image.resize((size * columns, size * rows))
        tiles = [scaled.crop((column * size, row * size, (column + 1) * size, (row + 1) * size))
                 for row in range(rows) for column in range(columns)]
    return ImageOps.pad(image, (geometry.base_size,) * 2, color=PADDING), tiles, grid


def pixels(view):
    """Return a view's pixels, -1 to 1, as (3, s, s); rounded to bfloat16, as the original hands them over whatever the model's type."""
    import numpy
    import torch

    values = torch.from_numpy(numpy.asarray(view, dtype=numpy.uint8).copy()).permute(2, 0, 1)
    return values.float().div(255).sub(0.5).div(0.5).to(torch.bfloat16)
