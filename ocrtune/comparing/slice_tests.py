"""Compare two readers slice by slice, with p-values that allow for having asked several times."""

from dataclasses import dataclass

import numpy as np

from ocrtune.comparing.paired import draw_rates, holm, percentile_interval, sign_flip_p
from ocrtune.comparing.scored_readers import ScoredReader
from ocrtune.scoring.rates import error_rate
from ocrtune.scoring.scores import count_page_edits
from ocrtune.scoring.scores_csv import SLICE

MOST_VALUES = 40  # of one column: the smallest beyond are one slice
OTHERS = "(others)"
MIN_DOCUMENTS = 5  # for an interval: of five, one of 95 % holds the truth in four cases of five, of fewer more seldom


@dataclass(frozen=True)
class SliceTest:
    """Pages with the same value in a column, and their references' origins; `interval` is None below `MIN_DOCUMENTS` documents."""

    column: str
    value: str
    origins: tuple[str, ...]
    num_pages: int
    num_documents: int
    reference_chars: int
    cers: tuple[float, ...]
    interval: tuple[float, float] | None
    p_value: float
    adjusted_p: float

    @property
    def change(self) -> float:
        """The rise of the pooled CER from baseline to candidate."""
        return self.cers[1] - self.cers[0]

    @property
    def name(self) -> str:
        """The slice in words."""
        return f"{self.column} {self.value}"


def list_groups(readers: list[ScoredReader]) -> dict[tuple[str, str], list[str]]:
    """Return the page ids of each slice; a column with a single value gives none, one of many those of most pages, and `OTHERS`."""
    found = {}
    for column in readers[0].slice_columns:
        groups: dict[str, list[str]] = {}
        for page_id, row in readers[0].rows.items():
            groups.setdefault(row[column], []).append(page_id)
        if len(groups) > MOST_VALUES:
            ranked = sorted(groups, key=lambda value: (-len(groups[value]), value))
            others = [page_id for value in ranked[MOST_VALUES - 1:] for page_id in groups.pop(value)]
            groups[OTHERS] = groups.get(OTHERS, []) + others
        if len(groups) > 1:
            found |= {(column.removeprefix(SLICE), value): groups[value] for value in sorted(groups)}
    return found


def count_by_document(readers: list[ScoredReader], page_ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the edits, (documents, readers), and the reference characters of these pages, by document."""
    places: dict[str, int] = {}
    rows = [places.setdefault(readers[0].rows[page_id]["doc_id"], len(places)) for page_id in page_ids]
    edits, chars = np.zeros((len(places), len(readers)), dtype=np.int64), np.zeros(len(places), dtype=np.int64)
    for place, page_id in zip(rows, page_ids, strict=True):
        chars[place] += readers[0].rows[page_id]["reference_chars"]
        for number, reader in enumerate(readers):
            edits[place, number] += count_page_edits(reader.rows[page_id])
    return edits, chars


def compare_slices(readers: list[ScoredReader], draws: int, confidence: float, seed: int) -> list[SliceTest]:
    """Return the slices in the order of columns and values, p-values adjusted by Holm's method over all of them."""
    tests = []
    for (column, value), page_ids in list_groups(readers).items():
        edits, chars = count_by_document(readers, page_ids)
        interval = None
        if len(chars) >= MIN_DOCUMENTS:
            rates = draw_rates(edits[:, :2], chars, draws, seed)
            interval = percentile_interval(rates[:, 1] - rates[:, 0], confidence)
        cers = tuple(error_rate(int(total), int(chars.sum())) for total in edits.sum(axis=0))
        origins = tuple(sorted({readers[0].rows[page_id]["origin"] for page_id in page_ids}))
        tests.append(SliceTest(column, value, origins, len(page_ids), len(chars), int(chars.sum()), cers, interval,
                               sign_flip_p(edits[:, 0], edits[:, 1], draws, seed), 1.0))
    adjusted = holm([test.p_value for test in tests])
    return [SliceTest(**{**vars(test), "adjusted_p": p}) for test, p in zip(tests, adjusted, strict=True)]
