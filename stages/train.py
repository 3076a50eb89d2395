"""Fine-tune the student on the train split.

    python -m stages.train models/base/tiny data/pages data/splits data/rehearsal models/adapter metrics/train
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer


def take_rehearsal(folder: Path, splits: Path, wanted: int) -> list[dict]:
    """Return `wanted` rows of clean print, over and over where there are fewer, with images as seen from `splits`."""
    import os
    from itertools import cycle, islice

    from ocrtune.rows import read_rows

    if not wanted:
        return []
    rows = read_rows(folder / "rehearsal.jsonl", ("page_id", "image", "text", "sha256"))
    if not rows:
        raise ValueError(f"{folder}/rehearsal.jsonl: empty; set train.rehearsal to 0 or put lines there")
    away = os.path.relpath(folder, splits)
    return list(islice(cycle({**row, "image": f"{away}/{row['image']}"} for row in rows), wanted))


class Inputs(NamedTuple):
    """What a training is made of: `rows` by split, those of clean print among train's; where its checkpoints lie."""

    student: str
    profile: Any
    params: Any
    rows: dict[str, list[dict]]
    num_clean: int
    digest: str
    checkpoints: Path


def read_inputs(base: Path, folders: tuple[Path, Path, Path]) -> Inputs:
    """Return what params.yaml and the folders (pages, splits, rehearsal) say, checked; weights that are not there are fetched."""
    from ocrtune.models.downloads import fetch_student
    from ocrtune.models.vlm import weights_digest
    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.students import StudentProfile
    from ocrtune.params.train import TrainParams
    from ocrtune.rows import read_rows
    from ocrtune.training.checkpoints import checkpoint_folder
    from ocrtune.training.launching import wants_launch
    from ocrtune.training.trainer import check_settings
    from ocrtune.training.unsloth_backend import import_unsloth

    pages, splits, rehearsal = folders
    student = read_params()["student"]
    params = load_section("train", TrainParams)
    profile = load_section(f"students.{student}", StudentProfile)
    check_settings(profile, params)
    if params.backend == "unsloth" and not wants_launch(params.launch):
        import_unsloth()  # before all that it patches
    columns = ("page_id", "image", "text")
    rows = {name: read_rows(splits / f"{name}.jsonl", columns) for name in ("train", "val")}
    if not rows["train"]:
        raise ValueError(f"{splits}/train.jsonl: no examples to train on; label more documents or lower split.val and split.test")
    fetch_student(base, profile)
    digest = weights_digest(base)
    hashes = {row["page_id"]: row["sha256"] for row in read_rows(pages / "pages.jsonl", ("page_id", "sha256"))}
    unknown = [row["page_id"] for part in rows.values() for row in part if row["page_id"] not in hashes]
    if unknown:
        raise ValueError(f"{splits}: {unknown[0]} and {len(unknown) - 1} more are no pages of {pages}; run split again")
    images = [hashes[row["page_id"]] for part in rows.values() for row in part]
    clean = take_rehearsal(rehearsal, splits, round(params.rehearsal * len(rows["train"])))
    rows["train"] += clean
    checkpoints = checkpoint_folder(digest, params.model_dump(), profile.model_dump(), rows, [*images, *(row["sha256"] for row in clean)])
    return Inputs(student, profile, params, rows, len(clean), digest, checkpoints)


def train(base: Path, folders: tuple[Path, Path, Path], adapter: Path, log: Path) -> None:
    """Write the adapter (or, with method full, the weights) and the curves of a training; `folders`: pages, splits, rehearsal.

    Where params.yaml wants several processes and this is none of them, start them. Of trainings with the same inputs one runs at a time.
    """
    import sys

    from ocrtune.training.checkpoint_lock import hold_checkpoints
    from ocrtune.training.launching import is_launched, launch_processes, leads_launch, wants_launch

    inputs = read_inputs(base, folders)
    if is_launched():  # whoever launched holds the checkpoints
        return learn(inputs, base, folders[1], adapter, log)
    with hold_checkpoints(inputs.checkpoints) if leads_launch(inputs.params.launch) else nullcontext():
        if wants_launch(inputs.params.launch):
            launch_processes(inputs.params.launch, "stages.train", sys.argv[1:])
        else:
            learn(inputs, base, folders[1], adapter, log)


def learn(inputs: Inputs, base: Path, splits: Path, adapter: Path, log: Path) -> None:
    """Train in this process, and write what `train` writes if it is the first."""
    from ocrtune.models.contract import CONTRACT, contract_of
    from ocrtune.models.vlm import load_processor
    from ocrtune.rows import check_counts, write_json, write_rows
    from ocrtune.serving.vllm import note_on_serving
    from ocrtune.training.finetuning import finetune, record_training
    from ocrtune.training.launching import is_first
    from ocrtune.training.saving import clear_when_full

    student, profile, params, rows, num_clean, digest, checkpoints = inputs
    num_examples = len(rows["train"]) - num_clean
    print(f"train: {num_examples} examples and {num_clean} of clean print, {len(rows['val'])} to validate", flush=True)
    print(note_on_serving(student, profile), flush=True)
    model, fits, weights = finetune(base, profile, params, rows, splits, log, checkpoints)
    if not is_first():
        return
    with clear_when_full(str(adapter), "make room and run train again: it goes on from its last checkpoint"):
        model.save_pretrained(adapter, **({"state_dict": weights} if weights else {}))
    (adapter / "README.md").unlink(missing_ok=True)  # peft's empty card
    write_json(adapter / CONTRACT, {"student": student, "base_sha256": digest, "mode": params.mode, "method": params.method,
                                    **({"load_in_4bit": True} if params.load_in_4bit else {}),
                                    "training": record_training(params, num_examples, num_clean, log),
                                    **contract_of(profile, load_processor(base, profile))})
    write_rows(log / "refused.jsonl", [{"split": name, **row} for name, fit in fits.items() for row in fit.refused])
    for name, fit in fits.items():
        check_counts(f"train, {name}", len(rows[name]), len(fit.kept), len(fit.refused))


def main(
    base: Annotated[Path, typer.Argument(help="the student's folder")],
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl and images")],
    splits: Annotated[Path, typer.Argument(help="folder of train.jsonl and val.jsonl")],
    rehearsal: Annotated[Path, typer.Argument(help="folder of rehearsal.jsonl: clean print to mix in")],
    adapter: Annotated[Path, typer.Argument(help="folder to write the adapter to")],
    log: Annotated[Path, typer.Argument(help="folder to write the curves to")],
) -> None:
    """Fine-tune the student on the train split."""
    import io
    import sys
    from contextlib import redirect_stdout

    from ocrtune.params.load import report_errors
    from ocrtune.training.launching import die_with_parent, is_first, is_launched

    if is_launched():
        die_with_parent()
    with report_errors(), redirect_stdout(sys.stdout if is_first() else io.StringIO()):
        train(base, (pages, splits, rehearsal), adapter, log)


if __name__ == "__main__":
    typer.run(main)
