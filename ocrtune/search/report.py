"""Show a search: a leaderboard as CSV and Markdown, its history and the importance of each parameter as PNG.

No clock goes in: the same trials give the same bytes.
"""

import csv
import io
import warnings
from pathlib import Path

import matplotlib
import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from ocrtune.rows import write_text
from ocrtune.search.study import experiment_name

matplotlib.use("Agg")

MEDAL, DOT, INK = "#0b66a8", "#9a9a9a", "#222222"
STYLE = {"font.family": "DejaVu Sans", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left",
         "axes.titlesize": 11, "text.color": INK, "axes.edgecolor": "#888888"}
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.RUNNING: "running"}
FEWEST = 4  # trials that must be complete before the importance of parameters means anything


def board_rows(study: optuna.Study) -> list[dict]:
    """Return a row a trial, the best first: rank, experiment, state, val_cer, step, and the value of each searched parameter.

    A pruned trial shows its last reading and has no rank. Trials cut off by a kill and run again are left out.
    """
    paths = list(study.user_attrs["space"]["search"])
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state in STATES or "error" in trial.user_attrs]
    order = {TrialState.COMPLETE: 0, TrialState.PRUNED: 1}
    trials.sort(key=lambda trial: (order.get(trial.state, 2), cer_of(trial), trial.number))
    rows = []
    for rank, trial in enumerate(trials, 1):
        complete = trial.state == TrialState.COMPLETE
        steps = trial.intermediate_values
        rows.append({
            "rank": rank if complete else "", "experiment": experiment_name(study, trial.number),
            "state": STATES.get(trial.state, "failed"), "val_cer": f"{cer_of(trial):.4f}" if cer_of(trial) < float("inf") else "",
            "step": trial.user_attrs["step"] if complete else max(steps, default=""),
            **{path: trial.user_attrs.get("values", trial.params).get(path, "") for path in paths}})
    return rows


def cer_of(trial: FrozenTrial) -> float:
    if trial.state == TrialState.COMPLETE:
        return trial.value
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else float("inf")


def write_board(study: optuna.Study, folder: Path) -> None:
    """Write leaderboard.csv and leaderboard.md."""
    rows = board_rows(study)
    columns = list(rows[0]) if rows else ["rank", "experiment"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "leaderboard.csv", text.getvalue())
    right = ("rank", "val_cer", "step")
    lines = [f"# Search {study.study_name}", "",
             f"Character error rate on validation pages, of the step that was kept; {len(rows)} trials. The test split was not read.", "",
             f"| {' | '.join(columns)} |", f"|{'|'.join('--:' if name in right else ':--' for name in columns)}|"]
    lines += [f"| {' | '.join(str(row[name]).replace('|', '&#124;') for name in columns)} |" for row in rows]
    begun = [experiment_name(study, trial.number) for trial in study.get_trials(deepcopy=False)
             if "as_it_was" in trial.user_attrs and experiment_name(study, trial.number) in {row["experiment"] for row in rows}]
    if begun:
        lines += ["", f"{begun[-1]} has the values of params.yaml as the search found them: what is better than it, the search has gained."]
    pictures = [f"![{caption}]({name})" for name, caption in (("history.png", "History"), ("importance.png", "Importance"))
                if (folder / name).is_file()]
    write_text(folder / "leaderboard.md", "\n".join([*lines, *([""] if pictures else []), *pictures]) + "\n")


def importances(study: optuna.Study) -> dict[str, float]:
    """Return each parameter's share of what tells good trials from the others, by PED-ANOVA (Watanabe and others, 2023).

    Empty where too few trials are complete, or all are alike.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < FEWEST or len({trial.value for trial in complete}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the evaluator is marked as experimental
        return optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())


def draw_history(study: optuna.Study) -> Figure:
    """Return the CER of each trial and of the best so far."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axis = figure.subplots()
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    trials = [trial for trial in ended if cer_of(trial) < float("inf")]
    for state, marker, color in ((TrialState.COMPLETE, "o", MEDAL), (TrialState.PRUNED, "x", DOT)):
        chosen = [trial for trial in trials if trial.state == state]
        axis.scatter([trial.number for trial in chosen], [cer_of(trial) * 100 for trial in chosen], marker=marker, color=color,
                     label=f"{STATES[state]} ({len(chosen)})")
    best, numbers, floors = float("inf"), [], []
    for trial in trials:
        if trial.state == TrialState.COMPLETE:
            best = min(best, trial.value * 100)
            numbers.append(trial.number)
            floors.append(best)
    axis.step(numbers, floors, where="post", color=MEDAL, linewidth=1, label="best so far")
    axis.set(title=f"{study.study_name}: character error rate on validation pages", xlabel="trial", ylabel="CER, %")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(frameon=False)
    return figure


def draw_importance(study: optuna.Study, shares: dict[str, float]) -> Figure:
    """Return a bar a parameter, the most important on top."""
    figure = Figure(figsize=(8, 1.2 + 0.35 * len(shares)), layout="constrained")
    axis = figure.subplots()
    names = sorted(shares, key=shares.__getitem__)
    count = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    bars = axis.barh(names, [shares[name] * 100 for name in names], color=MEDAL)
    axis.bar_label(bars, [f"{shares[name]:.0%}" for name in names], padding=3, fontsize=8)
    axis.set(title=f"{study.study_name}: what tells good trials from the others ({count} complete)", xlabel="share, %")
    axis.margins(x=0.12)
    return figure


def write_report(study: optuna.Study, folder: Path) -> list[Path]:
    """Write leaderboard and pictures into a folder and return the files; a picture with nothing to show is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    shares = importances(study)
    with matplotlib.rc_context(STYLE):
        figures = {"history.png": draw_history(study), "importance.png": draw_importance(study, shares) if shares else None}
        for name, figure in figures.items():
            (folder / name).unlink(missing_ok=True)
            if figure:
                figure.savefig(folder / name, dpi=110, metadata={"Software": None})
    write_board(study, folder)
    return [folder / name for name in ("leaderboard.csv", "leaderboard.md", *figures) if (folder / name).is_file()]
