"""Render a line of text as a scanner or a PDF would show it, and say where each character stands."""

import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from ocrtune.pretraining.typefaces import Typeface

LINE_HEIGHT = 32  # px, what the student sees
WIDTH_STEP = 16  # px: widths are multiples of the student's patch times its merge
MAX_WIDTH = 1280  # px
LOOSE = 0.15  # share of lines with much room above and below, as crops of slanted or handwritten pages have
LIGATURES = {"ffi": "ﬃ", "ffl": "ﬄ", "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ", "ſt": "ﬅ"}


@dataclass
class LineImage:
    """A rendered line: `pixels` uint8 (height, width), `text`, and the x of each character's centre in px."""

    pixels: np.ndarray
    text: str
    centres: np.ndarray


@lru_cache(maxsize=2000)
def load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=200_000)
def advance(path: str, size: int, glyph: str) -> float:
    return load_font(path, size).getlength(glyph)


def join_ligatures(text: str, characters: frozenset[str]) -> list[tuple[str, int]]:
    """Return the glyphs that draw `text`, each with the number of characters it stands for."""
    glyphs, at = [], 0
    while at < len(text):
        pair = next((pair for pair, glyph in LIGATURES.items() if text.startswith(pair, at) and glyph in characters), None)
        glyphs.append((LIGATURES[pair], len(pair)) if pair else (text[at], 1))
        at += len(pair) if pair else 1
    return glyphs


def draw_text(text: str, typeface: Typeface, size: int, rng: random.Random) -> tuple[Image.Image, np.ndarray, tuple[int, int]]:
    """Return black on white text with room around it, the characters' centres, and the rows of its line box."""
    font = load_font(typeface.path, size)
    joined = rng.random() < 0.2
    glyphs = join_ligatures(text, typeface.characters) if joined else [(character, 1) for character in text]
    spacing = rng.uniform(0, 0.08) * size if rng.random() < 0.15 else 0.0
    margin, x = size, 0.0
    centres, places = [], []
    for glyph, count in glyphs:
        width = advance(typeface.path, size, glyph)
        places.append(x)
        centres += [x + width * (part + 0.5) / count for part in range(count)]
        x += width + spacing
    ascent, descent = font.getmetrics()
    ascent, descent = min(ascent, round(1.15 * size)), min(descent, round(0.45 * size))
    top = margin + font.getmetrics()[0] - ascent
    image = Image.new("L", (int(x) + 2 * margin, font.getmetrics()[0] + descent + 2 * margin), 255)
    draw = ImageDraw.Draw(image)
    if spacing:
        for (glyph, _), place in zip(glyphs, places, strict=True):
            draw.text((margin + place, margin), glyph, font=font, fill=0)
    else:
        draw.text((margin, margin), "".join(glyph for glyph, _ in glyphs), font=font, fill=0)
    return image, np.array(centres) + margin, (top, top + ascent + descent)


def crop_box(image: Image.Image, rows: tuple[int, int], size: int, rng: random.Random) -> tuple[int, int, int, int]:
    """Choose the crop: a PDF's line box, or the ink alone with a margin, as line finders give it."""
    ink = image.point(lambda value: 255 - value).getbbox() or (size, rows[0], image.width - size, rows[1])
    if rng.random() < 0.6:
        top, bottom = (row + rng.uniform(-0.10, 0.10) * size for row in rows)
    else:
        x_height = (rows[0] + 0.45 * size, rows[1] - 0.30 * size)
        top = min(ink[1], x_height[0]) - rng.uniform(0.02, 0.25) * size
        bottom = max(ink[3], x_height[1]) + rng.uniform(0.02, 0.25) * size
    left = ink[0] - rng.uniform(0.02, 0.6) * size
    right = ink[2] + rng.uniform(0.02, 0.6) * size
    return round(left), round(min(top, ink[1] + 1)), round(right), round(max(bottom, ink[3] - 1))


