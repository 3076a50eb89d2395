"""Fine-tune the student on the train split.

    python -m stages.train models/base/tiny data/pages data/splits data/rehearsal models/adapter metrics/train
"""

from pathlib import Path
from typing import Annotated

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


def launch(base: Path) -> bool:
    """Train in several processes, where params.yaml says so and this is none of them; return whether that was done."""
    import sys

    from ocrtune.models.downloads import fetch_student
    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.students import StudentProfile
    from ocrtune.params.train import TrainParams
    from ocrtune.training.launching import launch_processes, wants_launch

    settings = load_section("train", TrainParams).launch
    if not wants_launch(settings):
        return False
    fetch_student(base, load_section(f"students.{read_params()['student']}", StudentProfile))  # once, not in each process
    launch_processes(settings, "stages.train", sys.argv[1:])
    return True


def train(base: Path, folders: tuple[Path, Path, Path], adapter: Path, log: Path) -> None:
    """Write the adapter (or, with method full, the weights) and the curves of a training; `folders`: pages, splits, rehearsal."""
    import shutil

    from ocrtune.models.contract import CONTRACT, contract_of
    from ocrtune.models.downloads import fetch_student
    from ocrtune.models.vlm import load_processor, weights_digest
    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.students import StudentProfile
    from ocrtune.params.train import TrainParams
    from ocrtune.rows import check_counts, read_rows, write_json, write_rows
    from ocrtune.serving.vllm import note_on_serving
    from ocrtune.training.checkpoints import checkpoint_folder
    from ocrtune.training.finetuning import finetune, record_training
    from ocrtune.training.launching import is_first
    from ocrtune.training.saving import clear_when_full
    from ocrtune.training.trainer import check_settings
    from ocrtune.training.unsloth_backend import import_unsloth

    pages, splits, rehearsal = folders
    values = read_params()
    params = load_section("train", TrainParams)
    student = values["student"]
    profile = load_section(f"students.{student}", StudentProfile)
    check_settings(profile, params)
    if params.backend == "unsloth":
        import_unsloth()
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
    print(f"train: {len(rows['train'])} examples and {len(clean)} of clean print, {len(rows['val'])} to validate", flush=True)
    print(note_on_serving(student, profile), flush=True)
    rows["train"] += clean
    checkpoints = checkpoint_folder(digest, params.model_dump(), profile.model_dump(), rows, [*images, *(row["sha256"] for row in clean)])
    model, fits, weights = finetune(base, profile, params, rows, splits, log, checkpoints)
    if not is_first():
        return
    with clear_when_full(str(adapter), "make room and run train again: it goes on from its last checkpoint"):
        model.save_pretrained(adapter, **({"state_dict": weights} if weights else {}))
    (adapter / "README.md").unlink(missing_ok=True)  # peft's empty card
    write_json(adapter / CONTRACT, {"student": student, "base_sha256": digest, "mode": params.mode, "method": params.method,
                                    **({"load_in_4bit": True} if params.load_in_4bit else {}),
                                    "training": record_training(params, len(rows["train"]) - len(clean), len(clean), log),
                                    **contract_of(profile, load_processor(base, profile))})
    write_rows(log / "refused.jsonl", [{"split": name, **row} for name, fit in fits.items() for row in fit.refused])
    for name, fit in fits.items():
        check_counts(f"train, {name}", len(rows[name]), len(fit.kept), len(fit.refused))
    shutil.rmtree(checkpoints, ignore_errors=True)


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
    from ocrtune.training.launching import is_first

    with report_errors(), redirect_stdout(sys.stdout if is_first() else io.StringIO()):
        if not launch(base):
            train(base, (pages, splits, rehearsal), adapter, log)


if __name__ == "__main__":
    typer.run(main)
