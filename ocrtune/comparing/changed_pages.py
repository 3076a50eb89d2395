"""Pages as two readers read them: which improved, which got worse, which are still bad, and what was taken for what."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ocrtune.comparing.comparison import Comparison
from ocrtune.scoring.edits import count_confusions
from ocrtune.scoring.scores import is_catastrophe
from ocrtune.texts.normalizers import find_normalizer
from ocrtune.texts.words import split_chars


@dataclass(frozen=True)
class ChangedPage:
    """A page with its reference and the baseline's and the candidate's text, normalized as they were scored.

    `image` is its path as seen from the current folder.
    """

    page_id: str
    image: Path
    reference: str
    before: str
    after: str
    cer_before: float
    cer_after: float

    @property
    def change(self) -> float:
        """The rise of the page's CER, negative where it improved."""
        return self.cer_after - self.cer_before


@dataclass(frozen=True)
class Confusion:
    """What was read as what, and how often by baseline and candidate; an empty side: dropped, or made up."""

    reference: str
    prediction: str
    before: int
    after: int


def list_changed_pages(comparison: Comparison, images: dict[str, Path], references: dict[str, str],
                       before: dict[str, str], after: dict[str, str]) -> list[ChangedPage]:
    """Return the pages in the order of the scores; images and texts, as they are, by page_id."""
    normalize = find_normalizer(comparison.baseline.figures["normalizer"]).normalize
    return [ChangedPage(page_id, images[page_id], normalize(references[page_id]), normalize(before[page_id]),
                        normalize(after[page_id]), row["cer"], comparison.candidate.rows[page_id]["cer"])
            for page_id, row in comparison.baseline.rows.items()]


def list_worst(pages: list[ChangedPage]) -> list[ChangedPage]:
    """Return the pages that the candidate does not read perfectly, worst first."""
    return sorted((page for page in pages if page.cer_after > 0), key=lambda page: (-page.cer_after, page.page_id))


def list_improved(pages: list[ChangedPage]) -> list[ChangedPage]:
    """Return the pages whose CER fell, largest fall first."""
    return sorted((page for page in pages if page.change < 0), key=lambda page: (page.change, page.page_id))


def list_worsened(pages: list[ChangedPage]) -> list[ChangedPage]:
    """Return the pages whose CER rose, largest rise first."""
    return sorted((page for page in pages if page.change > 0), key=lambda page: (-page.change, page.page_id))


def rank_confusions(comparison: Comparison, pages: list[ChangedPage], most: int = 12) -> list[Confusion]:
    """Return the most frequent confusions of both readers together, most frequent first.

    Characters are those of the scores. A reader's catastrophes are left out: one loop has more edits than all other pages.
    """
    before: Counter = Counter()
    after: Counter = Counter()
    unit = comparison.baseline.figures["unit"]
    for page in pages:
        reference = split_chars(page.reference, unit)
        for found, reader, text in ((before, comparison.baseline, page.before), (after, comparison.candidate, page.after)):
            if not is_catastrophe(reader.rows[page.page_id]):
                found.update(count_confusions(reference, split_chars(text, unit)))
    pairs = sorted(before.keys() | after.keys(), key=lambda pair: (-before[pair] - after[pair], pair))
    return [Confusion(*pair, before[pair], after[pair]) for pair in pairs[:most]]
