"""Crawl with Scrapy: ask for the frontier's addresses, round by round, and note what comes of each."""

import os

import scrapy
from scrapy import exceptions, signals
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import HtmlResponse, Response
from scrapy.linkextractors import LinkExtractor
from tqdm import tqdm
from twisted.python.failure import Failure

from ocrtune.crawl.addresses import FOLDER, AddressBook
from ocrtune.crawl.folder_server import LISTING_HEADER
from ocrtune.crawl.frontier import DOCUMENT, PAGE, REDIRECT, REFUSED, Frontier, Outcome
from ocrtune.crawl.journal import CrawlError, Journal
from ocrtune.pages.media_types import looks_like_html, sniff_media_type
from ocrtune.params.crawl import CrawlParams

LINK_TAGS = ("a", "area", "frame", "iframe", "embed", "object")
LINK_ATTRIBUTES = ("href", "src", "data")
PASSING_STATUSES = (408, 429)  # with those of 500 and more: worth another try in a later run
FOLDER_SLOT = "folder"  # our own server needs no politeness
LOOPBACK = "127.0.0.1"


class DocumentSpider(scrapy.Spider):
    """Fetches each address once and hands what came of it to journal and frontier."""

    name = "documents"

    def __init__(self, frontier: Frontier, journal: Journal, book: AddressBook, params: CrawlParams) -> None:
        super().__init__()
        self.frontier, self.journal, self.book, self.params = frontier, journal, book, params
        tags = LINK_TAGS + (("img",) if params.embedded_images else ())
        self.extractor = LinkExtractor(tags=tags, attrs=LINK_ATTRIBUTES, deny_extensions=(), strip=True)
        self.progress = tqdm(desc="crawl", unit=" URLs", total=0)
        self.is_finished, self.error = False, None

    @classmethod
    def from_crawler(cls, crawler, *args, **kwargs) -> "DocumentSpider":
        """Create the spider and have it told when a round is over."""
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.start_round, signal=signals.spider_idle)
        crawler.signals.connect(spider.take_error, signal=signals.spider_error)
        return spider

    async def start(self):
        """Begin with nothing: the first round starts like all others, when the engine is idle."""
        return
        yield

    def start_round(self) -> None:
        """Ask for the next round's addresses, or let the spider close when there are none."""
        if self.error:
            return
        addresses = self.next_addresses()
        if not addresses:
            self.is_finished = True
            self.progress.close()
            return
        for address in addresses:
            self.crawler.engine.crawl(self.request(address))
        raise exceptions.DontCloseSpider

    def next_addresses(self) -> list[str]:
        """Return what to ask for next; what an earlier run has fetched is taken from the journal."""
        while True:
            for address in self.frontier.pending():
                if address in self.journal.outcomes:
                    self.note(self.journal.outcomes[address], is_new=False)
            if addresses := self.frontier.pending():
                return addresses
            if not self.frontier.advance():
                return []

    def take_error(self, failure: Failure) -> None:
        """Keep a mistake of ours, which Scrapy would only log."""
        self.error = failure.value

    def request(self, address: str) -> scrapy.Request:
        """Return the request for an address; redirects come back to us, since they may lead where we may not go."""
        meta = {"dont_redirect": True, "handle_httpstatus_all": True, "address": address}
        if address.startswith(FOLDER):
            meta |= {"download_slot": FOLDER_SLOT, "proxy": None}
        return scrapy.Request(
            self.book.url(address), callback=self.take, errback=self.take_failure, meta=meta, dont_filter=True
        )

    def note(self, outcome: Outcome, is_new: bool, is_passing: bool = False) -> None:
        """Record an outcome; a passing failure stays out of the journal, so that a later run tries again."""
        if is_new and not is_passing:
            self.journal.write(outcome)
        self.frontier.record(outcome)
        self.progress.total = len(self.frontier.depths)
        self.progress.update()

    def take(self, response: Response) -> None:
        """Note what a response is."""
        address = response.meta["address"]
        passing = response.status >= 500 or response.status in PASSING_STATUSES
        self.note(self.judge(address, response), is_new=True, is_passing=passing)

    def judge(self, address: str, response: Response) -> Outcome:
        """Return what a response amounts to, by its content and not by its name or type."""
        if 300 <= response.status < 400 and "Location" in response.headers:
            target = response.urljoin(response.headers["Location"].decode("latin-1"))
            return Outcome(address, REDIRECT, self.addresses([target]), hops=0)
        if not 200 <= response.status < 300:
            return Outcome(address, REFUSED, reason=f"HTTP {response.status}")
        media_type = sniff_media_type(response.body)
        if media_type:
            sha256 = self.journal.store_body(response.body)
            return Outcome(address, DOCUMENT, sha256=sha256, media_type=media_type, num_bytes=len(response.body))
        if isinstance(response, HtmlResponse) or looks_like_html(response.body):
            page = HtmlResponse(response.url, headers=response.headers, body=response.body)
            is_listing = address.startswith(FOLDER) and LISTING_HEADER in response.headers
            try:
                links = [link.url for link in self.extractor.extract_links(page)]
            except ValueError:  # what lxml and codecs raise on markup beyond repair
                return Outcome(address, REFUSED, reason="HTML that can't be parsed")
            return Outcome(address, PAGE, self.addresses(links), hops=0 if is_listing else 1)
        return Outcome(address, REFUSED, reason="not a document" if response.body else "not a document: empty")

    def addresses(self, urls: list[str]) -> tuple[str, ...]:
        """Return the addresses behind URLs, sorted, each once."""
        found = set()
        for url in urls:
            try:
                found.add(self.book.address(url))
            except ValueError:  # "http://[", a URL that can't be one
                continue
        return tuple(sorted(found - {None}))

    def take_failure(self, failure: Failure) -> None:
        """Note why a request got no response, in words that don't change from run to run."""
        too_large = failure.check(exceptions.DownloadCancelledError) or "DOWNLOAD_MAXSIZE" in failure.getErrorMessage()
        if too_large:
            reason = f"larger than max_bytes {self.params.max_bytes}"
        elif failure.check(exceptions.IgnoreRequest):
            reason = "disallowed by robots.txt"
        elif failure.check(exceptions.DownloadTimeoutError):
            reason = f"no answer within timeout_s {self.params.timeout_s:g}"
        elif failure.check(exceptions.CannotResolveHostError):
            reason = "host unknown"
        elif failure.check(exceptions.DownloadConnectionRefusedError):
            reason = "connection refused"
        elif failure.check(exceptions.ResponseDataLossError):
            reason = "answer cut short"
        else:
            reason = f"download failed: {failure.type.__name__}"
        outcome = Outcome(failure.request.meta["address"], REFUSED, reason=reason)
        self.note(outcome, is_new=True, is_passing=not too_large)


