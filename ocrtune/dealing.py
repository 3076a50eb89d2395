"""Deal documents to train, val and test."""

import hashlib

from ocrtune.params.split import SplitParams


def choose_split(doc_id: str, params: SplitParams) -> str:
    """Return the split of a document.

    The choice hangs on the document alone: pages of one scan share font and noise, so a page-wise
    split would leak test into train; and a document crawled later never moves an earlier one.
    Of the id (`<name>-<hash of the content>`) only the hash counts: a renamed file stays where it was.
    """
    content = doc_id.rpartition("-")[2]
    digest = hashlib.sha256(f"{params.salt}:{content}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    if share < params.test:
        return "test"
    return "val" if share < params.test + params.val else "train"
