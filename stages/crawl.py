"""Crawl documents from a folder and from the web.

    python -m stages.crawl data/site data/documents

Takes PDFs and images, told by their content, and refuses everything else with its reason.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

OPERATIONAL = {"folder", "max_pages", "max_depth", "delay_s", "concurrent_requests", "timeout_s"}  # an answer's content hangs on none


def choose_journal(folder: Path, params) -> Path:
    """Return the folder in which this crawl remembers its progress, in the main workspace also within `dvc exp run --temp`."""
    import hashlib
    import json

    from ocrtune.crawl.folder_server import hash_folder
    from ocrtune.workspace import main_root

    identity = json.dumps([params.model_dump(exclude=OPERATIONAL), hash_folder(folder)], sort_keys=True)
    return main_root() / ".crawls" / hashlib.sha256(identity.encode()).hexdigest()[:16]


def explain_empty(refused: list[dict]) -> str:
    """Return what to do about a crawl that found no document."""
    reasons = "".join(f"\n  {row['url']}: {row['reason']}" for row in refused[:5])
    more = f"\n  and {len(refused) - 5} more" if len(refused) > 5 else ""
    remedy = "put PDFs or images into crawl.folder, or correct crawl.urls, crawl.max_depth and crawl.allowed_domains"
    return f"no documents found; {remedy}. Refused:{reasons or ' nothing'}{more}"


def crawl(folder: Path, out: Path, params) -> None:
    """Crawl the folder and the params' urls into `out`."""
    from ocrtune.crawl.addresses import FOLDER, AddressBook, domains_of
    from ocrtune.crawl.documents import gather_documents, write_documents
    from ocrtune.crawl.folder_server import name_folder, serve_folder
    from ocrtune.crawl.frontier import DOCUMENT, Frontier
    from ocrtune.crawl.journal import CrawlError, Journal
    from ocrtune.crawl.spider import run_crawl
    from ocrtune.rows import check_counts

    if not folder.exists():
        raise CrawlError(f"{folder}: no such folder; create it or set crawl.folder in params.yaml")
    journal = Journal(choose_journal(folder, params))
    if journal.outcomes:
        print(f"crawl: going on with an interrupted crawl, {len(journal.outcomes)} URLs already fetched ({journal.folder})")
    with serve_folder(folder) as base:
        domains = params.allowed_domains or domains_of(params.urls)
        book = AddressBook(base, name_folder(folder), folder.is_file(), domains)
        start = f"{base}/{folder.name}" if folder.is_file() else f"{base}/"
        seeds = {book.address(start), *map(book.address, params.urls)}
        frontier = Frontier(seeds, book.is_allowed, params.max_pages, params.max_depth)
        run_crawl(frontier, journal, book, params)

    found = [(book.label(address), outcome) for address, outcome in frontier.outcomes.items() if outcome.kind == DOCUMENT]
    documents, refused = gather_documents(found)
    refused += [{"url": book.label(address), "reason": reason} for address, reason in frontier.refusals().items()]
    refused.sort(key=lambda row: row["url"])
    if not documents:
        journal.close(remove=True)
        raise CrawlError(explain_empty(refused))
    write_documents(out, documents, refused, journal)
    journal.close(remove=True)

    known = len(frontier.depths | dict.fromkeys(frontier.too_deep))
    print(f"crawl: {frontier.num_asked} URLs asked for, {len(frontier.outside)} links outside the allowed domains left alone")
    check_counts("crawl", known - frontier.num_passages(), len(documents), len(refused))
    if frontier.unasked:
        print(f"crawl: warning: max_pages {params.max_pages} reached; {len(frontier.unasked)} URLs were not asked for", file=sys.stderr)
    for row in refused:
        if any(row["url"] == book.label(seed) for seed in seeds if not seed.startswith(FOLDER)):
            print(f"crawl: warning: seed {row['url']}: {row['reason']}", file=sys.stderr)


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of documents, saved web site or single document; crawl.urls come on top.")],
    out: Annotated[Path, typer.Argument(help="Folder to write: files/, documents.jsonl, refused.jsonl.")],
) -> None:
    """Crawl PDFs and images from a folder and the web."""
    from ocrtune.params.crawl import CrawlParams
    from ocrtune.params.load import load_section, report_errors

    with report_errors():
        crawl(folder, out, load_section("crawl", CrawlParams))


if __name__ == "__main__":
    typer.run(main)
