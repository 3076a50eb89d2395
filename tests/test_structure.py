"""Tables and blocks of pages in Markdown are compared as trees and sequences."""

import pytest
from hypothesis import given, settings, strategies

from ocrtune.scoring.structure import count_structure, find_order, split_blocks
from ocrtune.scoring.tables import find_tables, parse_html
from ocrtune.scoring.teds import MOST_PAIRS, Cell, Table, compare_tables
from ocrtune.scoring.tree_edits import Tree, tree_distance

PIPES = "| a | b |\n|---|---|\n| 1 | 2 |"
HTML = "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>"


def unlike(one: str, two: str) -> float:
    return float(one != two)


def tree(text: str) -> Tree:
    """Return a tree written as `a(b c(d))`."""
    def read(place: int) -> tuple[Tree, int]:
        label, children = text[place], []
        place += 1
        if place < len(text) and text[place] == "(":
            while text[place] != ")":
                child, place = read(place + 1)
                children.append(child)
            place += 1
        return Tree(label, children), place

    return read(0)[0]


@pytest.mark.parametrize(("one", "two", "distance"), [
    ("a", "a", 0), ("a", "b", 1), ("a(b c)", "a(c)", 1), ("a(b(c) d)", "a(c d)", 1), ("a(b c d)", "x(b y d)", 2), ("a", "a(b(c d))", 3),
    ("f(d(a c(b)) e)", "f(c(d(a b)) e)", 2),  # the example of Zhang and Shasha's paper
])
def test_tree_distance_by_hand(one, two, distance):
    assert tree_distance(tree(one), tree(two), unlike) == distance == tree_distance(tree(two), tree(one), unlike)


def grow(nodes: list[tuple[str, int]]) -> Tree:
    """Return a tree of labelled nodes, each under an earlier one."""
    trees = [Tree(label, []) for label, _ in nodes]
    for place, (_, parent) in enumerate(nodes[1:], 1):
        trees[parent % place].children.append(trees[place])
    return trees[0]


TREES = strategies.lists(strategies.tuples(strategies.sampled_from("abc"), strategies.integers(0, 6)), min_size=1, max_size=7).map(grow)


def size(tree: Tree) -> int:
    return 1 + sum(map(size, tree.children))


@given(TREES, TREES, TREES)
@settings(deadline=None, max_examples=60)
def test_tree_distance_is_a_metric(one, two, three):
    distance = tree_distance(one, two, unlike)
    assert distance == tree_distance(two, one, unlike) and tree_distance(one, one, unlike) == 0
    assert abs(size(one) - size(two)) <= distance <= size(one) + size(two)
    assert distance <= tree_distance(one, three, unlike) + tree_distance(three, two, unlike)


def test_tables_in_markdown_and_html_are_alike():
    (pipes,), (html,) = find_tables(f"Before\n\n{PIPES}\n\nAfter"), find_tables(f"<p>Before</p>{HTML} After")
    assert pipes == html and compare_tables(pipes, html) == 1


@pytest.mark.parametrize(("text", "count"), [
    ("no | table", 0), ("a | b\nc | d", 0), ("a | b\n--|--\nc | d", 1), (f"{PIPES}\n\n{PIPES}", 2), (f"{HTML}\n{PIPES}", 2),
    ("<table><tr><td>cut off", 1), ("<TABLE><TR><TD>x</TABLE>", 1), ("<table>", 1), ("", 0), ("\0 <table>\0</table> \ud800", 1),
])
def test_tables_are_found(text, count):
    assert len(find_tables(text)) == count


def test_a_table_missed_made_up_or_read_wrongly():
    same = count_structure(PIPES, HTML)
    assert (same["reference_tables"], same["prediction_tables"], same["teds"], same["teds_structure"]) == (1, 1, 1, 1)
    wrong = count_structure(PIPES, PIPES.replace("2", "3"))
    assert (wrong["teds"], wrong["teds_structure"]) == (round(5 / 6, 6), 1)
    missed, made_up = count_structure(PIPES, "nothing"), count_structure("nothing", PIPES)
    assert (missed["teds"], missed["reference_tables"], missed["prediction_tables"]) == (0, 1, 0)
    assert (made_up["teds"], made_up["reference_tables"], made_up["prediction_tables"]) == (0, 0, 1)


def test_tables_are_paired_by_what_they_hold():
    other = "| x | y | z |\n|---|---|---|\n| long | words | here |"
    assert count_structure(f"{PIPES}\n\n{other}", f"{other}\n\n{PIPES}")["teds"] == 2


def test_tables_too_large_are_counted_apart():
    row = Tree(Cell("tr"), [Tree(Cell("td"))] * 1000)
    large = Table(Tree(Cell("table"), [row]), 1001)
    assert MOST_PAIRS < 1002 * 1002 and compare_tables(large, large) is None
    found = count_structure("<table>" + "<tr><td>a</td></tr>" * 500 + "</table>", "<table>" + "<tr><td>a</td></tr>" * 500 + "</table>")
    assert (found["unscored_tables"], found["teds"]) == (1, 0)


def test_what_is_no_table_scores_0():
    assert parse_html("") is None and parse_html("<p>x</p>") is None and compare_tables(None, parse_html(HTML)) == 0


def test_blocks():
    assert split_blocks(f"# A\ntext\n\nmore\n\n{HTML}after\n\n \n## B") == ["A text", "more", "a b 1 2", "after", "B"]


@pytest.mark.parametrize(("predictions", "order"), [
    (["one two", "three four", "five six"], [0, 1, 2]), (["five six", "one two", "three four"], [2, 0, 1]),
    (["one too", "unknown words", "five six"], [0, 2]), ([], []),
])
def test_order(predictions, order):
    assert find_order(["one two", "three four", "five six"], predictions) == order


def test_reading_order_counts_moves():
    blocks = ["The first paragraph.", "A second one.", "Third and last but one.", "The end of it all."]
    page = "\n\n".join(blocks)
    assert (count_structure(page, page)["order_edits"], count_structure(page, page)["order_blocks"]) == (0, 4)
    columns = "\n\n".join([blocks[0], blocks[2], blocks[1], blocks[3]])
    assert count_structure(page, columns)["order_edits"] == 2


@given(strategies.text(strategies.characters(codec=None) | strategies.sampled_from("|-\n<table>trd/"), max_size=60))
@settings(deadline=None)
def test_any_text_has_a_structure(text):
    found = count_structure(text, text)
    assert found["order_edits"] == 0 and found["teds"] == found["reference_tables"] - found["unscored_tables"]
