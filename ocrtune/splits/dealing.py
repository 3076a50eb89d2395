"""Deal documents to train, val and test."""

import hashlib
from pathlib import Path

from ocrtune.params.split import SplitParams
from ocrtune.splits.near_duplicates import find_twins


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


def take_out_twins(dealt: dict[str, list[dict]], folder: Path, least: float) -> list[dict]:
    """Take documents out of train and val that say nearly the same as one of test (or, of train, one of val).

    Test keeps its place, so that a document added later never moves it. Image paths are as seen from `folder`.
    Returns the refused rows with their reason.
    """
    refused = []
    twins = {}
    for twin in find_twins(dealt, folder, least):
        twins.setdefault((twin.other_id, twin.other_split), twin)
    for name, part in dealt.items():
        found = [(row, twins.get((row["doc_id"], name))) for row in part]
        dealt[name] = [row for row, twin in found if twin is None]
        refused += [{"page_id": row["page_id"],
                     "reason": f"taken out of {name}: {twin.likeness:.0%} the same as {twin.doc_id} of {twin.split}"}
                    for row, twin in found if twin is not None]
    if twins:
        print(f"  {len(refused)} pages of {len(twins)} documents taken out: nearly the same as documents of test or val")
    return refused
