"""Sort pages into slices by what is known of them: origin of the reference, source, kind of document, layout class."""

from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ocrtune.rows import RowError
from ocrtune.scoring.scores_csv import SLICE

UNKNOWN = "unknown"


def find_source(url: str) -> str:
    """Return where a document comes from: its host, or the folder it lay in.

    >>> find_source("https://a.example/b/c.pdf"), find_source("data/site/minutes/1870.pdf")
    ('a.example', 'data/site/minutes')
    """
    return urlsplit(url).hostname or str(PurePosixPath(url).parent)


def list_slices(columns: Iterable[str], row: dict, page: dict, document: dict) -> dict[str, str]:
    """Return the columns `slice_<name>` of a page, each value from its row of the split, of pages.jsonl or of documents.jsonl.

    `source` is made of the document's url where no row has a column of that name. What is not known is `unknown`.
    """
    known = {"source": find_source(document["url"]) if "url" in document else UNKNOWN} | document | page | row
    return {SLICE + column: str(known.get(column, UNKNOWN)) for column in columns}


def check_slices(columns: Iterable[str], rows: list[dict]) -> None:
    """Refuse a column that no page has: `rows` are those of `list_slices`."""
    for column in columns:
        if rows and all(row[SLICE + column] == UNKNOWN for row in rows):
            raise RowError(f"params.yaml: evaluate.slices: no page has a column {column!r}; "
                           "columns are those of test.jsonl, pages.jsonl and documents.jsonl, and source")
