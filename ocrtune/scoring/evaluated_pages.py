"""Find the pages that readers are scored on, with their references: of a split, or of a file of one's own."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ocrtune.reading import Page
from ocrtune.rows import RowError, index_rows, iterate_rows, read_rows
from ocrtune.scoring.slices import check_slices, list_slices

ORIGINS = ("gold", "text_layer", "teacher")


def check_texts(rows: list[dict], source: str) -> None:
    """Refuse a text or a document's id that is no text, and an origin that is none of `ORIGINS`, naming the page."""
    for row in rows:
        if not isinstance(row["doc_id"], str):
            raise RowError(f"{source}: {row['page_id']}: doc_id is {row['doc_id']!r}, not a string; it names the document of the page")
        if not isinstance(row["text"], str):
            raise RowError(f"{source}: {row['page_id']}: text is {type(row['text']).__name__}, not a string; rerun the stage that wrote it")
        if row["origin"] not in ORIGINS:
            raise RowError(f"{source}: {row['page_id']}: origin is {row['origin']!r}; it says who made the text: {', '.join(ORIGINS)}")


def choose_some(rows: list[dict], top_k: int | None) -> list[dict]:
    """Return `top_k` rows spread over all documents by the hash of their ids; a smaller choice is part of a larger one."""
    if top_k is None or top_k >= len(rows):
        return rows
    chosen = sorted(rows, key=lambda row: hashlib.sha256(row["page_id"].encode("utf-8", "surrogatepass")).digest())[:top_k]
    return sorted(chosen, key=lambda row: row["page_id"])


def read_references(path: Path, top_k: int | None = None) -> list[dict]:
    """Return the checked rows of a split, sorted by page_id; none is a `RowError`."""
    rows = read_rows(path, ("page_id", "doc_id", "image", "text", "origin"))
    index_rows(rows, source=str(path))
    check_texts(rows, str(path))
    if not rows:
        raise RowError(f"{path}: no pages to score; label more documents or raise the split's share")
    return choose_some(sorted(rows, key=lambda row: row["page_id"]), top_k)


def read_evaluated(path: Path, pages: Path, documents: Path, slices: Sequence[str], top_k: int | None) -> tuple[list[dict], list[Page]]:
    """Return the rows to score, with their slices, and their pages in the same order.

    Images are found as seen from the file's folder. Those that pages.jsonl knows under the row's id have their digest
    and text layer there; a row of a file of one's own may bring `sha256`, or has its image read for it.
    """
    known = index_rows(iterate_rows(pages / "pages.jsonl", ("page_id", "image", "sha256", "text_layer")), source=str(pages))
    found = index_rows(iterate_rows(documents / "documents.jsonl", ("doc_id", "url")), "doc_id", str(documents))
    rows = read_references(path, top_k)
    ours = pages.resolve()
    unknown = [row["page_id"] for row in rows
               if row["page_id"] not in known and (path.parent / row["image"]).resolve().is_relative_to(ours)]
    if unknown:
        raise RowError(f"{path}: {unknown[0]} and {len(unknown) - 1} more are no pages of {pages}; run split again")
    scored, read = [], []
    for row in rows:
        page = known.get(row["page_id"], {})
        image = path.parent / row["image"]
        digest = page.get("sha256") or row.get("sha256") or hashlib.sha256(image.read_bytes()).hexdigest()
        read.append(Page(row["page_id"], image, digest, page.get("text_layer")))
        scored.append(row | list_slices(slices, row, page, found.get(row["doc_id"], {})))
    check_slices(slices, scored)
    return scored, read


def open_slices(columns: Sequence[str], pages: Path, documents: Path) -> Callable[[dict], dict[str, str]]:
    """Return what gives a reference's slices; where pages.jsonl or documents.jsonl is missing, the reference's own columns do."""
    def index(path: Path, key: str, *needed: str) -> dict[str, dict]:
        if not columns or not path.is_file():
            return {}
        return {row[key]: {name: row[name] for name in (*columns, *needed) if name in row} for row in iterate_rows(path, (key,))}

    known, found = index(pages / "pages.jsonl", "page_id"), index(documents / "documents.jsonl", "doc_id", "url")
    return lambda row: list_slices(columns, row, known.get(row["page_id"], {}), found.get(row["doc_id"], {}))


def read_canary(folder: Path) -> tuple[list[dict], list[Page]]:
    """Return the lines of clean print, gold of one document, and their pages."""
    path = folder / "canary.jsonl"
    rows = read_rows(path, ("page_id", "image", "text", "sha256"))
    index_rows(rows, source=str(path))
    lines = [{"page_id": row["page_id"], "doc_id": "canary", "origin": "gold", "text": row["text"]} for row in rows]
    check_texts(lines, str(path))
    return lines, [Page(row["page_id"], folder / row["image"], row["sha256"], row["text"]) for row in rows]
