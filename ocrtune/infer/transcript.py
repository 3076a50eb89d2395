"""What was read of a document, page by page."""

from dataclasses import dataclass, field

from ocrtune.pages.pieces import PagePieces, Piece
from ocrtune.pages.source_files import Document
from ocrtune.pages.text import join_lines
from ocrtune.readers.postprocess import postprocess
from ocrtune.reading import Reading


@dataclass
class PageTranscript:
    """A page and the readings of its pieces by page_id, each with its key."""

    pieces: PagePieces
    readings: dict[str, tuple[str, Reading]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        return len(self.readings) == len(self.pieces.pieces)

    @property
    def is_cut(self) -> bool:
        """Say whether the reader came to its limit before the end of the page, or of a line."""
        return any(reading.finish_reason == "length" for _, reading in self.readings.values())

    @property
    def problem(self) -> str:
        """Return what of the page could not be read, and why; empty where all was."""
        readings = [reading for _, reading in self.readings.values()]
        failed = [reading for reading in readings if reading.finish_reason in ("error", "none")]
        if self.pieces.reason or not failed:
            return self.pieces.reason
        why = "no text layer" if failed[0].finish_reason == "none" else failed[0].problem or "the reader failed"
        return why if len(readings) == 1 else f"{len(failed)} of {len(readings)} pieces: {why}"

    def piece_text(self, piece: Piece, postprocessing: str) -> str:
        """Return what a piece says."""
        return postprocess(postprocessing, self.readings[piece.page_id][1].text)

    def text(self, postprocessing: str) -> str:
        """Return what the page says."""
        return join_lines([(self.piece_text(piece, postprocessing), piece.place) for piece in self.pieces.pieces])


@dataclass
class Transcript:
    """A document, those of its pages that are rendered, by number, and how many there will be."""

    document: Document
    num_pages: int
    pages: dict[int, PageTranscript] = field(default_factory=dict)
    num_whole: int = 0

    @property
    def is_whole(self) -> bool:
        return self.num_whole == self.num_pages

    @property
    def is_empty(self) -> bool:
        """Say whether not one page could be read."""
        return all(page.problem and not any(reading.text for _, reading in page.readings.values()) for page in self.pages.values())

    def ordered(self) -> list[tuple[int, PageTranscript]]:
        """Return the pages by their number."""
        return sorted(self.pages.items())