def add_neighbours(image: Image.Image, rows: tuple[int, int], rng: random.Random) -> Image.Image:
    """Draw pieces of the lines above and below, as a loose crop shows them."""
    pitch = round((rows[1] - rows[0]) * rng.uniform(1.0, 1.4))
    crowded = image
    for shift in (pitch, -pitch):
        crowded = ImageChops.darker(crowded, Image.eval(
            Image.eval(image, lambda value: 255 - value).transform(
                image.size, Image.Transform.AFFINE, (1, 0, rng.randint(-image.width // 2, image.width // 2), 0, 1, shift)),
            lambda value: 255 - value))
    return crowded


def cut_out(pixels: np.ndarray, above: float, below: float, rng: random.Random) -> np.ndarray:
    """Whiten ragged edges of at most `above` and `below` rows: a line cut from its page along a polygon."""
    height, width = pixels.shape
    corners = np.arange(0, width + 40, rng.randint(25, 120))
    top, bottom = (np.interp(np.arange(width), corners, [rng.uniform(0, room) for _ in corners]) for room in (above, below))
    row = np.arange(height)[:, None]
    return np.where((row < top[None]) | (row >= height - bottom[None]), 255, pixels)


def skew(image: Image.Image, rng: random.Random) -> Image.Image:
    """Lean and tilt a little, as a page on a scanner does."""
    shear, tilt = rng.uniform(-0.12, 0.12), rng.uniform(-0.006, 0.006)
    middle_x, middle_y = image.width / 2, image.height / 2
    matrix = (1, shear, -shear * middle_y, tilt, 1, -tilt * middle_x)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=255)


def wear(pixels: np.ndarray, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    """Age a line: paper tone, faded ink, uneven light, show-through, speckle, grain. Takes and gives 0 to 255, float."""
    paper, ink = rng.uniform(185, 255), rng.uniform(0, 110)
    if rng.random() < 0.15:
        ghost = np.roll(pixels[:, ::-1], rng.randint(-6, 6), axis=0)
        pixels = np.minimum(pixels, 255 - (255 - ghost) * rng.uniform(0.05, 0.25))
    pixels = ink + pixels * ((paper - ink) / 255)
    if rng.random() < 0.25:
        pixels = pixels + np.linspace(rng.uniform(-25, 25), rng.uniform(-25, 25), pixels.shape[1])[None, :]
    if rng.random() < 0.5:
        pixels = pixels + noise.normal(0, rng.uniform(1, 18), pixels.shape)
    if rng.random() < 0.1:
        specks = noise.random(pixels.shape)
        pixels = np.where(specks < 0.004, ink, np.where(specks > 0.996, paper, pixels))
    return pixels


def soften(image: Image.Image, rng: random.Random) -> Image.Image:
    """Spread or thin the ink, and blur or coarsen as lenses and low resolutions do."""
    draw = rng.random()
    if draw < 0.08:
        image = image.filter(ImageFilter.MinFilter(3))
    elif draw < 0.14 and image.height > 44:
        image = image.filter(ImageFilter.MaxFilter(3))
    if rng.random() < 0.35:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0) * image.height / LINE_HEIGHT))
    if rng.random() < 0.15:
        scale = rng.uniform(0.45, 0.8) * LINE_HEIGHT / image.height
        image = image.resize((max(8, round(image.width * scale)), max(8, round(image.height * scale))), Image.Resampling.BILINEAR)
    return image


def render_line(text: str, typeface: Typeface, rng: random.Random, clean: bool = False, loose: float = LOOSE) -> LineImage:
    """Return `text` as an image of 32 px height and a width that is a multiple of 16 px.

    With `clean`, the line is black on white, upright and sharp; `loose` is the share of loose crops among the others.
    A line too wide for `MAX_WIDTH` is an error.
    """
    size = rng.choice((22, 26, 30, 36, 42))
    image, centres, rows = draw_text(text, typeface, size, rng)
    left, top, right, bottom = crop_box(image, rows, size, rng)
    is_loose = not clean and rng.random() < loose
    above, below = (rng.uniform(0.1, 0.7) * size if is_loose else 0 for _ in range(2))
    if is_loose and rng.random() < 0.5:
        image = add_neighbours(image, rows, rng)
    top, bottom = round(top - above), round(bottom + below)
    if not clean and rng.random() < 0.5:
        image = skew(image, rng)
    image = Image.eval(image, lambda value: 255 - value).crop((left, top, right, bottom))  # outside the image crop gives 0
    image = Image.eval(image, lambda value: 255 - value)
    if not clean:
        image = soften(image, rng)
    stretch = 1.0 if clean else rng.uniform(0.85, 1.15)
    width = (right - left) * LINE_HEIGHT / (bottom - top) * stretch
    width = max(WIDTH_STEP, round(width / WIDTH_STEP) * WIDTH_STEP)
    if width > MAX_WIDTH:
        raise ValueError(f"a line of {len(text)} characters is {width} px wide, more than {MAX_WIDTH}")
    pixels = np.asarray(image.resize((width, LINE_HEIGHT), Image.Resampling.BICUBIC), np.float32)
    if not clean:
        pixels = wear(pixels, rng, np.random.default_rng(rng.getrandbits(63)))
    if is_loose and rng.random() < 0.6:
        rows_px = LINE_HEIGHT / (bottom - top)
        pixels = cut_out(pixels, above * rows_px, below * rows_px, rng)
    centres = (centres - left) * width / (right - left)
    return LineImage(pixels.clip(0, 255).astype(np.uint8), text, centres)
