"""Lines of a scan are found by their ink, straight or skewed, in one column or two."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from test_pdf2img import TEXTS, ink_of, make_scan, render

from ocrtune.pages.ink import find_blots
from ocrtune.pages.line_finding import find_lines, measure_skew
from ocrtune.pages.source_pages import Refusal


@pytest.mark.parametrize(("num_lines", "angle", "noise"), [(12, 0, 0), (20, 0, 600), (20, 1.7, 600), (20, -3.0, 300), (1, 0, 40)])
def test_lines_are_found_by_ink(tmp_path, num_lines, angle, noise):
    make_scan(num_lines, angle, noise).save(tmp_path / "scan.png")
    lines = render(tmp_path / "scan.png", "image/png")
    assert len(lines) == num_lines
    assert {line.text_layer for line in lines} == {None}
    assert all(26 <= line.image.height <= 52 for line in lines)
    assert all(560 <= line.image.width <= 640 for line in lines)
    middles = [(line.box[1] + line.box[3]) / 2 for line in lines]
    assert middles == sorted(middles)


def test_skew_is_measured():
    for angle in (-2.5, -0.4, 0.0, 1.3, 4.0):
        assert abs(measure_skew(ink_of(make_scan(15, angle)), letter=20) - angle) <= 0.1


def test_columns_of_ink_are_read_one_after_the_other():
    page = Image.new("L", (1000, 700), 255)
    draw = ImageDraw.Draw(page)
    for left in (60, 540):
        for number in range(10):
            draw.text((left, 60 + 40 * number), TEXTS[number % 4], font=ImageFont.load_default(26), fill=0)
    lines = find_lines(page, 10)
    assert [line.left < 500 for line in lines] == [True] * 10 + [False] * 10


def test_pages_without_lines_are_refused(tmp_path):
    Image.new("L", (300, 300), 250).save(tmp_path / "blank.png")
    assert render(tmp_path / "blank.png", "image/png") == [Refusal(1, "no text layer, and no lines found by ink")]
    make_scan(20).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "side.png")
    assert "lies on its side" in render(tmp_path / "side.png", "image/png")[0].reason
    assert len(render(tmp_path / "blank.png", "image/png", unit="page")) == 1


def test_blots_agree_with_a_flood_fill():
    ink = np.random.default_rng(3).random((40, 50)) < 0.4
    seen, sizes = np.zeros_like(ink), []
    for start in zip(*np.nonzero(ink), strict=True):
        stack, size = [start], 0
        while stack:
            y, x = stack.pop()
            if 0 <= y < 40 and 0 <= x < 50 and ink[y, x] and not seen[y, x]:
                seen[y, x], size = True, size + 1
                stack += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        sizes += [size] if size else []
    blots = find_blots(ink)
    assert sorted(blots.ink) == sorted(sizes)
    assert np.array_equal(blots.draw(np.ones(len(sizes), bool), ink.shape), ink)
    assert len(find_blots(np.zeros((5, 5), bool)).ink) == 0
