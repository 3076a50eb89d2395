"""The order of a crawl and the rows it ends in, without a network."""

import random

from ocrtune.crawl.addresses import AddressBook, domains_of
from ocrtune.crawl.documents import gather_documents, make_slug
from ocrtune.crawl.frontier import DOCUMENT, PAGE, REDIRECT, Frontier, Outcome

LINKS = {"s": ("b", "a", "c"), "a": ("d", "e"), "b": ("e", "f"), "c": ("x:out",), "d": ("g",), "e": (), "f": (), "g": ()}


def walk(max_pages: int, max_depth: int) -> Frontier:
    """Crawl LINKS, answers coming in any order."""
    frontier = Frontier(["s"], lambda address: not address.startswith("x:"), max_pages, max_depth)
    while True:
        addresses = frontier.pending()
        random.shuffle(addresses)
        for address in addresses:
            frontier.record(Outcome(address, PAGE, LINKS[address]))
        if not frontier.advance():
            return frontier


def test_the_limit_cuts_breadth_first_in_sorted_order():
    for _ in range(20):
        frontier = walk(max_pages=5, max_depth=9)
        assert sorted(frontier.outcomes) == ["a", "b", "c", "d", "s"]
        # g, behind d, is found after the limit was reached
        assert frontier.refusals() == dict.fromkeys(["e", "f", "g"], "not asked for: max_pages 5 reached")


def test_depth_and_foreign_links():
    frontier = walk(max_pages=99, max_depth=1)
    assert sorted(frontier.outcomes) == ["a", "b", "c", "s"]
    assert set(frontier.refusals()) == {"d", "e", "f"}
    assert frontier.outside == {"x:out"}


def test_redirects_cost_no_depth_and_loops_end():
    frontier = Frontier(["s"], lambda address: True, max_pages=99, max_depth=0)
    answers = {"s": Outcome("s", REDIRECT, ("t",), hops=0), "t": Outcome("t", REDIRECT, ("s",), hops=0)}
    while frontier.pending():
        for address in frontier.pending():
            frontier.record(answers[address])
        frontier.advance()
    assert set(frontier.outcomes) == {"s", "t"} and frontier.refusals() == {} and frontier.num_passages() == 2


def test_equal_contents_give_one_document_whichever_came_first():
    pairs = [(url, Outcome(url, DOCUMENT, sha256="ab" * 32, media_type="image/png", num_bytes=1)) for url in ("s/c.pdf", "s/a.pdf", "s/b")]
    results = [gather_documents(order) for order in (pairs, pairs[::-1])]
    assert results[0] == results[1]
    documents, refused = results[0]
    assert [(row["url"], row["file"]) for row in documents] == [("s/a.pdf", "files/a-abababab.png")]
    assert refused == [{"url": url, "reason": "same content as a-abababab"} for url in ("s/b", "s/c.pdf")]


def test_ids_differ_though_names_and_first_digits_are_the_same():
    pairs = [(f"{place}/a", Outcome("", DOCUMENT, sha256="0" * 8 + place * 56, media_type="image/png", num_bytes=1)) for place in "12"]
    assert {row["doc_id"] for row in gather_documents(pairs)[0]} == {"a-0000000011111111", "a-0000000022222222"}


def test_slugs():
    assert make_slug("https://x.org/Dir/Größe%20(2).v1.PDF?a=b/c") == "groe-2-v1"
    assert make_slug("https://x.org/") == "document"
    assert len(make_slug("s/" + "a" * 300)) == 60


def test_addresses_hide_the_port_and_stay_in_the_folder():
    book = AddressBook("http://127.0.0.1:4711", "data/site", is_file=False, domains=["example.org"])
    address = book.address("http://127.0.0.1:4711/a%20b/../%C3%A9.pdf?x=1#page=2")
    assert book.label(address) == "data/site/é.pdf"
    assert book.url(address) == "http://127.0.0.1:4711/%C3%A9.pdf"
    assert book.address("mailto:x@example.org") is None
    allowed = ["http://example.org/", "https://www.EXAMPLE.org/x"]
    foreign = ["http://badexample.org/", "http://example.org.evil.net/", "http://127.0.0.1:4712/"]
    assert all(book.is_allowed(book.address(url)) for url in allowed)
    assert not any(book.is_allowed(book.address(url)) for url in foreign)
    assert domains_of(["http://www.a.org:80/x", "https://a.org"]) == ["a.org"]
