"""Results to look at: what a reader made of pages, beside the references, with scores.

A file of results is one of
- predictions as evaluate writes them, `{page_id, text, finish_reason}`: references are those of the splits, scores come
  from `<reader>.csv` in metrics/evaluate or beside the file;
- JSON Lines that bring their own reference: `{image, reference or label, prediction}`;
- a report of an earlier system: `{"samples": [{"image_path", "label", "prediction"}]}`.
Where no scores are written, they are counted here.
"""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

from ocrtune.rows import RowError, read_rows
from ocrtune.scoring.scores import score_page
from ocrtune.scoring.scores_csv import SLICE
from ocrtune.studio.params_file import read_params
from ocrtune.studio.project import Project

COUNTS = ("substitutions", "insertions", "deletions", "reference_chars", "prediction_chars", "char_matches")
MOST_SLICES = 60  # distinct values beyond which a column of the scores is no slice but an id
NORMALIZER = "nfc_ws"
MOST_BYTES = 1 << 20  # looked through for a key of results: a long reference may stand before the first prediction


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


def list_files(project: Project) -> dict[str, Path]:
    """Return the files of results by name: the pipeline's readers, then what lies in the folders given on the command line."""
    found = {path.stem: path for path in sorted((project.root / "data" / "predictions").glob("*.jsonl"))}
    for place in project.eval_dirs:
        files = [place] if place.is_file() else sorted([*place.glob("*.jsonl"), *place.glob("*.json")])
        found |= {f"{place.name if place.is_dir() else place.parent.name}/{path.name}": path for path in files if holds_results(path)}
    return found


def holds_results(path: Path) -> bool:
    """Return whether a file looks like results, by its beginning; figures of a reader lie in the same folders."""
    with path.open("rb") as file:
        beginning = file.read(MOST_BYTES)
    return any(name in beginning for name in (b'"prediction"', b'"samples"', b'"finish_reason"'))


def load_results(project: Project, path: Path) -> list[Result]:
    """Return a file's results; a broken or missing one is a `RowError`."""
    scores = find_scores(project, path)
    files = [path, scores, evaluated_file(project), project.pages_folder / "pages.jsonl", project.labels_folder / "labels.jsonl",
             *(project.splits_folder / f"{name}.jsonl" for name in ("train", "val", "test"))]
    return project.keep(("results", path), files, lambda: build_results(project, read_result_rows(path), path, read_counts(scores)))


def find_scores(project: Project, path: Path) -> Path:
    """Return where the scores of a file of predictions stand, if they do."""
    if path.parent == project.root / "data" / "predictions":
        return project.root / "metrics" / "evaluate" / f"{path.stem}.csv"
    return path.with_suffix(".csv")


def read_result_rows(path: Path) -> list[dict]:
    """Return the rows of a file in any of the three shapes."""
    if path.suffix != ".json":
        return read_rows(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RowError(f"{path.name}: not JSON: {error}") from None
    rows = value.get("samples") if isinstance(value, dict) else value
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise RowError(f"{path.name}: no results: expected a list of objects, or an object with `samples`")
    return rows


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


def evaluated_file(project: Project) -> Path:
    """Return the file of the pages that evaluate scores, by params.yaml."""
    try:
        section = read_params(project).get("evaluate") or {}
    except RowError:
        section = {}
    return project.root / str(section.get("folder", "data/splits")) / f"{section.get('split', 'test')}.jsonl"


def find_examples(project: Project) -> dict[str, dict]:
    """Return the pages with references: those of the splits, and of the file that evaluate scores where it is another."""
    path, examples = evaluated_file(project), project.examples()
    if path.parent == project.splits_folder or not path.is_file():
        return examples
    return examples | {page_id: row | {"split": path.stem, "image": path.parent / row["image"]}
                       for page_id, row in project.rows(path, ("page_id", "doc_id", "image", "text")).items()}


def first_of(row: dict, *names: str) -> str | None:
    """Return the first text that a row holds under one of these names."""
    return next((row[name] for name in names if isinstance(row.get(name), str)), None)


def build_results(project: Project, rows: list[dict], path: Path, scores: dict[str, dict]) -> list[Result]:
    """Return a result for each row, with its reference, picture, scores and slices."""
    examples, labels, columns = find_examples(project), project.labels(), find_slices(scores)
    pages = project.pages() if (project.pages_folder / "pages.jsonl").is_file() else {}
    results = []
    for number, row in enumerate(rows, 1):
        picture = first_of(row, "image", "image_path", "img_path")
        page_id = first_of(row, "page_id") or (Path(picture).stem if picture else f"row {number}")
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
            count(scored, reference, prediction), finish_reason,
            judge(finish_reason, prediction, reference, labels.get(page_id), scored), kinds))
    return results


def count(scored: dict | None, reference: str | None, prediction: str) -> dict[str, int]:
    """Return the counts of a page as scored, or counted now."""
    if reference is None:
        return {}
    row = scored or score_page(reference, prediction, NORMALIZER)
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
