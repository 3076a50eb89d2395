"""Plan which pages of which documents are to be read, before any is rendered."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from ocrtune.machines.workers import Crash, Workers
from ocrtune.pages.source_files import PDF, Document, Source, shown
from ocrtune.pages.source_pages import choose_pages, first_line, load_pdf
from ocrtune.params.pdf2img import Pdf2imgParams

PAGES_A_JOB = 8  # so few, that Ctrl-C need not wait, and a long document is under way at once
CRASHED = "the process that opened it crashed; open the file with another program and save it anew"


@dataclass(frozen=True)
class Stretch:
    """Pages of a document that come from the same file, or one page that comes from several, each a line of it."""

    sources: tuple[Source, ...]
    numbers: range


@dataclass(frozen=True)
class PlannedDocument:
    """A document and all its pages."""

    document: Document
    stretches: tuple[Stretch, ...]

    @property
    def num_pages(self) -> int:
        return sum(len(stretch.numbers) for stretch in self.stretches)

    def jobs(self) -> Iterator[Stretch]:
        """Yield its pages a few at a time: a damaged PDF may claim a billion."""
        for stretch in self.stretches:
            for start in range(0, len(stretch.numbers), PAGES_A_JOB):
                yield Stretch(stretch.sources, stretch.numbers[start : start + PAGES_A_JOB])


def count_pages(source: Source, params: Pdf2imgParams) -> range | str:
    """Return the numbers of the pages of a file that the params ask for, or why there are none."""
    try:
        if source.media_type == PDF:
            return choose_pages(load_pdf(source.file)[1], params)
        if source.media_type != "image/tiff":
            return choose_pages(1, params)
        with Image.open(source.file) as file:
            return choose_pages(file.n_frames, params)
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # Pillow raises all of these on bad files
        return first_line(error).replace(str(source.file), source.file.name)


def join_images(document: Document, params: Pdf2imgParams) -> tuple[list[Stretch], list[dict]]:
    """Return the pages of a document that is a group of images, and refused rows for those whose page another shows already."""
    stretches, refused = [], []
    last = params.end_page or max(source.page for source in document.sources)
    for page, group in itertools.groupby(document.sources, key=lambda source: source.page):
        if not params.start_page <= page <= last:
            continue
        sources, kept = list(group), {}
        for source in sources:
            if None not in kept:  # a whole page, which comes first, leaves nothing to its lines
                kept.setdefault(source.part, source)
        stretches.append(Stretch(tuple(kept.values()), range(page, page + 1)))
        refused += [{"file": shown(source.file), "page": page, "reason": f"{next(iter(kept.values())).file.name} is this page already"}
                    for source in sources if source not in kept.values()]
    return stretches, refused


def plan_pages(documents: list[Document], params: Pdf2imgParams, workers: Workers) -> tuple[list[PlannedDocument], list[dict]]:
    """Return the documents that can be opened, with the pages that the params ask for, and refused rows."""
    to_open = [document.sources[0] for document in documents if document.sources[0].media_type in (PDF, "image/tiff")]
    jobs = ((source, params) for source in dict.fromkeys(to_open) if source.page is None)
    counted = {source: CRASHED if isinstance(result, Crash) else result for (source, _), result in workers.run(count_pages, jobs)}
    planned, refused = [], []
    for document in documents:
        source = document.sources[0]
        if source.page is None:
            numbers = counted[source] if source in counted else count_pages(source, params)
            reason = numbers if isinstance(numbers, str) else ""
            stretches = [] if reason else [Stretch((source,), numbers)]
        else:
            stretches, lost = join_images(document, params)
            refused += lost
            reason = "" if stretches else f"no page of {document.name} from start_page {params.start_page} on"
        if stretches and len(stretches[0].numbers):
            planned.append(PlannedDocument(document, tuple(stretches)))
        else:
            refused.append({"file": shown(source.file), "page": None, "reason": reason or f"no page up to end_page {params.end_page}"})
    return planned, refused
