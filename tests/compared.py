"""A folder as evaluate leaves it, of made-up readers, for the tests of compare."""

import json
import random
from pathlib import Path

from ocrtune.comparing.files import Outputs
from ocrtune.params.compare import CompareParams
from ocrtune.rows import write_json, write_rows
from ocrtune.scoring.scores import score_page
from ocrtune.scoring.scores_csv import write_scores_csv
from ocrtune.scoring.summaries import name_rates, summarize
from stages.compare import Inputs, compare

PARAMS = {"baseline": "base", "candidate": "tuned", "readers": None, "draws": 500, "confidence": 0.95, "seed": 0, "worst": 3,
          "gate": {"max_cer_increase": 0.0, "max_slice_increase": None, "max_canary_increase": 0.02, "max_likeness": 0.6}}
WORDS = "der Brief ſoll an die Gemeinde zu Oſtern zwanzig Thaler und fünf Groſchen zahlen".split()
OUTPUTS = ("compare.json", "compare.csv", "compare.md", "compare.html")
PICTURES = ("cer_distribution", "confusions", "documents", "scatter")
TABLES = ("confusions/before", "confusions/after", "distribution/before", "distribution/after", "documents")
NO_GATE = {"max_cer_increase": None, "max_slice_increase": None, "max_canary_increase": None, "max_likeness": None}


class Scored:
    """A folder as evaluate leaves it, of readers that misread at given rates."""

    def __init__(self, folder: Path, num_documents: int = 6, lines: int = 5, seed: int = 0):
        self.folder, self.random, self.readers = folder, random.Random(seed), []
        self.pages = [f"doc{number:02d}-{number:08x}_p1_l{line:03d}" for number in range(num_documents) for line in range(1, lines + 1)]
        self.rows = [{"page_id": page_id, "doc_id": page_id.partition("_")[0], "image": f"../pages/images/{page_id}.png",
                      "text": " ".join(self.random.choices(WORDS, k=6)), "origin": "teacher"} for page_id in self.pages]
        write_rows(folder / "data/pages/pages.jsonl", [{"page_id": page_id, "line": 1} for page_id in self.pages])
        write_rows(folder / "data/splits/test.jsonl", self.rows)

    def misread(self, text: str, rate: float) -> str:
        """Return a text with about this share of its characters wrong."""
        return "".join("#" if self.random.random() < rate else char for char in text)

    def add(self, name: str, rate: float, texts: dict | None = None, canary: float | None = 0.02, normalizer: str = "nfc_ws@1",
            reasons: dict | None = None, unit: str = "codepoint") -> None:
        """Add a reader that misreads at a rate, or reads the given texts; `reasons`: finish_reason of some pages."""
        self.readers = [*dict.fromkeys([*self.readers, name])]
        texts = {row["page_id"]: self.misread(row["text"], rate) for row in self.rows} | (texts or {})
        rows = [{"page_id": row["page_id"], "doc_id": row["doc_id"], "origin": row["origin"],
                 **score_page(row["text"], texts[row["page_id"]], normalizer, unit),
                 "finish_reason": (reasons or {}).get(row["page_id"], "stop"),
                 **{name: value for name, value in row.items() if name.startswith("slice_")}} for row in self.rows]
        write_rows(self.folder / f"data/predictions/{name}.jsonl", [
            {"page_id": page_id, "text": text, "key": "k", "finish_reason": "stop"} for page_id, text in texts.items()])
        write_scores_csv(self.folder / f"metrics/evaluate/{name}.csv", rows)
        remembered = {"num_lines": 0 if canary is None else 9, "cer": canary or 0.0}
        write_json(self.folder / f"metrics/evaluate/{name}.json",
                   {"reader": name, "normalizer": normalizer, "unit": unit, "structure": False, "split": "test", "top_k": None,
                    **name_rates(summarize(rows), {row["origin"] for row in rows}), "canary": remembered})

    def compare(self, split: str = "test", **changes) -> list[str]:
        """Run the stage and return the gate's failures."""
        data, metrics = self.folder / "data", self.folder / "metrics"
        splits = data / "splits"
        inputs = Inputs(data / "pages", splits, splits / "train.jsonl", splits / "val.jsonl", data / "predictions",
                        metrics / "evaluate", metrics / "train")
        outputs = Outputs(*(metrics / name for name in OUTPUTS), metrics / "plots", metrics / "tables")
        return compare(inputs, outputs, CompareParams.model_validate(PARAMS | changes),
                       {"readers": dict.fromkeys(self.readers), "split": split, "top_k": None})

    @property
    def report(self) -> str:
        """The report's text."""
        return (self.folder / "metrics/compare.md").read_text(encoding="utf-8")

    @property
    def page(self) -> str:
        """The report as HTML."""
        return (self.folder / "metrics/compare.html").read_text(encoding="utf-8")

    @property
    def figures(self) -> dict:
        """The metrics."""
        return json.loads((self.folder / "metrics/compare.json").read_text())
