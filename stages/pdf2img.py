"""Render documents as images of their pages, blocks or lines.

    python -m stages.pdf2img data/documents data/pages

Keeps what each PDF's own text layer says of an image, for the teacher `text-layer`.
"""

import shutil
from pathlib import Path
from typing import Annotated

import typer


def pdf2img(documents_folder: Path, out: Path, params, executor: str = "local") -> None:
    """Render all documents of a manifest into `out`."""
    from tqdm import tqdm

    from ocrtune.pages.rows import write_all_pages
    from ocrtune.rows import check_counts, index_rows, read_rows, write_rows

    manifest = documents_folder / "documents.jsonl"
    documents = read_rows(manifest, ("doc_id", "file", "media_type"))
    index_rows(documents, "doc_id", str(manifest))
    shutil.rmtree(out, ignore_errors=True)
    (out / "images").mkdir(parents=True)

    rows, refused = [], []
    results = write_all_pages(documents, documents_folder, out, params, executor)
    for found, lost in tqdm(results, total=len(documents), desc="pdf2img", unit=" documents"):
        rows += found
        refused += lost
    if not rows:
        reasons = "".join(f"\n  {row['doc_id']}: {row['reason']}" for row in refused[:5])
        raise OSError(f"{manifest}: not one of {len(documents)} documents could be rendered:{reasons}")
    refused.sort(key=lambda row: (row["doc_id"], row["page"] or 0, row["reason"]))
    write_rows(out / "refused.jsonl", refused, key=None)
    write_rows(out / "pages.jsonl", rows)

    given = {row["doc_id"] for row in rows}
    pages = {(row["doc_id"], row["page"]) for row in rows}
    refused_pages = {(row["doc_id"], row["page"]) for row in refused if row["page"]} - pages
    with_text = sum(row["text_layer"] is not None for row in rows)
    print(f"pdf2img: {len(pages)} pages rendered, {len(refused_pages)} pages refused")
    print(f"pdf2img: {len(rows)} images of a {params.unit} each, {with_text} with a text layer, {len(refused)} refused rows")
    check_counts("pdf2img documents", len(documents), len(given), len({row["doc_id"] for row in refused} - given))


def main(
    documents: Annotated[Path, typer.Argument(help="Folder that stage crawl wrote.")],
    out: Annotated[Path, typer.Argument(help="Folder to write: images/, pages.jsonl, refused.jsonl.")],
) -> None:
    """Render documents as images of pages, blocks or lines."""
    from ocrtune.params.load import load_section, read_params, report_errors
    from ocrtune.params.pdf2img import Pdf2imgParams

    with report_errors():
        pdf2img(documents, out, load_section("pdf2img", Pdf2imgParams), read_params()["executor"])


if __name__ == "__main__":
    typer.run(main)
