"""Compare the structure of two pages that are Markdown: their tables, and the order of their blocks."""

import re
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from ocrtune.scoring.tables import find_tables
from ocrtune.scoring.teds import Table, compare_tables
from ocrtune.scoring.tree_edits import list_postorder
from ocrtune.texts.normalizers import keep_words

STRUCTURE_COUNTS = ("reference_tables", "prediction_tables", "unscored_tables", "teds", "teds_structure", "order_blocks", "order_edits")
BLOCK_BREAK = re.compile(r"\n[ \t]*\n|\n(?=#{1,6} )|(?<=</table>)\n?|\n?(?=<table\b)")
ALIKE = 0.5  # a block is found again where at most half of it was read otherwise
MOST_BLOCKS = 400  # of a page that are sought again; models that loop write thousands


def count_structure(reference: str, prediction: str) -> dict:
    """Return the columns `STRUCTURE_COUNTS` of a page.

    `teds` and `teds_structure` are sums over its tables, to be divided by the larger number of tables
    on either side less `unscored_tables` (too large): a table that was missed or made up counts 0. `order_blocks` are
    the blocks of the reference found again in the prediction, `order_edits` the Levenshtein distance
    between their two orders (L. Ouyang et al., "OmniDocBench", 2024: reading order).
    """
    tables = find_tables(reference), find_tables(prediction)
    teds = teds_structure = 0.0
    unscored = 0
    for one, two in pair_tables(*tables):
        similarity = compare_tables(one, two)
        if similarity is None:
            unscored += 1
        else:
            teds += similarity
            teds_structure += compare_tables(one, two, is_structure=True)
    order = find_order(split_blocks(reference), split_blocks(prediction))
    return {"reference_tables": len(tables[0]), "prediction_tables": len(tables[1]), "unscored_tables": unscored,
            "teds": round(teds, 6), "teds_structure": round(teds_structure, 6),
            "order_blocks": len(order), "order_edits": Levenshtein.distance(order, sorted(order))}


def table_text(table: Table) -> str:
    """Return a table's cells as one text."""
    return " ".join(label.text for label in list_postorder(table.tree)[0] if label.text)


def pair_tables(references: list[Table], predictions: list[Table]) -> list[tuple[Table, Table]]:
    """Return which tables belong together: the most alike first, each once."""
    pairs = match([table_text(table) for table in references], [table_text(table) for table in predictions], 1.0)
    return [(references[one], predictions[two]) for one, two in pairs]


def split_blocks(text: str) -> list[str]:
    """Return the headings, paragraphs and tables of a page without their markup, in order."""
    return [block for block in map(keep_words, BLOCK_BREAK.split(text)) if block]


def match(references: Sequence[str], predictions: Sequence[str], most: float) -> list[tuple[int, int]]:
    """Return pairs of positions whose normalised edit distance is at most `most`, the most alike first, each position once."""
    references, predictions = references[:MOST_BLOCKS], predictions[:MOST_BLOCKS]
    distances = sorted((Levenshtein.normalized_distance(one, two, score_cutoff=most), row, column)
                       for row, one in enumerate(references) for column, two in enumerate(predictions))
    rows, columns, pairs = set(), set(), []
    for distance, row, column in distances:
        if distance <= most and row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            pairs.append((row, column))
    return pairs


def find_order(references: list[str], predictions: list[str]) -> list[int]:
    """Return which blocks of the reference were found again, by their position there, in the prediction's order.

    >>> find_order(["one two", "three four", "five six"], ["three four", "one two!", "unknown"])
    [1, 0]
    """
    pairs = match(references, predictions, ALIKE)
    return [row for row, _ in sorted(pairs, key=lambda pair: pair[1])]
