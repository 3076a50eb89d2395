"""Make scans: a printed sheet, photographed and worn, as a picture or as a PDF around the picture."""

import numpy as np
import pymupdf
from PIL import Image

from tools.corpus import wear
from tools.corpus.compose import seed_of
from tools.corpus.typeset import INK_INVISIBLE, Sheet, print_sheets, write_lines

Scan = tuple[Image.Image, float]  # a worn picture and its skew in degrees clockwise


def photograph(sheet: Sheet, typeface: pymupdf.Font) -> np.ndarray:
    """Return a clean sheet as ink, height x width at `wear.DPI`, from 0 for paper to 1 for ink."""
    pixmap = print_sheets([sheet], typeface)[0].get_pixmap(dpi=wear.DPI, colorspace=pymupdf.csGRAY)
    grey = np.frombuffer(pixmap.samples, dtype=np.uint8).reshape(pixmap.height, pixmap.stride)
    return 1 - grey[:, : pixmap.width].astype(np.float32) / 255


def scan_sheets(name: str, sheets: list[Sheet], verso: Sheet, typeface: pymupdf.Font, flat: bool) -> list[Scan]:
    """Return a worn picture and its skew in degrees for every sheet; `verso` shines through the first.

    A later sheet has the one before it on its back.
    """
    rng = np.random.default_rng(seed_of(name + ":wear"))
    backs = [verso, *sheets[:-1]]
    scans = []
    for sheet, back in zip(sheets, backs, strict=True):
        fate = wear.draw_wear(rng, flat)
        picture = wear.age(photograph(sheet, typeface), photograph(back, typeface), fate, rng)
        scans.append((picture, fate.skew))
    return scans


def bind_scans(
    name: str, scans: list[Scan], sheets: list[Sheet], typeface: pymupdf.Font, with_text: bool
) -> pymupdf.Document:
    """Return a PDF of page-filling pictures, with the words laid invisibly over their ink if wanted."""
    quality = 45 + seed_of(name) % 13
    pdf = pymupdf.open()
    for (picture, skew), sheet in zip(scans, sheets, strict=True):
        page = pdf.new_page(width=sheet.width, height=sheet.height)
        page.insert_image(page.rect, stream=wear.to_jpeg(picture, quality), keep_proportion=False)
        if with_text:
            write_lines(page, sheet, typeface, INK_INVISIBLE, skew)
    return pdf
