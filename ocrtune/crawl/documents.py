"""Rows of documents: one for each content, however many addresses lead to it."""

import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ocrtune.crawl.frontier import Outcome
from ocrtune.crawl.journal import Journal
from ocrtune.pages.media_types import SUFFIXES
from ocrtune.rows import write_rows

SLUG_LENGTH = 60
HASH_LENGTH = 8  # hex digits; twice that where two contents of one name share them


def make_slug(url: str) -> str:
    """Return the stem of a URL's or path's last part in a-z, 0-9 and hyphens.

    >>> make_slug("data/site/Brief%20an%20Änne.PDF")
    'brief-an-anne'
    """
    path = unquote(urlsplit(url).path) if "://" in url else unquote(url)
    plain = unicodedata.normalize("NFKD", PurePosixPath(path).stem).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "-", plain)[:SLUG_LENGTH].strip("-") or "document"


def gather_documents(found: Iterable[tuple[str, Outcome]]) -> tuple[list[dict], list[dict]]:
    """Return document rows and refused rows of (url, outcome) pairs.

    Of equal contents the smallest url is the document, whichever arrived first.
    """
    first: dict[str, tuple[str, Outcome]] = {}
    twins: list[tuple[str, str]] = []
    for url, outcome in sorted(found, key=lambda pair: pair[0]):
        if outcome.sha256 in first:
            twins.append((url, outcome.sha256))
        else:
            first[outcome.sha256] = (url, outcome)
    short = {sha256: f"{make_slug(url)}-{sha256[:HASH_LENGTH]}" for sha256, (url, _) in first.items()}
    counts = Counter(short.values())
    ids = {key: name if counts[name] == 1 else name + key[HASH_LENGTH : 2 * HASH_LENGTH] for key, name in short.items()}
    documents = [
        {
            "doc_id": ids[sha256],
            "file": f"files/{ids[sha256]}{SUFFIXES[outcome.media_type]}",
            "url": url,
            "media_type": outcome.media_type,
            "sha256": sha256,
            "num_bytes": outcome.num_bytes,
        }
        for sha256, (url, outcome) in first.items()
    ]
    return documents, [{"url": url, "reason": f"same content as {ids[sha256]}"} for url, sha256 in twins]


def write_documents(out: Path, documents: list[dict], refused: list[dict], journal: Journal) -> None:
    """Write files, refusals and last the manifest: where it stands, the folder is complete."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "files").mkdir(parents=True)
    for row in documents:
        shutil.copyfile(journal.body(row["sha256"]), out / row["file"])
    write_rows(out / "refused.jsonl", refused, key="url")
    write_rows(out / "documents.jsonl", documents, key="doc_id")
