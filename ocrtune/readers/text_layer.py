"""Read the PDF's own text: free, and exact where a document was born digital."""

from collections.abc import Iterable, Iterator

from ocrtune.reading import Page, Reading


class TextLayerReader:
    """The text that the PDF brings along; a page without any has nothing to read from."""

    def __init__(self):
        self.identity = {"type": "text-layer"}

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        for page in pages:
            yield page, Reading("", "none") if page.text_layer is None else Reading(page.text_layer)
