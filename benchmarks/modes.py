"""Fine-tune each tower alone, both, and all weights, on the same examples for as many steps, and set the results side by side.

    python -m benchmarks.modes /tmp/modes --picture docs/modes.png

Wants the outs of `dvc repro` up to `split`. What is finished in the folder is not run again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

# mode, method, learning rate: a LoRA's suits its small matrices, whole weights want a gentler one
VARIANTS = (("vision", "lora", 2e-3), ("llm", "lora", 2e-3), ("both", "lora", 2e-3), ("both", "full", 2e-4), ("both", "full", 7e-4))
SETS = ("data/pages", "data/splits")


def run_variant(folder: Path, mode: str, method: str, rate: float) -> None:
    """Train, merge and evaluate in `folder`, on the project's data."""
    import yaml

    values = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    values["train"] |= {"mode": mode, "method": method, "learning_rate": rate}
    base = f"models/base/{values['student']}"
    (folder / "models").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    for name in ("data", "models/base"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(Path(name).resolve())
    stages = (("train", base, *SETS, "data/rehearsal", "models/adapter", "metrics/train"),
              ("merge", base, "models/adapter", *SETS, "models/merged", "metrics/merge.json"),
              ("evaluate", "tuned", "models/merged", "data/documents", *SETS, "data/canary", "tuned.jsonl", "tuned.json", "tuned.csv"))
    for stage, *paths in stages:
        subprocess.run([sys.executable, "-m", f"stages.{stage}", *paths], cwd=folder, check=True, stdout=sys.stderr,
                       env=os.environ | {"PYTHONPATH": str(Path.cwd())})


def describe(folder: Path, mode: str, method: str, rate: float) -> str:
    """Return the variant's row of the table."""
    scores, training = (json.loads((folder / name).read_text()) for name in ("tuned.json", "metrics/train/metrics.json"))
    return (f"| {mode} | {method} | {rate:g} | {training['best_val_cer']:.2%} (step {training['best_step']}) | {scores['cer']:.2%} | "
            f"{scores['perfect_rate']:.0%} | {scores['canary']['cer']:.2%} |")


def draw(folders: dict[str, Path], picture: Path) -> None:
    """Draw loss and validation CER by step, a line a variant, to a PNG file."""
    import csv

    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, name, label in zip(figure.subplots(1, 2), ("loss", "val_cer"), ("training loss", "validation CER, %"), strict=True):
        for title, folder in folders.items():
            scale = 100 if name == "val_cer" else 1
            with (folder / f"metrics/train/plots/metrics/{name}.tsv").open() as file:
                points = [(int(row["step"]), float(row[name]) * scale) for row in csv.DictReader(file, delimiter="\t")]
            axes.plot(*zip(*points, strict=True), label=title, marker="o" if name == "val_cer" else None, linewidth=1.2)
        axes.set(xlabel="step", ylabel=label, yscale="log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}" if name == "val_cer" else NullFormatter())
        axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.savefig(picture, dpi=120)


def compare_modes(out: Path, picture: Path | None) -> None:
    """Run what is missing, print the table, draw the curves."""
    folders = {}
    print("| mode | method | learning rate | val CER | test CER | perfect lines | clean print |\n|:--|:--|--:|--:|--:|--:|--:|")
    for mode, method, rate in VARIANTS:
        folder = folders[f"{mode}, {method}, {rate:g}"] = out / f"{mode}-{method}-{rate:g}"
        if not (folder / "tuned.json").is_file():
            run_variant(folder, mode, method, rate)
        print(describe(folder, mode, method, rate), flush=True)
    if picture:
        draw(folders, picture)


def main(
    out: Annotated[Path, typer.Argument(help="folder for the runs")],
    picture: Annotated[Path | None, typer.Option(help="PNG file to draw the curves to")] = None,
) -> None:
    """Compare modes and methods of fine-tuning."""
    from ocrtune.params.load import report_errors

    with report_errors(subprocess.CalledProcessError):
        compare_modes(out, picture)


if __name__ == "__main__":
    typer.run(main)
