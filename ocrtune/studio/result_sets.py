"""Results to look at: what a reader made of pages, beside the references, with scores.

References are the file's own, else those of the splits. Scores come from `<reader>.csv` in metrics/evaluate or beside the
file; where there are none, or evaluate counted by other rules than params.yaml sets now, they are counted here.
"""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

from ocrtune.rows import RowError
from ocrtune.scoring.scores import score_page
from ocrtune.scoring.scores_csv import SLICE
from ocrtune.studio.params_file import read_params
from ocrtune.studio.project import Project
from ocrtune.studio.result_files import first_of, name_pages, read_result_rows
from ocrtune.texts.normalizers import find_normalizer

COUNTS = ("substitutions", "insertions", "deletions", "reference_chars", "prediction_chars", "char_matches")
MOST_SLICES = 60  # distinct values beyond which a column of the scores is no slice but an id
NORMALIZER = "nfc_ws"  # where nothing says otherwise
DEFAULTS = {"folder": "data/splits", "split": "test", "normalizer": NORMALIZER, "fold": [], "unit": "codepoint"}  # of evaluate


@dataclass(frozen=True)
class Result:
    """A page as a reader read it. `counts` as in the scores' CSV; empty where there is no reference."""

    page_id: str
    doc_id: str
    image: Path | None
    reference: str | None
    prediction: str
    counts: dict[str, int]
    finish_reason: str = "stop"
    verdicts: tuple[str, ...] = ()
    slices: dict[str, str] = field(default_factory=dict)

    @property
    def edits(self) -> int:
        return self.counts["substitutions"] + self.counts["insertions"] + self.counts["deletions"] if self.counts else 0

    @property
    def cer(self) -> float | None:
        """Edits by reference characters; None without a reference."""
        if not self.counts:
            return None
        chars = self.counts["reference_chars"]
        return self.edits / chars if chars else float(self.edits > 0)

    @property
    def char_f1(self) -> float | None:
        if not self.counts:
            return None
        both = self.counts["reference_chars"] + self.counts["prediction_chars"]
        return 2 * self.counts["char_matches"] / both if both else 1.0


def load_results(project: Project, path: Path) -> list[Result]:
    """Return a file's results; a broken or missing one is a `RowError`."""
    scores = find_scores(project, path)
    files = [path, scores, scores.with_suffix(".json"), *reference_files(project)]
    return project.keep(("results", path), files, lambda: build_results(project, read_result_rows(project, path), path, scores))


def reference_files(project: Project) -> list[Path]:
    """Return the files that tell what a page is, what it says, and how readings of it are scored."""
    return [project.params_file, evaluated_file(project), project.pages_folder / "pages.jsonl", project.labels_folder / "labels.jsonl",
            *(project.splits_folder / f"{name}.jsonl" for name in ("train", "val", "test"))]


def find_scores(project: Project, path: Path) -> Path:
    """Return where the scores of a file of predictions stand, if they do."""
    if path.parent == project.root / "data" / "predictions":
        return project.root / "metrics" / "evaluate" / f"{path.stem}.csv"
    return path.with_suffix(".csv")


def read_counts(path: Path) -> dict[str, dict]:
    """Return the rows of a CSV of scores by page_id; none where it is missing or of another kind."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not {"page_id", *COUNTS} <= set(rows.fieldnames or ()):
            return {}
        return {row["page_id"]: row for row in rows}


def find_slices(scores: dict[str, dict]) -> list[str]:
    """Return the columns of the scores that sort pages into kinds."""
    if not scores:
        return []
    columns = [name for name in next(iter(scores.values())) if name not in ("page_id", "doc_id", "finish_reason")]

    def is_number(value: str) -> bool:
        return value.replace(".", "", 1).replace("-", "", 1).isdigit()

    found = {name: {row[name] or "" for row in scores.values()} for name in columns}
    return [name for name, values in found.items() if len(values) <= MOST_SLICES and not all(is_number(value or "0") for value in values)]


def evaluate_params(project: Project) -> dict:
    """Return section evaluate of params.yaml, as far as results rest on it; its defaults where there is none."""
    try:
        section = read_params(project).get("evaluate") or {}
    except RowError:
        section = {}
    return {name: section.get(name, default) for name, default in DEFAULTS.items()}


def evaluated_file(project: Project) -> Path:
    """Return the file of the pages that evaluate scores, by params.yaml."""
    params = evaluate_params(project)
    return project.root / str(params["folder"]) / f"{params['split']}.jsonl"


def find_rules(project: Project) -> tuple[str, str]:
    """Return how readings are scored by params.yaml: the normalizer's label, and what a character is."""
    params = evaluate_params(project)
    return find_normalizer(str(params["normalizer"]), params["fold"] or ()).label, str(params["unit"])


