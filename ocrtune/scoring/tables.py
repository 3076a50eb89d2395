"""Find the tables of a page that is Markdown, HTML or both, and make trees of them.

`parse_html` keeps an HTML table as it is, with its head, its body and the tags inside its cells, as the
published TEDS compares it. `find_tables` makes Markdown's and HTML's tables comparable: rows of cells alone.
"""

import re

from lxml import etree, html

from ocrtune.scoring.teds import Cell, Table
from ocrtune.scoring.tree_edits import Tree
from ocrtune.texts.normalizers import keep_words

HTML_TABLE = re.compile(r"<table\b.*?(?:</table\s*>|\Z)", re.DOTALL | re.IGNORECASE)
PIPE_ROW = re.compile(r"^[ \t]*\|.*$|^.*\S[ \t]*\|.*\S.*$")
PIPE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t:-]*)*$")
PIPE = re.compile(r"(?<!\\)\|")


def parse_html(text: str) -> Table | None:
    """Return the first table of an HTML document, or None where there is none in its body."""
    if not text.strip():
        return None
    try:
        page = html.fromstring(text.encode("utf-8", "replace"), parser=html.HTMLParser(remove_comments=True, encoding="utf-8"))
    except (etree.ParserError, ValueError):
        return None
    found = page.xpath("body/table")
    return Table(build_tree(found[0]), len(found[0].xpath(".//*"))) if found else None


def span(node, name: str) -> int:
    """Return a cell's colspan or rowspan; 1 where it is no number."""
    value = node.get(name, "1").strip()
    return int(value) if value.isdecimal() and len(value) < 6 else 1


def build_tree(node) -> Tree:
    """Return an element's tree down to its cells."""
    if node.tag == "td":
        return Tree(Cell("td", span(node, "colspan"), span(node, "rowspan"), tuple(list_tokens(node)[1:-1])))
    return Tree(Cell(node.tag), [build_tree(child) for child in node])


def list_tokens(node) -> list[str]:
    """Return a cell's content as characters and tags."""
    tokens = [f"<{node.tag}>", *(node.text or "")]
    for child in node:
        tokens += list_tokens(child)
    return [*tokens, f"</{node.tag}>", *((node.tail or "") if node.tag != "td" else "")]


def build_rows(rows: list[list[Cell]]) -> Table:
    """Return the table of these rows."""
    return Table(Tree(Cell("table"), [Tree(Cell("tr"), [Tree(cell) for cell in row]) for row in rows]), sum(1 + len(row) for row in rows))


def parse_rows(text: str) -> Table:
    """Return an HTML table as rows of cells: th is td, thead and tbody are left out, texts have no markup."""
    try:
        table = html.fragment_fromstring(text.encode("utf-8", "replace").decode(), create_parent="div")
    except (etree.ParserError, ValueError):
        return build_rows([])
    return build_rows([[Cell("td", span(cell, "colspan"), span(cell, "rowspan"), keep_words(cell.text_content()))
                        for cell in row.xpath("./td|./th")] for row in table.iter("tr")])


def parse_pipes(lines: list[str]) -> Table:
    """Return a Markdown table as rows of cells; the line below the head is left out."""
    rows = [lines[0], *lines[2:]]
    return build_rows([[Cell("td", text=keep_words(cell)) for cell in PIPE.split(row.strip().removeprefix("|").removesuffix("|"))]
                       for row in rows])


def find_tables(text: str) -> list[Table]:
    """Return the tables of a page in order: HTML tables, and Markdown's with bars."""
    found: list[tuple[int, Table]] = [(match.start(), parse_rows(match[0])) for match in HTML_TABLE.finditer(text)]
    lines = HTML_TABLE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text).split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    number = 0
    while number + 1 < len(lines):
        if PIPE_ROW.match(lines[number]) and "|" in lines[number + 1] and PIPE_RULE.match(lines[number + 1]):
            end = number + 2
            while end < len(lines) and PIPE_ROW.match(lines[end]):
                end += 1
            found.append((starts[number], parse_pipes(lines[number:end])))
            number = end
        else:
            number += 1
    return [table for _, table in sorted(found, key=lambda pair: pair[0])]
