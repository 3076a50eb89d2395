"""Write the images of documents and return their rows, a job a document; a crash takes one document with it."""

import hashlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image

from ocrtune.machines.workers import Crash, open_workers
from ocrtune.pages.images import PageImage, render_document
from ocrtune.pages.source_pages import Refusal
from ocrtune.params.pdf2img import Pdf2imgParams

JPEG_QUALITY = 92
CRASHED = "the process that rendered it crashed; open it with another program and save it anew"

Result = tuple[list[dict], list[dict]]  # page rows, refused rows


def encode_image(image: Image.Image, file_format: str) -> bytes:
    """Return the bytes of an image file; the same pixels always give the same."""
    buffer = BytesIO()
    if file_format == "png":
        image.save(buffer, "PNG", compress_level=6)
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def name_page(doc_id: str, piece: PageImage, unit: str) -> str:
    """Return the page_id of an image, with its line or block where it shows one."""
    name = f"{doc_id}_p{piece.page}"
    return name if piece.number is None else f"{name}_{unit[0]}{piece.number:03d}"


def write_pages(document: dict, folder: Path, out: Path, params: Pdf2imgParams) -> Result:
    """Write the images of one document under `out`/images; return its rows and what was refused of it."""
    doc_id = document["doc_id"]
    rows, refused = [], []
    for piece in render_document(folder / document["file"], document["media_type"], params):
        if isinstance(piece, Refusal):
            refused.append({"doc_id": doc_id, "page": piece.page, "reason": piece.reason})
            continue
        page_id = name_page(doc_id, piece, params.unit)
        content = encode_image(piece.image, params.format)
        file = f"images/{page_id}.{params.format}"
        (out / file).write_bytes(content)
        rows.append(
            {
                "page_id": page_id, "doc_id": doc_id, "page": piece.page, "line": piece.number,
                "box": list(piece.box) if piece.box else None, "image": file, "width": piece.image.width,
                "height": piece.image.height, "sha256": hashlib.sha256(content).hexdigest(), "text_layer": piece.text_layer,
            }
        )
    return rows, refused


def write_named(document: dict, *args: object) -> Result:
    """Do the same, with the document's name in front of any mistake of ours, told in words that another process can read."""
    try:
        return write_pages(document, *args)
    except Exception as error:
        raise RuntimeError(f"{document['doc_id']}: {type(error).__name__}: {error}; please report this") from None


def write_all_pages(documents: list[dict], folder: Path, out: Path, params: Pdf2imgParams, executor: str) -> Iterator[Result]:
    """Yield each document's result, in the order in which they get done, from the processes of an executor."""
    with open_workers(executor, params.workers, len(documents)) as workers:
        for (document, *_), result in workers.run(write_named, ((document, folder, out, params) for document in documents)):
            yield ([], [{"doc_id": document["doc_id"], "page": None, "reason": CRASHED}]) if isinstance(result, Crash) else result