def counted_otherwise(path: Path, rules: tuple[str, str]) -> bool:
    """Return whether evaluate's figures beside a CSV of scores say that it counted by other rules."""
    try:
        figures = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return (figures["normalizer"], figures["unit"]) != rules
    except (OSError, ValueError, KeyError, TypeError):
        return False


def find_examples(project: Project) -> dict[str, dict]:
    """Return the pages with references: those of the splits, and of the file that evaluate scores where it is another."""
    path, examples = evaluated_file(project), project.examples()
    if path.parent == project.splits_folder or not path.is_file():
        return examples
    return examples | {page_id: row | {"split": path.stem, "image": path.parent / row["image"]}
                       for page_id, row in project.rows(path, ("page_id", "doc_id", "image", "text")).items()}


def build_results(project: Project, rows: list[dict], path: Path, scores_csv: Path | None) -> list[Result]:
    """Return a result for each row, with its reference, picture, scores and slices; `scores_csv`: None to count anew."""
    scores = read_counts(scores_csv) if scores_csv else {}
    examples, labels, columns, rules = find_examples(project), project.labels(), find_slices(scores), find_rules(project)
    counted = {} if scores_csv and counted_otherwise(scores_csv, rules) else scores
    pages = project.pages() if (project.pages_folder / "pages.jsonl").is_file() else {}
    results = []
    for number, (page_id, row) in enumerate(zip(name_pages(rows, path.name), rows, strict=True), 1):
        picture = first_of(row, "image", "image_path", "img_path")
        prediction = first_of(row, "prediction", "text", "ocr_results")
        if prediction is None:
            raise RowError(f"{path.name}:{number}: no result: missing 'text' or 'prediction'")
        example, page = examples.get(page_id, {}), pages.get(page_id, {})
        reference = first_of(row, "reference", "label") if "prediction" in row else None
        reference = example.get("text") if reference is None else reference
        image = path.parent / picture if picture else project.pages_folder / page["image"] if page else example.get("image")
        finish_reason = row.get("finish_reason") or "stop"
        scored = scores.get(page_id)
        kinds = {name.removeprefix(SLICE): scored[name] for name in columns} if scored else {}
        kinds |= {name: str(value) for name, value in (("split", example.get("split")), ("origin", example.get("origin"))) if value}
        results.append(Result(
            page_id, page.get("doc_id") or example.get("doc_id") or "", image, reference, prediction,
            count(counted.get(page_id), reference, prediction, rules), finish_reason,
            judge(finish_reason, prediction, reference, labels.get(page_id), scored), kinds))
    return results


def count(scored: dict | None, reference: str | None, prediction: str, rules: tuple[str, str]) -> dict[str, int]:
    """Return the counts of a page as scored, or counted now by `rules`."""
    if reference is None:
        return {}
    row = scored or score_page(reference, prediction, *rules)
    return {name: int(row[name]) for name in COUNTS}


def judge(finish_reason: str, prediction: str, reference: str | None, label: dict | None, scored: dict | None) -> tuple[str, ...]:
    """Return what can be said of a page: how its reading ended, and what teacher_label found in its label."""
    found = [] if finish_reason == "stop" else [{"length": "cut off", "error": "reader failed", "none": "nothing to read"}.get(
        finish_reason, finish_reason)]
    if not prediction.strip() and (reference or "").strip():
        found.append("empty")
    if scored and scored.get("is_loop") in ("1", "True"):
        found.append("loop")
    return (*found, *(f"label: {verdict}" for verdict in (label or {}).get("verdicts", ())))
