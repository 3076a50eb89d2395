"""Set our training step and our reading beside the plain way of TRL and transformers: same model, same rows, same run.

    python -m benchmarks.training models/base/tiny tests/lines/seen tests/lines/long

TRL's example runs as its documentation has it and once more with our attention (`ocrtune.models.packed_attention`), so that
it is seen what that alone gains. First all train a few steps on the same batches, which warms them up and must give the same
losses. Then the rounds take turns, so that what else the machine does hits all alike; a step is a whole epoch's time by its
steps, the first and longest batch included; each figure is a ratio of medians. With OMP_NUM_THREADS=1 the CPU time tells the
same on a busy machine.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated
from unittest.mock import patch

import typer

BATCH = 12
FEW = 6  # steps on which losses are compared
LEARNING_RATE = 2e-3


def read_lines(folders: list[Path]) -> list[dict]:
    """Return rows {page_id, image, text} with whole image paths."""
    from ocrtune.rows import read_rows

    return [{"page_id": row["page_id"], "image": str((folder / row["image"]).resolve()), "text": row["text"]}
            for folder in folders for file in sorted(folder.glob("*.jsonl")) for row in read_rows(file, ("page_id", "image", "text"))]


def build_clock():
    """Return a callback that notes when training began, when its first step ended (by the wall) and its last one, and the losses logged."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            self.began, self.losses = (time.perf_counter(), time.process_time()), []

        def on_step_end(self, args, state, control, **kwargs):
            self.first = time.perf_counter() if state.global_step == 1 else self.first
            self.ended, self.steps = (time.perf_counter(), time.process_time()), state.global_step

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.losses += [logs["loss"]] if "loss" in logs else []

        def seconds_a_step(self) -> list[float]:
            """Return them by the wall and in CPU time."""
            return [(ended - began) / self.steps for began, ended in zip(self.began, self.ended, strict=True)]

    return Clock()


def plain_rows(rows: list[dict]) -> list[dict]:
    """Return the rows as TRL's vision example has them: images, prompt, completion."""
    from PIL import Image

    return [{"images": [Image.open(row["image"]).convert("RGB")],
             "prompt": [{"role": "user", "content": [{"type": "image"}]}],
             "completion": [{"role": "assistant", "content": [{"type": "text", "text": row["text"]}]}]} for row in rows]


