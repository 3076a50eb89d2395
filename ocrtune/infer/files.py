"""Write transcripts: a Markdown file a document, or all pages as rows."""

import json
from pathlib import Path
from typing import Literal, TextIO

from ocrtune.formats.example_formats import IMAGE, Example, chat_row
from ocrtune.infer.transcript import PageTranscript, Transcript
from ocrtune.pages.pieces import Piece
from ocrtune.rows import write_text

Format = Literal["md", "jsonl", "json"]
NAMES = {"jsonl": "infer.jsonl", "json": "infer.json"}


def markdown(transcript: Transcript, postprocessing: str) -> str:
    """Return a document's pages in order, a blank line between them; what could not be read stands there as a comment."""
    pages = []
    for number, page in transcript.ordered():
        hole = f"<!-- page {number} not read: {page.problem.replace('--', '- -')} -->" if page.problem else ""
        pages += filter(None, [page.text(postprocessing).strip("\r\n"), hole])
    return "\n\n".join(pages) + "\n" if pages else ""


class TranscriptFiles:
    """The files of one run below `folder`; with `console` the text of Markdown goes there instead."""

    def __init__(self, folder: Path, form: Format, postprocessing: str, prompt: str, console: TextIO | None = None):
        self.folder, self.form, self.postprocessing, self.prompt, self.console = folder, form, postprocessing, prompt, console
        self.rows: dict[str, list[dict]] = {}
        self.num_left_out = 0  # pieces that are no example to learn from

    def write(self, transcript: Transcript) -> None:
        """Write a document: as Markdown at once; as rows at the end, those read so far standing in a `.jsonl` meanwhile."""
        name = transcript.document.name
        if self.form == "md" and self.console:
            self.console.write(markdown(transcript, self.postprocessing))
            self.console.flush()
        elif self.form == "md":
            write_text(self.folder / f"{name}.md", markdown(transcript, self.postprocessing))
        else:
            describe = self.describe_examples if self.form == "jsonl" else self.describe_page
            self.rows[name] = [row for number, page in transcript.ordered() for row in describe(name, number, page)]
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.unfinished.open("a" if len(self.rows) > 1 else "w", encoding="utf-8", errors="replace") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows[name])

    def finish(self) -> None:
        """Write all rows in order; of a run that ended early, those of the documents that got done."""
        if self.form == "md":
            return
        rows = [row for name in sorted(self.rows) for row in self.rows[name]]
        if self.form == "json":
            write_text(self.folder / NAMES["json"], json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
        else:
            write_text(self.folder / NAMES["jsonl"], "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        self.unfinished.unlink(missing_ok=True)

    @property
    def unfinished(self) -> Path:
        return self.folder / f".{NAMES[self.form]}.partial"

    def describe_page(self, name: str, number: int, page: PageTranscript) -> list[dict]:
        """Return a page's row."""
        images = [self.relative(piece) for piece in page.pieces.pieces if piece.image.exists()]
        row = {"document": name, "page": number, "images": images, "text": page.text(self.postprocessing)}
        row |= {"finish_reason": page.finish_reason, "verdicts": page.verdicts(self.postprocessing)}
        return [row | {"problem": page.problem} if page.problem else row]

    def describe_examples(self, _name: str, _number: int, page: PageTranscript) -> list[dict]:
        """Return a training row for each image whose reading is beyond reproach: whole, and neither empty, a loop nor made up."""
        rows = []
        for piece in page.pieces.pieces:
            text = page.piece_text(piece, self.postprocessing)
            if text.strip() and not page.judge_piece(piece, self.postprocessing) and IMAGE not in text:
                rows.append(chat_row(Example((self.relative(piece),), text, self.prompt)))
        self.num_left_out += len(page.pieces.pieces) - len(rows)
        return rows

    def relative(self, piece: Piece) -> str:
        return piece.image.relative_to(self.folder).as_posix()
