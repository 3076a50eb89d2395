"""Set our training step and our reading beside the plain way of TRL and transformers: same model, same rows, same run.

    python -m benchmarks.training models/base/tiny tests/lines/seen tests/lines/long

The rounds take turns, so that what else the machine does hits both alike; each figure is a ratio of medians.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

BATCH = 12


def read_lines(folders: list[Path]) -> list[dict]:
    """Return rows {page_id, image, text} with whole image paths."""
    from ocrtune.rows import read_rows

    return [{"page_id": row["page_id"], "image": str((folder / row["image"]).resolve()), "text": row["text"]}
            for folder in folders for file in sorted(folder.glob("*.jsonl")) for row in read_rows(file, ("page_id", "image", "text"))]


def build_clock(began: float):
    """Return a callback that notes when each step ended, in seconds since `began`."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self):
            self.ends = []

        def on_step_end(self, args, state, control, **kwargs):
            self.ends.append(time.perf_counter() - began)

    return Clock()


def plain_rows(rows: list[dict]) -> list[dict]:
    """Return the rows as TRL's vision example has them: images, prompt, completion."""
    from PIL import Image

    return [{"images": [Image.open(row["image"]).convert("RGB")],
             "prompt": [{"role": "user", "content": [{"type": "image"}]}],
             "completion": [{"role": "assistant", "content": [{"type": "text", "text": row["text"]}]}]} for row in rows]


def train_plain(base: Path, rows: list[dict], folder: Path) -> list[float]:
    """Train an epoch with TRL's SFTTrainer as its documentation shows it; return when each step ended.

    But for the loss: TRL 1.15 computes it with a kernel that only GPUs have, so both sides take transformers' own.
    """
    import torch
    import transformers
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig

    from ocrtune.training.trainer import build_trainer_class

    began = time.perf_counter()
    model = transformers.AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    processor = transformers.AutoProcessor.from_pretrained(base)
    clock = build_clock(began)
    trainer = build_trainer_class()(
        model=model, processing_class=processor, train_dataset=Dataset.from_list(plain_rows(rows)), callbacks=[clock],
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"),
        args=SFTConfig(output_dir=str(folder), num_train_epochs=1, per_device_train_batch_size=BATCH, learning_rate=1e-4, report_to=[],
                       max_length=None, save_strategy="no", use_cpu=True, bf16=False, gradient_checkpointing=False, disable_tqdm=True,
                       logging_strategy="no"),
    )
    trainer.train()
    return clock.ends


def train_ours(base: Path, rows: list[dict], folder: Path) -> list[float]:
    """Train an epoch with `ocrtune.training.finetuning`; return when each step ended."""
    from ocrtune.params.students import StudentProfile
    from ocrtune.params.train import LoraParams, TrainParams
    from ocrtune.training import finetuning

    clock, build = build_clock(time.perf_counter()), finetuning.build_progress
    finetuning.build_progress = lambda: clock  # the same callback on both sides
    try:
        params = TrainParams(mode="both", lora=LoraParams(r=16, alpha=32), learning_rate=1e-4, epochs=1.0, per_device_batch_size=BATCH,
                             save_steps=10_000, logging_steps=10_000)
        profile, splits = StudentProfile(prompts={"ocr": ""}), {"train": rows, "val": []}
        finetuning.finetune(base, profile, params, splits, Path("/"), folder / "log", folder / "ours")
    finally:
        finetuning.build_progress = build
    return clock.ends


def losses(base: Path, rows: list[dict]) -> tuple[float, float]:
    """Return the loss of one batch by TRL's collator and by ours, with the same model."""
    import torch
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    from ocrtune.models.vlm import end_tokens, load_model, load_processor
    from ocrtune.params.students import StudentProfile
    from ocrtune.training.collator import AnswerCollator

    profile = StudentProfile(prompts={"ocr": ""})
    model, processor = load_model(base, profile), load_processor(base, profile)
    theirs = DataCollatorForVisionLanguageModeling(processor, max_length=None, completion_only_loss=True)(plain_rows(rows))
    ours = AnswerCollator(processor, "", Path("/"), end_tokens(model)[0])(rows)
    with torch.inference_mode():
        return tuple(float(model(**batch).loss) for batch in (theirs, ours))


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
    rows, steps, starts = read_lines(folders), {train_plain: [], train_ours: []}, {train_plain: [], train_ours: []}
    theirs, ours = losses(base, rows[:BATCH])
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds):
            for train in steps:
                ends = train(base, rows, Path(folder) / f"{turn}")
                starts[train].append(ends[0])
                steps[train].append((ends[-1] - ends[0]) / (len(ends) - 1))
    singly, batched = read_both_ways(base, rows[:96])
    print(f"{len(rows)} lines, batches of {BATCH}, {rounds} rounds each")
    print(f"loss of one batch: {theirs:.6f} by TRL's collator, {ours:.6f} by ours")
    print(f"a training step: {median(steps[train_plain]) / median(steps[train_ours]):.2f} times as fast as TRL's example "
          f"({median(steps[train_ours]):.3f} s)")
    print(f"start to the end of the first step: {median(starts[train_ours]):.1f} s, TRL's example {median(starts[train_plain]):.1f} s")
    print(f"reading in batches: {singly / batched:.1f} times as fast as line by line")


if __name__ == "__main__":
    typer.run(main)
