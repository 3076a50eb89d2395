"""Age a clean page: ink that spread or wore away, a verso shining through, paper, skew and grain.

Pages are float arrays of ink, height x width, 0 is bare paper and 1 is full ink. All chance comes
from a generator that the caller seeds.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

DPI = 150  # of every scan


@dataclass(frozen=True)
class Wear:
    """How badly one page fared; `skew` in degrees clockwise, the rest as shares of full ink or grey levels."""

    skew: float
    blur: float  # radius in pixels, before the ink is hardened again
    threshold: float  # the lower, the more ink spreads; above 0.45 the hairlines that tell y from v are lost
    verso: float
    grain: float
    tone: float  # grey level of the paper


def draw_wear(rng: np.random.Generator, flat: bool) -> Wear:
    """Draw a page's fate; `flat` pages lie straight with a faint verso, for line finding by projection."""
    return Wear(
        skew=0.0 if flat else float(rng.uniform(-0.5, 0.5)),
        blur=float(rng.uniform(0.5, 0.8)),
        threshold=float(rng.uniform(0.28, 0.42)),
        verso=0.03 if flat else float(rng.uniform(0.04, 0.13)),
        grain=float(rng.uniform(2.0, 5.0)),
        tone=float(rng.uniform(206, 238)),
    )


def blurred(field: np.ndarray, radius: float) -> np.ndarray:
    """Blur a field of shares; Pillow works in 8 bits, which suffices for ink."""
    picture = Image.fromarray((np.clip(field, 0, 1) * 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255


def clouds(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Return a smooth field in -1..1 with about `cells` blotches along the shorter side."""
    coarse = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))


def wear_ink(ink: np.ndarray, wear: Wear, rng: np.random.Generator) -> np.ndarray:
    """Let strokes spread or thin unevenly over the page, as from a worn forme and a tired press."""
    threshold = wear.threshold + 0.06 * clouds(rng, ink.shape, 7)
    hardened = 1 / (1 + np.exp(-11 * (blurred(ink, wear.blur) - threshold)))
    coverage = 0.80 + 0.12 * clouds(rng, ink.shape, 5) + 0.05 * rng.standard_normal(ink.shape, dtype=np.float32)
    return hardened * np.clip(coverage, 0.5, 1)


def turned(ink: np.ndarray, degrees: float) -> np.ndarray:
    """Turn a page clockwise about its middle; what comes in at the corners is bare paper."""
    picture = Image.fromarray(ink.astype(np.float32))
    return np.asarray(picture.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=0))


def show_through(verso: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return another page's ink mirrored, soft and cut or padded to this page."""
    backside = np.zeros(shape, dtype=np.float32)
    height, width = min(shape[0], verso.shape[0]), min(shape[1], verso.shape[1])
    backside[:height, :width] = verso[:height, ::-1][:, :width]
    return blurred(backside, 1.8)


def age(ink: np.ndarray, verso: np.ndarray, wear: Wear, rng: np.random.Generator) -> Image.Image:
    """Return a greyscale scan of a page of ink, with another page on its back."""
    height, width = ink.shape
    front = turned(wear_ink(ink, wear, rng), wear.skew)
    ink_all = np.clip(front + wear.verso * show_through(verso, ink.shape), 0, 1)
    slope = np.linspace(-1, 1, height)[:, None] * rng.uniform(-9, 9) + np.linspace(-1, 1, width) * rng.uniform(-9, 9)
    paper = wear.tone + slope + 6 * clouds(rng, ink.shape, 4)
    grain = wear.grain * rng.standard_normal(ink.shape, dtype=np.float32)
    grey = paper * (1 - ink_all) + 38 * ink_all + grain
    scan = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    return scan.filter(ImageFilter.GaussianBlur(0.45))


def to_jpeg(scan: Image.Image, quality: int) -> bytes:
    """Encode as baseline JPEG; the quality is low on purpose, as in old scanning campaigns."""
    jpeg = io.BytesIO()
    scan.save(jpeg, "JPEG", quality=quality, dpi=(DPI, DPI))
    return jpeg.getvalue()


def to_png(scan: Image.Image, num_greys: int = 16) -> bytes:
    """Encode as PNG with few grey levels, which keeps a grainy page small."""
    step = 255 / (num_greys - 1)
    png = io.BytesIO()
    scan.point([round(round(grey / step) * step) for grey in range(256)]).save(
        png, "PNG", optimize=True, dpi=(DPI, DPI)
    )
    return png.getvalue()