def train_plain(base: Path, rows: list[dict], folder: Path, in_order: bool, packed: bool = False):
    """Train an epoch with TRL's SFTTrainer as its documentation shows it; return its clock. `packed`: with our attention.

    But for the loss: TRL 1.15 computes it with a kernel that only GPUs have, so both sides take transformers' own.
    """
    import torch
    import transformers
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig

    from ocrtune.models.packed_attention import use_packed_attention
    from ocrtune.training.trainer import build_trainer_class

    transformers.set_seed(0)
    model = transformers.AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    if packed and not use_packed_attention(model):
        raise ValueError(f"{base}: packs no images; this benchmark is about a model like models/base/tiny")
    processor = transformers.AutoProcessor.from_pretrained(base)
    clock = build_clock()
    trainer = build_trainer_class()(
        model=model, processing_class=processor, train_dataset=Dataset.from_list(plain_rows(rows)), callbacks=[clock],
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"),
        args=SFTConfig(output_dir=str(folder), num_train_epochs=1, per_device_train_batch_size=BATCH, learning_rate=LEARNING_RATE,
                       report_to=[], max_length=None, save_strategy="no", use_cpu=True, bf16=False, gradient_checkpointing=False,
                       disable_tqdm=True, logging_steps=1, seed=0, train_sampling_strategy="sequential" if in_order else "random"),
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    return clock


def train_packed(base: Path, rows: list[dict], folder: Path, in_order: bool):
    """Train as `train_plain` does, with our attention."""
    return train_plain(base, rows, folder, in_order, packed=True)


def train_ours(base: Path, rows: list[dict], folder: Path, in_order: bool):
    """Train an epoch with `ocrtune.training.finetuning`; return its clock."""
    from ocrtune.params.students import StudentProfile
    from ocrtune.params.train import LoraParams, TrainParams
    from ocrtune.training import finetuning

    def arguments(*told):
        made = build(*told)
        made.train_sampling_strategy = "sequential" if in_order else made.train_sampling_strategy
        return made

    clock, build = build_clock(), finetuning.training_arguments
    params = TrainParams(mode="both", lora=LoraParams(r=16, alpha=32), learning_rate=LEARNING_RATE, schedule="linear", warmup_steps=0,
                         epochs=1.0, per_device_batch_size=BATCH, save_steps=10_000, logging_steps=1)
    with patch.object(finetuning, "build_progress", lambda: clock), patch.object(finetuning, "training_arguments", arguments):
        finetuning.finetune(base, StudentProfile(prompts={"ocr": ""}), params, {"train": rows, "val": []}, Path("/"), folder / "log",
                            folder / "ours")
    return clock


def read_both_ways(base: Path, rows: list[dict]) -> tuple[float, float]:
    """Return the seconds that reading the rows one by one and in batches takes."""
    from ocrtune.models.vlm import generate_texts, load_model, load_processor, open_image
    from ocrtune.params.students import StudentProfile

    profile = StudentProfile(prompts={"ocr": ""}, max_new_tokens=100)
    model, processor = load_model(base, profile), load_processor(base, profile)
    images = sorted((open_image(Path(row["image"])) for row in rows), key=lambda image: image.width / image.height)
    seconds = []
    for size in (1, profile.batch_size):
        began = time.perf_counter()
        for start in range(0, len(images), size):
            generate_texts(model, processor, images[start : start + size], profile)
        seconds.append(time.perf_counter() - began)
    return tuple(seconds)


def main(
    base: Annotated[Path, typer.Argument(help="the student's folder")],
    folders: Annotated[list[Path], typer.Argument(help="folders of lines")],
    rounds: Annotated[int, typer.Option(help="turns that each side takes")] = 3,
) -> None:
    """Print ratios of training and reading speed."""
    rows, seconds = read_lines(folders), {train_plain: [], train_packed: [], train_ours: []}
    starts = {train: [] for train in seconds}
    with tempfile.TemporaryDirectory() as folder:
        few = [train(base, rows[: FEW * BATCH], Path(folder) / f"few/{train.__name__}", in_order=True).losses for train in seconds]
        for turn in range(rounds):
            for train in seconds:
                began = time.perf_counter()
                clock = train(base, rows, Path(folder) / f"{turn}/{train.__name__}", in_order=False)
                starts[train].append(clock.first - began)
                seconds[train].append(clock.seconds_a_step())
    singly, batched = read_both_ways(base, rows[:96])
    print(f"{len(rows)} lines, batches of {BATCH}, {rounds} rounds each")
    for name, told in zip(("TRL's example", "the same, our attention", "ours"), few, strict=True):
        print(f"losses of {FEW} steps on the same batches, {name}: {', '.join(f'{loss:.6f}' for loss in told)}")
    for number, kind in enumerate(("by the wall", "in CPU time")):
        plain, packed, ours = ([times[number] for times in taken] for taken in seconds.values())
        print(f"a training step {kind}: {median(ours):.3f} s, {median(plain) / median(ours):.2f} times as fast as TRL's example, "
              f"{median(packed) / median(ours):.2f} times as fast as that with our attention")
        print(f"  by rounds: {', '.join(f'{a / c:.2f} and {b / c:.2f}' for a, b, c in zip(plain, packed, ours, strict=True))}")
    plain, _, ours = map(median, starts.values())
    print(f"from rows to the end of the first step: {ours:.2f} s (its longest batch), TRL's example {plain:.2f} s (any batch)")
    print(f"reading in batches: {singly / batched:.1f} times as fast as line by line")


if __name__ == "__main__":
    typer.run(main)
