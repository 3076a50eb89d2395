"""Put the parameters and the adapter of a study's best trial into the workspace."""

from pathlib import Path

import optuna

from ocrtune.params.load import parse_params
from ocrtune.rows import write_text
from ocrtune.search.experiments import apply_experiment
from ocrtune.search.params_text import change_values
from ocrtune.search.space import overrides
from ocrtune.search.study import best_trial, experiment_name


def apply_winner(study: optuna.Study, params: Path) -> str:
    """Apply the best trial's experiment and return what was applied; a `ValueError` where params.yaml, `params`, is not the winner's."""
    best = best_trial(study)
    name = experiment_name(study, best.number)
    wanted, text = {**study.user_attrs["space"]["hold"], **best.user_attrs["values"]}, params.read_text(encoding="utf-8")
    apply_experiment(name, *best.user_attrs.get("process", [])[:1])
    applied = parse_params(params.read_text(encoding="utf-8"))
    changed = change_values(text, wanted)  # the same values, without DVC's new layout of the whole file
    if changed and parse_params(changed) == applied:
        write_text(params, changed)
    if overrides(applied, wanted):
        raise ValueError(f"dvc exp apply {name}: {params} is not the winner's; commit or stash what you changed, and apply again")
    return f"{name}, CER {best.value:.4f} on validation pages"
