"""What came of a run of `tools.infer`: what was read, what could not be, and what a person should look at."""

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ocrtune.infer.transcript import Transcript
from ocrtune.pages.source_files import shown
from ocrtune.rows import write_rows

SHOWN = 20  # rows of a kind; those refused stand in refused.jsonl
NAMED = {"length": " (cut off at max_tokens)", "loop": " (repeats itself)", "blank": " (text without ink)", "empty": " (ink without text)"}


@dataclass
class Outcome:
    """Counts, refused rows `{file, page, reason}`, and warnings: (file, page, what about it)."""

    refused: list[dict]
    num_documents: int = 0
    num_pages: int = 0
    warnings: list[tuple[str, int, list[str]]] = field(default_factory=list)
    spent: str = ""

    def add(self, transcript: Transcript, postprocessing: str) -> None:
        """Count a document and its pages."""
        for number, page in transcript.ordered():
            file = shown(transcript.document.file_of(number))
            if page.problem:
                self.refused.append({"file": file, "page": number, "reason": page.problem})
            if found := page.warnings(postprocessing):
                self.warnings.append((file, number, found))
            self.num_pages += not page.problem
        self.num_documents += not transcript.is_empty

    def report(self, num_left_out: int, folder: Path | None) -> None:
        """Say it on stderr, and write what was not read to the folder's refused.jsonl; `num_left_out` are no training rows."""
        if folder:
            (folder / "refused.jsonl").unlink(missing_ok=True)
            if self.refused:
                write_rows(folder / "refused.jsonl", sorted(self.refused, key=lambda row: (row["file"], row["page"] or 0)), key=None)
        for row in self.refused[:SHOWN]:
            page = f", page {row['page']}" if row["page"] else ""
            print(f"  not read: {row['file']}{page}: {row['reason']}", file=sys.stderr)
        if len(self.refused) > SHOWN:
            where = f", see {folder / 'refused.jsonl'}" if folder else ""
            print(f"  and {len(self.refused) - SHOWN} more{where}", file=sys.stderr)
        for file, number, found in sorted(self.warnings)[:SHOWN]:
            print(f"  look at: {file}, page {number}: {', '.join(found)}", file=sys.stderr)
        if self.warnings:
            counts = Counter(warning for *_, found in self.warnings for warning in found)
            listed = ", ".join(f"{count} {name}{NAMED.get(name, '')}" for name, count in counts.most_common())
            print(f"  {len(self.warnings)} pages to look at: {listed}", file=sys.stderr)
        if num_left_out:
            print(f"  {num_left_out} images without a text to learn from are no training rows", file=sys.stderr)
        if self.spent:
            print(f"infer: {self.spent}", file=sys.stderr)
        print(f"infer: {self.num_documents} documents written, {self.num_pages} pages read, {len(self.refused)} refused", file=sys.stderr)
