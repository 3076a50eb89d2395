"""What was read of a document, page by page."""

from dataclasses import dataclass, field

from ocrtune.labels.measures import measure_text
from ocrtune.labels.verdicts import NO_TEXT, judge
from ocrtune.pages.pieces import PagePieces, Piece
from ocrtune.pages.source_files import Document
from ocrtune.pages.text import join_lines
from ocrtune.params.teacher_label import TeacherLabelParams
from ocrtune.readers.postprocess import postprocess
from ocrtune.reading import Reading

VERDICTS = TeacherLabelParams(refuse=[])


@dataclass
class PageTranscript:
    """A page and the readings of its pieces by page_id, each with its key."""

    pieces: PagePieces
    readings: dict[str, tuple[str, Reading]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        return len(self.readings) == len(self.pieces.pieces)

    @property
    def finish_reason(self) -> str:
        """Return how the reading of the page ended: `stop` where that of each piece did, or else as the worst of them."""
        reasons = {reading.finish_reason for _, reading in self.readings.values()} - {"stop"}
        return next((reason for reason in (*NO_TEXT, *sorted(reasons)) if reason in reasons), "error" if self.pieces.reason else "stop")

    @property
    def problem(self) -> str:
        """Return what of the page could not be read, and why; empty where all was."""
        readings = [reading for _, reading in self.readings.values()]
        failed = [reading for reading in readings if reading.finish_reason in NO_TEXT]
        if self.pieces.reason or not failed:
            return self.pieces.reason
        why = "no text layer" if failed[0].finish_reason == "none" else failed[0].problem or "the reader failed"
        return why if len(readings) == 1 else f"{len(failed)} of {len(readings)} pieces: {why}"

    def piece_text(self, piece: Piece, postprocessing: str) -> str:
        """Return what a piece says."""
        return postprocess(postprocessing, self.readings[piece.page_id][1].text)

    def judge_piece(self, piece: Piece, postprocessing: str) -> list[str]:
        """Return the verdicts on what a piece says, in the words of `teacher_label`; no text is right where there is no ink."""
        text = self.piece_text(piece, postprocessing)
        found = judge(self.readings[piece.page_id][1], text, measure_text(text, (), None, None), None if piece.has_ink else 0.0, VERDICTS)
        return found if piece.has_ink else [verdict for verdict in found if verdict != "empty"]

    def verdicts(self, postprocessing: str) -> list[str]:
        """Return the verdicts on the pieces of the page, each once."""
        return list(dict.fromkeys(verdict for piece in self.pieces.pieces for verdict in self.judge_piece(piece, postprocessing)))

    def warnings(self, postprocessing: str) -> list[str]:
        """Return what a person should look at: readings that did not end by themselves, by how they ended, and verdicts."""
        ends = sorted({reading.finish_reason for _, reading in self.readings.values()} - {"stop", *NO_TEXT})
        return ends + [verdict for verdict in self.verdicts(postprocessing) if verdict not in ("unfinished", *NO_TEXT)]

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
