"""What every reader takes and gives: pages in, readings out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Page:
    """An image to be read, at whatever unit: a page, a block or a line."""

    page_id: str
    image: Path
    sha256: str  # of the image file's bytes
    text_layer: str | None = None


@dataclass(frozen=True)
class Reading:
    """What a reader made of a page."""

    text: str
    finish_reason: str = "stop"  # stop; length: cut off; none: there was nothing to read from; error: the reader failed
    problem: str = ""  # what went wrong, where the reader failed
    tokens: tuple[int, int] | None = None  # of prompt and completion, where a server counted them


class Reader(Protocol):
    """Whatever turns a page into text.

    `identity` holds all that shapes the answer beside the image: kind, model and its weights' hash,
    prompt, settings. Two readers of one identity give the same readings, or nearly so.
    """

    identity: dict

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        """Yield a reading for every page, each as soon as it is there, in any order."""
        ...
