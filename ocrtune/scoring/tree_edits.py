"""Count the edits between two ordered trees.

Source: K. Zhang and D. Shasha, "Simple Fast Algorithms for the Editing Distance between Trees and
Related Problems", SIAM Journal on Computing 18, 1989. For trees as flat as tables its cost is close to
the product of their sizes.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Tree(NamedTuple):
    """A node with a label of any kind and its children in order."""

    label: object
    children: Sequence["Tree"] = ()


def list_postorder(tree: Tree) -> tuple[list, list[int]]:
    """Return the labels in postorder, and of each node the position of the first leaf under it."""
    labels: list = []
    leaves: list[int] = []
    waiting: list[tuple[Tree, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, child, first = waiting.pop()
        if child == 0:
            first = len(labels)
        if child < len(node.children):
            waiting += [(node, child + 1, first), (node.children[child], 0, 0)]
        else:
            labels.append(node.label)
            leaves.append(first)
    return labels, leaves


def list_keyroots(leaves: list[int]) -> list[int]:
    """Return the highest node of each first leaf, rising: the roots of the subtrees to compare."""
    return sorted({leaf: node for node, leaf in enumerate(leaves)}.values())


def tree_distance(one: Tree, two: Tree, rename: Callable[[object, object], float]) -> float:
    """Return the cheapest edits from one tree to the other: 1 for a node deleted or inserted, `rename` for one relabelled.

    >>> tree_distance(Tree("a", [Tree("b"), Tree("c")]), Tree("a", [Tree("c")]), lambda x, y: float(x != y))
    1.0
    """
    labels_one, leaves_one = list_postorder(one)
    labels_two, leaves_two = list_postorder(two)
    trees = [[0.0] * len(labels_two) for _ in labels_one]
    for root_one in list_keyroots(leaves_one):
        for root_two in list_keyroots(leaves_two):
            compare_forests(root_one, root_two, (labels_one, leaves_one), (labels_two, leaves_two), trees, rename)
    return float(trees[-1][-1])


def compare_forests(root_one: int, root_two: int, one: tuple[list, list[int]], two: tuple[list, list[int]],
                    trees: list[list[float]], rename: Callable[[object, object], float]) -> None:
    """Fill in the distances between the subtrees that share their first leaf with these two roots."""
    (labels_one, leaves_one), (labels_two, leaves_two) = one, two
    first_one, first_two = leaves_one[root_one], leaves_two[root_two]
    above = [float(column) for column in range(root_two - first_two + 2)]
    rows = [above]
    for node_one in range(first_one, root_one + 1):
        leaf_one, label, known = leaves_one[node_one], labels_one[node_one], trees[node_one]
        row = [above[0] + 1]
        for node_two in range(first_two, root_two + 1):
            column = node_two - first_two
            best = min(above[column + 1], row[column]) + 1
            leaf_two = leaves_two[node_two]
            if leaf_one == first_one and leaf_two == first_two:
                best = min(best, above[column] + rename(label, labels_two[node_two]))
                known[node_two] = best
            else:
                best = min(best, rows[leaf_one - first_one][leaf_two - first_two] + known[node_two])
            row.append(best)
        rows.append(row)
        above = row