def choose_settings(params: CrawlParams) -> dict:
    """Return Scrapy's settings: no side doors, no cookies, politeness as asked for."""
    concurrency = params.concurrent_requests
    return {
        "USER_AGENT": params.user_agent,
        "ROBOTSTXT_OBEY": params.obey_robots,
        "DOWNLOAD_DELAY": params.delay_s,
        "DOWNLOAD_SLOTS": {FOLDER_SLOT: {"delay": 0, "concurrency": concurrency}},
        "CONCURRENT_REQUESTS": concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": concurrency,
        "DOWNLOAD_TIMEOUT": params.timeout_s,
        "DOWNLOAD_MAXSIZE": params.max_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_HANDLERS": dict.fromkeys(("data", "file", "ftp", "s3")),
        "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",
        "COOKIES_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_LEVEL": "CRITICAL",
    }


def run_crawl(frontier: Frontier, journal: Journal, book: AddressBook, params: CrawlParams) -> None:
    """Crawl until nothing is left to ask for; a process can do this once (Twisted's reactor starts once)."""
    away_from_proxies = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), LOOPBACK]
    os.environ["no_proxy"] = ",".join(filter(None, away_from_proxies))
    process = AsyncCrawlerProcess(choose_settings(params))
    crawler = process.create_crawler(DocumentSpider)
    process.crawl(crawler, frontier=frontier, journal=journal, book=book, params=params)
    process.start()
    if crawler.spider and crawler.spider.error:
        raise crawler.spider.error
    if not crawler.spider or not crawler.spider.is_finished:
        raise CrawlError("the crawl was interrupted; run again to go on where it stopped")
