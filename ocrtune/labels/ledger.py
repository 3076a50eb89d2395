"""The ledger of labelling: for every page a row with its text, the verdicts on it and, where it is refused, the reason."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ocrtune.labels.measures import NORMALIZER, Distance, find_measures, measure_distance
from ocrtune.labels.verdicts import NO_TEXT, explain, find_refusal, judge
from ocrtune.params.teacher_label import TeacherLabelParams
from ocrtune.reading import Page, Reading
from ocrtune.rows import RowError, iterate_rows
from ocrtune.scoring.rates import error_rate
from ocrtune.store.readings import Readings
from ocrtune.texts.normalizers import find_normalizer

INK_VERDICTS = {"blank", "sparse", "dense"}


def iterate_pages(folder: Path) -> Iterator[Page]:
    """Yield the pages of a folder of pages, one by one; a page_id that occurs twice is a `RowError`."""
    seen = set()
    for row in iterate_rows(folder / "pages.jsonl", ("page_id", "image", "sha256", "text_layer")):
        if row["page_id"] in seen:
            raise RowError(f"{folder}: page_id {row['page_id']!r} occurs twice; a row must be found by its id")
        seen.add(row["page_id"])
        yield Page(row["page_id"], folder / row["image"], row["sha256"], row["text_layer"])


@dataclass
class Agreement:
    """How far the teacher is from a better-known text, over all pages that have one, and over those that became labels."""

    pages: int = 0
    edits: int = 0
    chars: int = 0
    labels: int = 0
    label_edits: int = 0
    label_chars: int = 0

    def add(self, distance: Distance | None, is_label: bool) -> None:
        """Count a page; pages are pooled: edits and characters first, then one division."""
        if distance is not None:
            self.pages, self.edits, self.chars = self.pages + 1, self.edits + distance.edits, self.chars + distance.chars
            if is_label:
                self.labels, self.label_edits = self.labels + 1, self.label_edits + distance.edits
                self.label_chars += distance.chars

    def figures(self) -> dict:
        """Return the pages and their CER; a page that failed counts as empty. Without pages there is no CER."""
        figures: dict = {"num_pages": self.pages}
        if self.pages:
            figures["cer"] = round(error_rate(self.edits, self.chars), 6)
        figures["num_labels"] = self.labels
        if self.labels:
            figures["labels_cer"] = round(error_rate(self.label_edits, self.label_chars), 6)
        return figures


@dataclass
class Ledger:
    """What becomes of the readings of the teacher `name`; `seconds` are the second teacher's, `places` those of the ink."""

    name: str
    params: TeacherLabelParams
    readings: Readings
    process: Callable[[str], str]
    gold: dict[str, str]  # text by the image's SHA-256
    compares_text_layer: bool  # False where the teacher has read just that
    seconds: Readings | None = None
    process_second: Callable[[str], str] = str
    places: Readings | None = None
    verdicts: Counter = field(default_factory=Counter)
    refusals: Counter = field(default_factory=Counter)
    agreements: dict[str, Agreement] = field(default_factory=lambda: {
        "gold": Agreement(), "text_layer": Agreement(), "second_teacher": Agreement()})

    def rows(self, pages: Iterable[Page]) -> Iterator[tuple[bool, dict]]:
        """Yield for each page whether it became a label, and its row."""
        for page in pages:
            key, reading = self.readings[page.page_id]
            text = self.process(reading.text)
            text_layer = page.text_layer if self.compares_text_layer and (page.text_layer or "").strip() else None
            second = self.second_text(page)
            measures = None
            if reading.finish_reason not in NO_TEXT:
                scripts = tuple(self.params.scripts)
                measures = find_measures(self.readings.store, text, scripts, text_layer, second)
            verdicts = judge(reading, text, measures, self.count_places(page), self.params)
            refusal = find_refusal(verdicts, self.params)
            self.verdicts.update(verdicts)
            if refusal:
                self.refusals[refusal] += 1
            if reading.finish_reason not in ("none", "unread"):
                failed = measures is None
                for name, distance in (
                    ("gold", measure_distance(text, self.gold.get(page.sha256))),
                    ("text_layer", measure_distance("", text_layer) if failed else measures.text_layer),
                    ("second_teacher", measure_distance("", second) if failed else measures.second),
                ):
                    self.agreements[name].add(distance, refusal is None)
            yield refusal is None, self.row(page, key, reading, text, verdicts, refusal)

    def row(self, page: Page, key: str, reading: Reading, text: str, verdicts: list[str], refusal: str | None) -> dict:
        """Return the row of a page; it holds all that the store needs to have the reading again."""
        row = {"page_id": page.page_id} | ({"reason": explain(refusal, reading)} if refusal else {}) | {"text": text}
        if text != reading.text:
            row["raw"] = reading.text
        row |= {"teacher": self.name, "key": key, "verdicts": verdicts}
        return row if reading.finish_reason == "stop" else row | {"finish_reason": reading.finish_reason}

    def second_text(self, page: Page) -> str | None:
        """Return what the second teacher read; None where it read nothing to the end."""
        if self.seconds is None:
            return None
        reading = self.seconds[page.page_id][1]
        return self.process_second(reading.text) if reading.finish_reason == "stop" else None

    def count_places(self, page: Page) -> float | None:
        """Return for how many letters the page's ink has room; None where that was not, or could not be measured."""
        if self.places is None:
            return None
        reading = self.places[page.page_id][1]
        return float(reading.text) if reading.finish_reason == "stop" else None

    def figures(self) -> dict:
        """Return the metrics of the stage."""
        num_refused = self.refusals.total()
        agreements = {name: agreement.figures() for name, agreement in self.agreements.items() if agreement.pages}
        return {"teacher": self.name, "num_pages": len(self.readings), "num_labels": len(self.readings) - num_refused,
                "num_refused": num_refused, "verdicts": dict(sorted(self.verdicts.items())),
                "normalizer": find_normalizer(NORMALIZER).label, **agreements}
