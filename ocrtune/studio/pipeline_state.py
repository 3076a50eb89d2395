"""The state of the pipeline: which stages are up to date, and what commits and experiments reached."""

import json
import subprocess
import sys
from dataclasses import dataclass

from ocrtune.params.load import parse_params
from ocrtune.scoring.summaries import plain_rates
from ocrtune.studio.git_state import GitError, git
from ocrtune.studio.project import Project
from ocrtune.studio.revisions import list_revisions

PATIENCE_S = 120
MOST_PARAMS = 4


@dataclass(frozen=True)
class Run:
    """A commit or an experiment, its readers' CER and character F1, and the parameters that differ from those of today."""

    title: str
    figures: dict[str, tuple[float, float]]
    params: list[str]


def list_stages(project: Project) -> list[str]:
    """Return the stages' names in the order of dvc.yaml."""
    import yaml

    path = project.root / "dvc.yaml"
    try:
        return list(yaml.safe_load(path.read_text(encoding="utf-8"))["stages"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"dvc.yaml: no pipeline here: {error}") from None


def ask_status(project: Project) -> dict[str, list[str]]:
    """Return {stage: what changed} as `dvc status` says; what it refuses, as while a stage runs, is a `ValueError`."""
    try:
        done = subprocess.run([sys.executable, "-m", "dvc", "status", "--json"], cwd=project.root, capture_output=True, text=True,
                              timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise ValueError(f"dvc status gave no answer in {PATIENCE_S} s") from None
    if done.returncode:
        words = done.stderr.strip().removeprefix("ERROR: ")
        raise ValueError(f"{'a stage is running, and DVC tells no state meanwhile' if 'lock' in words else 'dvc status'}: {words}")
    return {stage: [line for change in changes for line in describe_change(change)]
            for stage, changes in json.loads(done.stdout or "{}").items()}


def describe_change(change: object) -> list[str]:
    """Return one entry of `dvc status --json` as lines."""
    if not isinstance(change, dict):
        return [str(change)]
    return [f"{path}: {how if isinstance(how, str) else ', '.join(how)}" for part in change.values()
            for path, how in (part.items() if isinstance(part, dict) else [(str(part), "changed")])]


def flatten(values: object, prefix: str = "") -> dict[str, object]:
    """Return nested parameters as {a.b.c: value}."""
    if not isinstance(values, dict):
        return {prefix: values}
    parts = (flatten(part, f"{prefix}.{key}" if prefix else str(key)) for key, part in values.items())
    return {name: value for part in parts for name, value in part.items()}


def say_value(value: object) -> str:
    """Return a parameter's value as params.yaml writes it."""
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)


def read_figures(text: str) -> dict[str, tuple[float, float]]:
    """Return each reader's CER (against a teacher: agreement) and character F1 from the text of metrics/compare.json."""
    try:
        parts = {name: plain_rates(part) for name, part in json.loads(text).items() if isinstance(part, dict)}
        readers = {name: part for name, part in parts.items() if {"cer", "char_f1"} <= set(part)}
        return {name: (part["cer"], part["char_f1"]) for name, part in readers.items()}
    except (ValueError, AttributeError):
        return {}


def list_runs(project: Project) -> list[Run]:
    """Return what the workspace, recent commits and experiments reached; those without figures are left out."""
    import yaml

    path = project.root / "metrics" / "compare.json"
    today = flatten(parse_params(project.params_file.read_text(encoding="utf-8"))) if project.params_file.is_file() else {}
    runs = [Run("workspace", read_figures(path.read_text(encoding="utf-8")), [])] if path.is_file() else []
    for revision, title in list_revisions(project.root):
        try:
            figures = read_figures(git(project.root, "show", f"{revision}:metrics/compare.json"))
            then = flatten(parse_params(git(project.root, "show", f"{revision}:params.yaml")))
        except (GitError, yaml.YAMLError):
            continue
        changed = [f"{name}={say_value(then[name])}" for name in then if name in today and then[name] != today[name]]
        more = [f"and {len(changed) - MOST_PARAMS} more"] if len(changed) > MOST_PARAMS else []
        runs.append(Run(title, figures, changed[:MOST_PARAMS] + more))
    return [run for run in runs if run.figures]
