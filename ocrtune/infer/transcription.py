"""Let a reader read whole documents: pages are rendered, read and put together, and each document is handed on when it is whole.

Pages are drawn through the reader rather than collected first: rendering keeps just ahead of reading, and a thousand
documents take no more room than a few.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ocrtune.infer.transcript import PageTranscript, Transcript
from ocrtune.machines.workers import Crash, Workers
from ocrtune.pages.pieces import PagePieces, render_pieces
from ocrtune.pages.plan import CRASHED, PlannedDocument
from ocrtune.pages.source_files import shown
from ocrtune.pages.source_pages import FAILURES_IN_A_ROW
from ocrtune.params.pdf2img import Pdf2imgParams
from ocrtune.reading import Page, Reader, Reading
from ocrtune.store.budget import Account, BudgetError
from ocrtune.store.store import Store, reading_key


def read_each(
    reader: Reader, pages: Iterable[Page], store: Store, account: Account, receive: Callable[[Page, str, Reading], None]
) -> None:
    """Hand each page's reading to `receive` as soon as it is there, asking the reader only for those not in the store.

    Pages are drawn as the reader draws them, in whatever thread; `receive` is called by one thread at a time. Images of the
    same bytes that are under way together are read once. A budget that doesn't reach all pages is a `BudgetError`.
    """
    flying: dict[str, list[Page]] = {}
    lock = threading.Lock()

    def is_new(page: Page) -> bool:
        key = reading_key(page, reader.identity)
        with lock:
            found = store.get(key)
            if found is not None:
                receive(page, key, found)
            else:
                flying.setdefault(key, []).append(page)
            return found is None and len(flying[key]) == 1

    try:
        for admitted in account.rounds(filter(is_new, pages)):
            for page, reading in reader.read(admitted):
                key = reading_key(page, reader.identity)
                with lock:
                    store.put(key, reading, reader.identity)
                    for twin in flying.pop(key):
                        receive(twin, key, reading)
                account.charge(page, reading)
    finally:
        store.flush()
        account.log()
    if account.held:
        raise BudgetError(f"the budget ({account.budget}) {account.shortage()}")


class Transcription:
    """The documents of one run: `take` gets each transcript when it is whole, `tick` the number of pages done since the last call.

    `refused` grows by a row where a document is given up. Images are written below `folder`, and removed when their page is
    read unless they are to be kept.
    """

    def __init__(self, planned: list[PlannedDocument], folder: Path, keep_images: bool, take: Callable[[Transcript], None],
                 tick: Callable[[int], object]):
        self.planned, self.folder, self.keep_images, self.take, self.tick = planned, folder, keep_images, take, tick
        self.transcripts = {plan.document.name: Transcript(plan.document, plan.num_pages) for plan in planned}
        self.drawn = dict.fromkeys(self.transcripts, 0)  # pages handed to be rendered
        self.failures = dict.fromkeys(self.transcripts, 0)  # pages in a row that could not be
        self.places: dict[str, tuple[Transcript, PageTranscript]] = {}
        self.refused: list[dict] = []
        self.lock = threading.RLock()  # readers may draw pages in one thread and answer in another

    def run(self, reader: Reader, store: Store, workers: Workers, params: Pdf2imgParams, account: Account) -> None:
        """Read all pages, or as many as the account allows."""
        try:
            read_each(reader, self.draw_pages(workers, params), store, account, self.receive)
        except BudgetError as error:
            self.leave_off(str(error))

    def leave_off(self, why: str) -> None:
        """Hand on the documents of which anything was read, with the reason at what is missing; the others are refused."""
        for plan in self.planned:
            transcript = self.transcripts.pop(plan.document.name, None)
            if transcript is None:
                continue
            pages = transcript.pages
            is_begun = any(page.readings for page in pages.values())
            for piece in (piece for page in pages.values() if not page.is_whole for piece in page.pieces.pieces):
                if not (self.keep_images and is_begun):
                    piece.image.unlink()
            if not is_begun:
                file = shown(plan.document.sources[0].file)
                self.refused.append({"file": file, "page": None, "reason": f"{transcript.num_pages} pages not read: {why}"})
                continue
            numbers = (number for stretch in plan.stretches for number in stretch.numbers)
            for number in itertools.islice(numbers, transcript.num_pages):
                page = pages.setdefault(number, PageTranscript(PagePieces(number, reason=why)))
                page.readings = {piece.page_id: ("", Reading("", "unread", why)) for piece in page.pieces.pieces} | page.readings
            self.take(transcript)

    def draw_jobs(self, params: Pdf2imgParams) -> Iterator[tuple]:
        """Yield the arguments of `render_pieces`, document by document; what is left of one given up is passed over."""
        for plan in self.planned:
            name = plan.document.name
            for stretch in plan.jobs():
                if self.failures[name] >= FAILURES_IN_A_ROW:
                    break
                self.drawn[name] += len(stretch.numbers)
                yield name, stretch.sources, stretch.numbers, self.folder, params

    def draw_pages(self, workers: Workers, params: Pdf2imgParams) -> Iterator[Page]:
        """Yield every piece that there is to read."""
        for (name, _, numbers, *_), result in workers.run(render_pieces, self.draw_jobs(params)):
            rendered = [PagePieces(number, reason=CRASHED, is_damaged=True) for number in numbers] if isinstance(result, Crash) else result
            self.enter(name, rendered)
            for pieces in rendered:
                yield from (Page(piece.page_id, piece.image, piece.sha256, piece.text_layer) for piece in pieces.pieces)

    def enter(self, name: str, rendered: list[PagePieces]) -> None:
        """Take pages that are rendered; those with nothing to read are done."""
        with self.lock:
            transcript = self.transcripts[name]
            for pieces in rendered:
                page = transcript.pages[pieces.number] = PageTranscript(pieces)
                self.places |= {piece.page_id: (transcript, page) for piece in pieces.pieces}
                self.failures[name] = self.failures[name] + 1 if pieces.is_damaged else 0
            if self.failures[name] >= FAILURES_IN_A_ROW:
                self.give_up(transcript)
            for pieces in rendered:
                if not pieces.pieces:
                    self.settle(transcript, transcript.pages[pieces.number])

    def give_up(self, transcript: Transcript) -> None:
        """Expect no more pages of a document than those on their way."""
        name = transcript.document.name
        if transcript.num_pages > self.drawn[name]:
            reason = f"given up after {self.failures[name]} bad pages in a row, {self.drawn[name]} of {transcript.num_pages} pages tried"
            self.refused.append({"file": shown(transcript.document.sources[0].file), "page": None, "reason": reason})
            transcript.num_pages = self.drawn[name]

    def receive(self, page: Page, key: str, reading: Reading) -> None:
        """Take a piece's reading."""
        with self.lock:
            transcript, whole = self.places.pop(page.page_id)
            whole.readings[page.page_id] = (key, reading)
            if whole.is_whole:
                self.settle(transcript, whole)

    def settle(self, transcript: Transcript, page: PageTranscript) -> None:
        """Count a page as done, and hand on its document where it was the last."""
        transcript.num_whole += 1
        for piece in page.pieces.pieces if not self.keep_images else ():
            piece.image.unlink()
        if transcript.is_whole:
            self.take(self.transcripts.pop(transcript.document.name))
        self.tick(1)
