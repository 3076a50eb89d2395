"""Keep the weights that read best: greedy readings of some validation pages at intervals, early stop, best step.

A validation loss says how sure a model is of the right letters; it does not see loops or lost lines.
The CER of what the model really writes does.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ocrtune.models.vlm import generate_texts, open_image
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import EarlyStopping
from ocrtune.scoring.edits import count_edits
from ocrtune.training.launching import is_first

BEST = "best.safetensors"


def generated_cer(model, processor, profile: StudentProfile, rows: Sequence[dict], images: Path) -> float:
    """Return all edits over all reference characters of rows {image, text}, read as users will have them read."""
    training, edits = model.training, 0
    model.eval()
    for start in range(0, len(rows), profile.batch_size):
        batch = rows[start : start + profile.batch_size]
        texts = generate_texts(model, processor, [open_image(images / row["image"]) for row in batch], profile)
        edits += sum(count_edits(row["text"], text).total for row, (text, _) in zip(batch, texts, strict=True))
    if training:  # Unsloth's own way back: its generate() has switched gradient checkpointing off
        getattr(model, "for_training", model.train)()
    return edits / max(1, sum(len(row["text"]) for row in rows))


def spread(rows: Sequence[dict], wanted: int) -> list[dict]:
    """Return up to `wanted` rows, evenly spread, so that every document has its chance; the same ones each time."""
    step = max(1.0, len(rows) / wanted)
    return [rows[int(place * step)] for place in range(min(wanted, len(rows)))]


def agree(value):
    """Return what the first process of a training has; with one process, the value."""
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def save_trained(model, file: Path) -> None:
    """Write the weights that are being trained, whole or not at all."""
    from safetensors.torch import save_file

    partial = file.with_name(f"{file.name}.partial")
    save_file({name: weight.detach().cpu().contiguous() for name, weight in model.named_parameters() if weight.requires_grad}, partial)
    partial.replace(file)


def load_trained(model, file: Path) -> None:
    """Put the weights of `save_trained` back in their places."""
    import torch
    from safetensors.torch import load_file

    weights = load_file(file)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                weight.copy_(weights[name])


def readings_of(log_history: Sequence[dict]) -> list[tuple[float, int]]:
    """Return (CER on validation pages, step) as a trainer's log has them."""
    return [(entry["val_cer"], entry["step"]) for entry in log_history if "val_cer" in entry]


def is_over(readings: Sequence[tuple[float, int]], patience: int) -> bool:
    """Return whether the last `patience` readings were no better than the best before them."""
    cers = [cer for cer, _ in readings]
    return bool(cers) and len(cers) - cers.index(min(cers)) > patience


def drop_without_best(folder: Path) -> None:
    """Remove checkpoints that tell of readings where the weights that read best are not there: nobody can end that training."""
    if (folder / BEST).is_file():
        return
    for state in folder.glob("checkpoint-*/trainer_state.json"):
        with suppress(ValueError):  # torn: `last_checkpoint` removes those
            if readings_of(json.loads(state.read_bytes())["log_history"]):
                print(f"{state.parent}: left out, for {BEST} is not there", flush=True)
                shutil.rmtree(state.parent)


def build_selection(settings: EarlyStopping, processor, profile: StudentProfile, rows: Sequence[dict], images: Path, folder: Path):
    """Return a callback that reads `rows` at intervals, keeps the best weights in `folder` and stops when nothing gets better.

    What was read stands in the trainer's own log, so a resumed training knows it. Its `trainer` is set before training.
    """
    from transformers import TrainerCallback

    class Selection(TrainerCallback):
        trainer = None

        def on_train_begin(self, args, state, control, **kwargs):
            if is_over(readings_of(state.log_history), settings.patience):  # it was killed, or could not be saved, after its end
                control.should_training_stop = True

        def on_step_end(self, args, state, control, model=None, **kwargs):
            if state.global_step % settings.eval_steps and state.global_step < state.max_steps:
                return
            earlier = [cer for cer, _ in readings_of(state.log_history)]
            cer = agree(generated_cer(model, processor, profile, rows, images))  # all must go on, or stop, together
            is_due = control.should_log
            self.trainer.log({"val_cer": cer})
            control.should_log = is_due  # which logging has just taken back: the loss of this step would be missing
            if not earlier or cer < min(earlier):
                if is_first():
                    save_trained(model, folder / BEST)
            elif is_over(readings_of(state.log_history), settings.patience):
                control.should_training_stop = True

        def on_train_end(self, args, state, control, model=None, **kwargs):
            read = readings_of(state.log_history)
            if read and is_first():
                cer, step = min(read)
                load_trained(model, folder / BEST)
                print(f"best after step {step} of {state.global_step}: CER {cer:.2%} on {len(rows)} validation pages", flush=True)

    return Selection()
