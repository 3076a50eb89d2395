"""Put labels into the order in which a person's minute is worth most.

A label is worth checking by how much of it is likely wrong and by how long the check takes: suspicion x characters
at stake, divided by seconds. Suspicion, from 0 to 1, is the strongest of what is known about a page: how far other
readings differ from the label, what teacher_label found in it, whether it has none at all, how sure the teacher was.
"""

from dataclasses import dataclass

from ocrtune.scoring.edits import count_edits
from ocrtune.studio.project import Project
from ocrtune.studio.result_files import list_files
from ocrtune.studio.result_sets import NORMALIZER
from ocrtune.texts.normalizers import find_normalizer

SECONDS_A_PAGE = 4.0  # to look, to decide and to press a key
SECONDS_A_CHAR = 0.08  # to compare a character with the picture
SECONDS_TYPED = 0.25  # to write one where there is no label to begin with
REFUSED_CHARS = 40  # at stake where there is no label: a short line
VERDICT_SUSPICION = 0.6
REFUSED_SUSPICION = 0.3


@dataclass(frozen=True)
class Task:
    """A page to check. `text`: what to begin with; `others`: what else read it, by name; `reasons`: why it comes here."""

    page_id: str
    sha256: str
    text: str
    others: dict[str, str]
    reasons: tuple[str, ...]
    worth: float


def disagreement(text: str, other: str) -> float:
    """Return the edits between two texts as a share of the longer one, from 0 to 1."""
    normalize = find_normalizer(NORMALIZER).normalize
    text, other = normalize(text), normalize(other)
    return count_edits(text, other).total / max(len(text), len(other), 1)


def list_tasks(project: Project, predictions: dict[str, dict[str, dict]]) -> list[Task]:
    """Return a task for each page, the most worthwhile first, checked or not.

    `predictions`: rows of readers by page_id, by the reader's name, best readers first.
    """
    labels, refused, examples = project.labels(), project.refused_labels(), project.examples()
    tasks = [judge_page(page, labels.get(page_id), refused.get(page_id), examples.get(page_id, {}).get("split"),
                        {name: rows[page_id] for name, rows in predictions.items() if page_id in rows})
             for page_id, page in project.pages().items()]
    return sorted(tasks, key=lambda task: (-task.worth, task.page_id))


def leave_out_checked(tasks: list[Task], gold: dict[str, dict]) -> list[Task]:
    """Return the tasks whose image nobody checked, under this name or as a twin: gold goes by the image's bytes."""
    return [task for task in tasks if task.sha256 not in gold]


def judge_page(page: dict, label: dict | None, refused: dict | None, split: str | None, readings: dict[str, dict]) -> Task:
    """Return the task of one page."""
    others = {name: row["text"] for name, row in readings.items()}
    if page.get("text_layer") and (label or {}).get("teacher") != "text-layer":
        others["text layer"] = page["text_layer"]
    reasons, suspicion = [], 0.0
    if label is None:
        suspicion = REFUSED_SUSPICION
        reasons.append(f"no label: {refused['reason']}" if refused else "no label yet")
    else:
        gaps = {name: disagreement(label["text"], text) for name, text in others.items()}
        # The reader that comes nearest: where even it differs, the label is in doubt; a poor reader differs everywhere.
        nearest = min(gaps, key=lambda name: gaps[name]) if gaps else None
        if nearest and gaps[nearest]:
            suspicion = gaps[nearest]
            reasons.append(f"{nearest} reads {100 * gaps[nearest]:.0f} % otherwise")
        verdicts = label.get("verdicts") or []
        if verdicts:
            suspicion = max(suspicion, VERDICT_SUSPICION)
            reasons += [f"verdict: {verdict}" for verdict in verdicts]
        sure = next((label[name] for name in ("confidence", "certainty") if isinstance(label.get(name), int | float)), None)
        if sure is not None and sure < 1:
            suspicion = max(suspicion, 1 - sure)
            reasons.append(f"the teacher is {100 * sure:.0f} % sure")
    text = label["text"] if label else (refused or {}).get("text") or next(iter(others.values()), "")
    chars = len(label["text"]) if label else max(len(text), REFUSED_CHARS)
    worth = min(suspicion, 1.0) * chars / (SECONDS_A_PAGE + (SECONDS_A_CHAR if text else SECONDS_TYPED) * chars)
    if split == "test":
        reasons.append("in test: every figure rests on it")
    return Task(page["page_id"], page["sha256"], text, others, tuple(reasons), worth)


def find_tasks(project: Project) -> list[Task]:
    """Return what is to be checked. The order is kept until a file changes; what gets checked meanwhile drops out of it."""
    predictions = [path for name, path in sorted(list_files(project).items(), key=lambda entry: entry[0] == "base")
                   if path.parent == project.root / "data" / "predictions"]
    second = project.labels_folder / "second.jsonl"
    readings = {path.stem: path for path in predictions} | ({"second teacher": second} if second.is_file() else {})
    files = [project.pages_folder / "pages.jsonl", project.labels_folder / "labels.jsonl",
             project.labels_folder / "refused.jsonl", project.splits_folder / "test.jsonl", *readings.values()]
    if not files[0].is_file():
        return []
    tasks = project.keep("tasks", files, lambda: list_tasks(
        project, {name: project.rows(path, ("page_id", "text")) for name, path in readings.items()}))
    return leave_out_checked(tasks, project.gold())


def find_task(project: Project, page_id: str) -> Task:
    """Return the task of a page, one that is checked already too."""
    found = next((task for task in find_tasks(project) if task.page_id == page_id), None)
    if found:
        return found
    page = project.pages().get(page_id)
    if page is None:
        raise ValueError(f"{page_id}: no such page in data/pages/pages.jsonl")
    row = project.gold().get(page["sha256"])
    others = {"label": label["text"]} if (label := project.labels().get(page_id)) else {}
    text = others.get("label", "") if row is None or row["text"] is None else row["text"]
    return Task(page_id, page["sha256"], text, others, ("checked already" if row else "",), 0.0)


def neighbour(tasks: list[Task], page_id: str | None, step: int) -> str | None:
    """Return the page `step` places on in the queue; of one that is not in it, the first."""
    ids = [task.page_id for task in tasks]
    if not ids:
        return None
    return ids[min(max(ids.index(page_id) + step, 0), len(ids) - 1)] if page_id in ids else ids[0]
