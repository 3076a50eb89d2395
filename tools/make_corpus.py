"""Write the demo site: about eighty documents of a town that never was, in a hand that OCR misreads.

    npm pack @fontsource/meddon && tar xzf fontsource-meddon-*.tgz
    python -m tools.make_corpus --font package/files/meddon-latin-400-normal.woff2
    python -m tools.make_corpus --truth truth.jsonl

The site is ours down to the last comma, so it can be shipped, crawled and scored against its exact
text. That text stays out of the site; `--truth` writes it elsewhere. Same words, font and versions of
the libraries give the same bytes.
"""

from pathlib import Path
from typing import Annotated

import typer

FONT_HELP = (
    "Typeface of all documents (ttf, otf or woff2), needed to write the site. The site in git was written in "
    "Meddon, licence OFL 1.1, from the npm package @fontsource/meddon: "
    "files/meddon-latin-400-normal.woff2."
)
SITE_LIMIT_BYTES = 7_000_000  # the site lives in git


def build_site(font: Path, out: Path) -> None:
    """Replace the site in `out`, after checking that what stands there is a site of ours."""
    import shutil
    from collections import Counter

    from tools.corpus.compose import read_documents
    from tools.corpus.site import GENERATOR, check_text_layers, write_site
    from tools.corpus.typeset import read_typeface

    index = out / "index.html"
    if out.exists() and any(out.iterdir()) and not (index.is_file() and GENERATOR in index.read_text("utf-8")):
        raise ValueError(f"{out}: holds files that are not this tool's; choose another --out or empty it")
    documents = read_documents()
    typeface = read_typeface(font, documents)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    kinds = write_site(documents, typeface, out)
    check_text_layers(documents, kinds, out)

    num_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if num_bytes > SITE_LIMIT_BYTES:
        raise ValueError(f"{out}: {num_bytes} bytes, more than {SITE_LIMIT_BYTES}; lower the scans' DPI or quality")
    num_lines = sum(len(document.texts()) for document in documents)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(kinds.values()).items()))
    print(f"{out}: {len(documents)} documents ({counts}), {num_lines} lines, {num_bytes / 1e6:.1f} MB")


def write_truth(path: Path) -> None:
    """Write the exact text of every document as rows {file, page, line, text}; needs no font."""
    import json

    from tools.corpus.compose import read_documents
    from tools.corpus.site import truth_rows

    rows = truth_rows(read_documents())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    print(f"{path}: {len(rows)} lines")


def main(
    font: Annotated[Path | None, typer.Option(help=FONT_HELP, exists=True, dir_okay=False)] = None,
    out: Annotated[Path, typer.Option(help="Folder of the site; a site made before is replaced.")] = Path("data/site"),
    truth: Annotated[Path | None, typer.Option(help="Write the exact text of all lines to this JSONL file.")] = None,
) -> None:
    """Write the demo site of scanned and born-digital documents, or the exact text of its lines."""
    if font is None and truth is None:
        raise typer.BadParameter("nothing to do: pass --font for the site, --truth for its text, or both")
    if truth and truth.resolve().is_relative_to(out.resolve()):
        raise typer.BadParameter(f"--truth {truth} lies in the site {out}, where a crawler could learn it")
    try:
        if font:
            build_site(font, out)
        if truth:
            write_truth(truth)
    except ValueError as error:
        raise SystemExit(f"make_corpus: {error}") from error


if __name__ == "__main__":
    typer.run(main)
