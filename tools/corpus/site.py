"""Lay the documents out as a small web site, with the traps that a crawler meets on real ones.

Which document becomes what hangs on its name and place alone:
- every second document of a folder is a scan with an invisible text layer, the others are born digital;
- `NO_TEXT_SCANS` are scans without any text, `PICTURES` are single images;
- one document is served twice, one under a misleading suffix, one is forbidden by robots.txt, and one
  link leads to rubbish.
"""

import html
import random
from pathlib import Path

import pymupdf

from tools.corpus.compose import Document, seed_of
from tools.corpus.scan import bind_scans, scan_sheets
from tools.corpus.typeset import lay_out, print_sheets, save_pdf
from tools.corpus.wear import to_jpeg, to_png

NO_TEXT_SCANS = {"letters/1890-ferry-for-sale", "notices/1877-skating-caution", "receipts/1881-dressmaker",
                 "catalogue/1880-prize-poultry"}  # fmt: skip
PICTURES = {"recipes/pickled-walnuts": ".png", "letters/1895-the-inventor": ".jpg"}
MISLABELLED = {"recipes/to-catch-a-mole": "archive/item-17.bin"}
TWIN_OF, TWIN = "letters/1881-the-new-teacher.pdf", "archive/copy-of-1881-the-new-teacher.pdf"
BROKEN = "notices/1888-water-damage.pdf"
PRIVATE_FOLDER = "private"
SUBPAGES = {
    "letters.html": ("Letters to and from the Town", ["letters"]),
    "notices.html": ("Public Notices and Minutes", ["notices", "minutes"]),
    "household.html": ("Receipts of Both Sorts", ["receipts", "recipes"]),
    "catalogue.html": ("Catalogues and Lists", ["catalogue"]),
}
TRAPS = {"letters.html": [TWIN], "notices.html": [BROKEN]}
GENERATOR = '<meta name="generator" content="tools.make_corpus">'


def kinds_of(documents: list[Document]) -> dict[str, str]:
    """Return each document's kind: "born", "scan", "no text" or "picture"."""
    kinds = {}
    for place, document in enumerate(documents):
        if document.name in PICTURES:
            kinds[document.name] = "picture"
        elif document.name in NO_TEXT_SCANS:
            kinds[document.name] = "no text"
        elif place % 2 and document.name not in MISLABELLED:
            kinds[document.name] = "scan"
        else:
            kinds[document.name] = "born"
    return kinds


def file_of(document: Document) -> str:
    """Return the path, relative to the site, under which a document is served."""
    return MISLABELLED.get(document.name, document.name + PICTURES.get(document.name, ".pdf"))


def write_document(document: Document, kind: str, verso: Document, typeface: pymupdf.Font, folder: Path) -> None:
    """Write one document's file; `verso` is the document whose print shines through its scan."""
    path = folder / file_of(document)
    path.parent.mkdir(parents=True, exist_ok=True)
    without_text = kind in ("no text", "picture")
    sheets = lay_out(document, typeface, plain=without_text)
    if kind == "born":
        save_pdf(print_sheets(sheets, typeface), path)
        return
    back = lay_out(verso, typeface, plain=without_text)[0]
    scans = scan_sheets(document.name, sheets, back, typeface, flat=without_text)
    if kind == "picture":
        picture = scans[0][0]
        path.write_bytes(to_png(picture) if path.suffix == ".png" else to_jpeg(picture, quality=55))
    else:
        save_pdf(bind_scans(document.name, scans, sheets, typeface, with_text=kind == "scan"), path)


def write_site(documents: list[Document], typeface: pymupdf.Font, folder: Path) -> dict[str, str]:
    """Write all documents, pages and traps into an empty folder; return the kind of each document."""
    kinds = kinds_of(documents)
    # The private document must leave no trace outside its folder, not even as a verso.
    public = [document for document in documents if not document.name.startswith(PRIVATE_FOLDER)]
    for place, document in enumerate(documents):
        verso = public[(place + 7) % len(public)]
        write_document(document, kinds[document.name], verso, typeface, folder)
    (folder / TWIN).write_bytes((folder / TWIN_OF).read_bytes())
    (folder / BROKEN).write_bytes(random.Random(seed_of(BROKEN)).randbytes(2311))
    (folder / "robots.txt").write_text(f"User-agent: *\nDisallow: /{PRIVATE_FOLDER}/\n", encoding="utf-8")
    write_index(folder)
    for page, (title, names) in SUBPAGES.items():
        files = [file_of(document) for document in documents if document.name.split("/")[0] in names]
        files += TRAPS.get(page, [])
        write_page(folder / page, title, "Of Fallowbridge, as far as the mice have left them.", files)
    return kinds


def check_text_layers(documents: list[Document], kinds: dict[str, str], folder: Path) -> None:
    """Raise ValueError unless every PDF gives back exactly its lines, or none where it should have none."""
    for document in documents:
        if kinds[document.name] == "picture":
            continue
        with pymupdf.open(stream=(folder / file_of(document)).read_bytes(), filetype="pdf") as pdf:
            for number, (page, lines) in enumerate(zip(pdf, document.pages, strict=True), start=1):
                expected = [] if kinds[document.name] == "no text" else [line.text for line in lines]
                if page.get_text().splitlines() != expected:
                    raise ValueError(f"{file_of(document)}, page {number}: its text layer is not its text")


def truth_rows(documents: list[Document]) -> list[dict]:
    """Return one row a line, `page` and `line` counted from 1; the twin and the broken file have none."""
    return [
        {"file": file_of(document), "page": page, "line": number, "text": line.text}
        for document in documents
        for page, lines in enumerate(document.pages, start=1)
        for number, line in enumerate(lines, start=1)
    ]


def write_index(folder: Path) -> None:
    """Write the front page, which also links to the document that robots.txt forbids."""
    intro = (
        "Fallowbridge is a small town that never was, on the river Wend, between 1870 and 1899. "
        "Everything here was written for this demonstration. The hand is Meddon, by Vernon Adams, "
        "after a legal document of the 18th century, under the SIL Open Font License 1.1."
    )
    write_page(folder / "index.html", "The Fallowbridge Papers", intro, [f"{PRIVATE_FOLDER}/vestry-quarrel.pdf"])


def write_page(path: Path, title: str, intro: str, files: list[str]) -> None:
    """Write one HTML page of links; every page links to all others, so a crawl goes in circles."""
    pages = ["index.html", *SUBPAGES]
    # A label is made from the file's name: titles would put text of the documents into the pages.
    links = [f'<li><a href="{file}">{html.escape(label_of(file))}</a></li>' for file in files]
    path.write_text(
        "\n".join([
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            GENERATOR,
            f"<title>{html.escape(title)}</title>\n</head>\n<body>",
            f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(intro)}</p>",
            "<nav>" + " | ".join(f'<a href="{page}">{page.removesuffix(".html")}</a>' for page in pages) + "</nav>",
            "<ul>",
            *links,
            "</ul>\n</body>\n</html>\n",
        ]),
        encoding="utf-8",
    )


def label_of(file: str) -> str:
    return Path(file).stem.replace("-", " ")
