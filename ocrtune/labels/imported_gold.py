"""Put the texts of imported images into `data/gold.jsonl`: people vouch for them, and they replace what a teacher says."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ocrtune.pages.images import PageImage, render_document
from ocrtune.pages.media_types import sniff_media_type
from ocrtune.pages.rows import encode_image
from ocrtune.params.pdf2img import Pdf2imgParams
from ocrtune.rows import index_rows, read_rows, write_text


def add_gold(gold: Path, files: Iterable[Path], params: Pdf2imgParams) -> tuple[int, list[tuple[Path, str]]]:
    """Append a row for each image that brings its text and return how many, and which got none, and why.

    Gold belongs to an image as stage pdf2img makes it with these params. What a person wrote before is never changed.
    """
    rows = read_rows(gold, ("sha256", "text")) if gold.is_file() else []
    known = {digest: row["text"] for digest, row in index_rows(rows, "sha256", str(gold)).items()}
    added, refused = [], []
    for file in files:
        pages = list(render_document(file, sniff_media_type(file.read_bytes()), params))
        if len(pages) != 1 or not isinstance(pages[0], PageImage):
            refused.append((file, getattr(pages[0], "reason", f"{len(pages)} images")))
            continue
        text = pages[0].text_layer
        digest = hashlib.sha256(encode_image(pages[0].image, params.format)).hexdigest()
        if known.get(digest, text) != text:
            refused.append((file, "another text of the same image stands there already"))
        elif digest not in known:
            known[digest] = text
            added.append({"page_id": file.stem, "sha256": digest, "text": text})
    if added:
        before = gold.read_text(encoding="utf-8") if gold.is_file() else ""
        write_text(gold, before + "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in added))
    return len(added), refused
