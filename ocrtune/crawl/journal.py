"""Remember what a crawl has fetched, so that a killed one goes on where it stopped.

Scrapy's own JOBDIR writes its queues when it closes in peace and loses them to kill -9. Here every
outcome is one line, written at once, after its document's bytes, which are named by their hash.
"""

import fcntl
import hashlib
import json
import shutil
from pathlib import Path

from ocrtune.crawl.frontier import DOCUMENT, Outcome

JOURNAL = "outcomes.jsonl"


class CrawlError(ValueError):
    """A crawl that can't be finished; says why, and what to do."""


class Journal:
    """The outcomes and bodies of one unfinished crawl, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bodies = folder / "bodies"
        self.bodies.mkdir(parents=True, exist_ok=True)
        self.file = (folder / JOURNAL).open("a+b")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CrawlError(f"{folder}: another process is crawling the same; wait for it or stop it") from None
        self.outcomes = {outcome.address: outcome for outcome in self.read()}

    def read(self) -> list[Outcome]:
        """Return the outcomes written so far; a line cut off by a kill is dropped, as is a document without its bytes."""
        self.file.seek(0)
        content = self.file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self.file.truncate(len(whole))
        outcomes = [Outcome.from_row(json.loads(line)) for line in whole.splitlines()]
        return [outcome for outcome in outcomes if outcome.kind != DOCUMENT or self.body(outcome.sha256).is_file()]

    def body(self, sha256: str) -> Path:
        """Return where the bytes of a document lie."""
        return self.bodies / sha256

    def store_body(self, content: bytes) -> str:
        """Keep a document's bytes and return their SHA-256."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not self.body(sha256).exists():
            partial = self.bodies / f".{sha256}.partial"
            partial.write_bytes(content)
            partial.replace(self.body(sha256))
        return sha256

    def write(self, outcome: Outcome) -> None:
        """Append an outcome and hand it to the system at once."""
        self.file.write(json.dumps(outcome.to_row(), ensure_ascii=True).encode() + b"\n")
        self.file.flush()
        self.outcomes[outcome.address] = outcome

    def close(self, remove: bool) -> None:
        """Let go of the folder, and remove it where nothing is left to go on with."""
        if remove:
            shutil.rmtree(self.folder)
        self.file.close()
