"""Put the texts of imported images into `data/gold.jsonl`: people vouch for them, and they replace what a teacher says."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ocrtune.labels.gold import locked, read_gold
from ocrtune.pages.images import PageImage, render_document
from ocrtune.pages.media_types import sniff_media_type
from ocrtune.pages.rows import encode_image
from ocrtune.params.pdf2img import Pdf2imgParams
from ocrtune.rows import write_rows


def add_gold(gold: Path, files: Iterable[Path], params: Pdf2imgParams) -> tuple[int, list[tuple[Path, str]]]:
    """Add a row for each image that brings its text and return how many, and which got none, and why.

    Gold belongs to an image as stage pdf2img makes it with these params. What a person wrote before, or while the images
    were made, is never changed.
    """
    read_gold(gold)  # a broken line is told now
    found, refused = [], []
    for file in files:
        pages = list(render_document(file, sniff_media_type(file.read_bytes()), params))
        if len(pages) != 1 or not isinstance(pages[0], PageImage):
            refused.append((file, getattr(pages[0], "reason", f"{len(pages)} images")))
            continue
        digest = hashlib.sha256(encode_image(pages[0].image, params.format)).hexdigest()
        found.append((file, {"page_id": file.stem, "sha256": digest, "text": pages[0].text_layer}))
    with locked(gold):
        rows = read_gold(gold)
        num_before = len(rows)
        for file, row in found:
            if rows.setdefault(row["sha256"], row)["text"] != row["text"]:
                refused.append((file, "another text of the same image stands there already"))
        num_added = len(rows) - num_before
        if num_added:
            write_rows(gold, rows.values())
    return num_added, refused
