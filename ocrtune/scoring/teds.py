"""Compare tables: TEDS, the similarity of two tables as trees of rows and cells, and TEDS-S, of their structure alone.

TEDS = 1 - tree edits / nodes of the larger tree. A cell read wrongly costs the normalised edit distance
of its text, one with another span or tag 1, a missing or extra row or cell 1 a node. Source: X. Zhong,
E. ShafieiBavani and A. Jimeno Yepes, "Image-based table recognition: data, model, and evaluation",
2020; TEDS-S leaves out the cells' text.
"""

from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from ocrtune.scoring.edits import count_edits
from ocrtune.scoring.tree_edits import Tree, tree_distance

# Nodes of one table times nodes of the other that are compared at most: seconds.
MOST_PAIRS = 500_000


class Cell(NamedTuple):
    """The label of a node: its tag and, for a cell, its spans and text (tokens: characters and inline tags)."""

    tag: str
    colspan: int = 1
    rowspan: int = 1
    text: tuple[str, ...] | str = ""


class Table(NamedTuple):
    """A table's tree, and how many elements lie under its root."""

    tree: Tree
    num_nodes: int


def rename_cost(one: Cell, two: Cell) -> float:
    """Return what it costs to turn one node into another, from 0 to 1."""
    if one[:3] != two[:3]:
        return 1.0
    if one.text == two.text:
        return 0.0
    longest = max(len(one.text), len(two.text))
    if isinstance(one.text, str) and isinstance(two.text, str):
        return Levenshtein.distance(one.text, two.text) / longest
    return count_edits(list(one.text), list(two.text)).total / longest


def rename_structure(one: Cell, two: Cell) -> float:
    """Return the cost without regard to text."""
    return float(one[:3] != two[:3])


def compare_tables(reference: Table | None, prediction: Table | None, is_structure: bool = False) -> float | None:
    """Return TEDS, or TEDS-S; 0 where one is no table, None where they are too large (`MOST_PAIRS`)."""
    if reference is None or prediction is None:
        return 0.0
    longest = max(reference.num_nodes, prediction.num_nodes)
    if (reference.num_nodes + 1) * (prediction.num_nodes + 1) > MOST_PAIRS:
        return None
    if longest == 0:
        return 1.0
    return 1 - tree_distance(reference.tree, prediction.tree, rename_structure if is_structure else rename_cost) / longest
