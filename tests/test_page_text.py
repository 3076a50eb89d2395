"""Lines become a page: paragraphs where gaps say so, pieces of one line side by side, columns apart."""

import pytest

from ocrtune.pages.text import Place, join_lines


def line(text: str, row: float, left: float = 0, width: float = 400, size: float = 20) -> tuple[str, Place]:
    """Return a line at a row of a page set solid, 24 px a row; its small letters are half as high as the line."""
    bottom = 100 + 24 * row
    return text, Place(left, bottom - size / 2, left + width, bottom, size)


@pytest.mark.parametrize(("lines", "text"), [
    ([], ""),
    ([line("A", 0)], "A"),
    ([("A", None), ("B", None)], "A\nB"),
    ([line(name, row) for row, name in enumerate("ABCD")], "A\nB\nC\nD"),
    ([line("A", 0), line("B", 1), line("C", 2), line("D", 3.5), line("E", 4.5)], "A\nB\nC\n\nD\nE"),
    ([line("A", 0), line("B", 2), line("C", 4), line("D", 6), line("E", 8)], "A\nB\nC\nD\nE"),  # set with wide leading throughout
    ([line("A", 0), line("B", 2)], "A\n\nB"),  # too few to say
    ([line("A", 0), line("B", 1)], "A\nB"),
    ([line("Title", 0, size=40), line("A", 1.5), line("B", 2.5), line("C", 3.5), line("D", 4.5), line("E", 5.5)], "Title\n\nA\nB\nC\nD\nE"),
    # pieces of one line
    ([line("Total", 0, width=80), line("5.00", 0, left=300, width=60), line("Tax", 1, width=80), line("1.00", 1.05, left=300, width=60)],
     "Total 5.00\nTax 1.00"),
    # columns
    ([line("A", 0), line("B", 1), line("C", 2), line("D", 0, left=450), line("E", 1, left=450), line("F", 2, left=450)],
     "A\nB\nC\n\nD\nE\nF"),
    # nothing of what is empty
    ([line("A", 0), line(" ", 1), line("", 2), line("B", 3)], "A\n\nB"),
    ([line(" ", 0)], ""),
])  # fmt: skip
def test_lines_are_joined(lines, text):
    assert join_lines(lines) == text


def test_a_slanted_page_reads_as_a_level_one():
    slanted = [(text, Place(place.left, place.top - 3 * row, place.right, place.bottom + 3 * row, 20))
               for row, (text, place) in enumerate(line(name, row) for row, name in enumerate("ABCDE"))]  # fmt: skip
    assert join_lines(slanted) == "A\nB\nC\nD\nE"
