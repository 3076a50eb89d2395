"""TRL's trainer as we use it: the plain loss, nothing told to anybody, and an end as soon as losses are no numbers."""

import inspect
import math
import subprocess
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams
from ocrtune.training.batches import LengthBuckets
from ocrtune.training.saving import clear_when_full
from ocrtune.training.unsloth_backend import precision


def check_settings(profile: StudentProfile, params: TrainParams) -> None:
    """Raise a `ValueError` where these params can't be trained with, before anything is loaded."""
    if params.method == "full" and profile.dtype == "float16":
        raise ValueError("train.method full: a student whose dtype is float16 can't be trained whole, for small steps vanish in it and "
                         "large ones overflow; set its dtype to float32 or bfloat16, or train.method to lora")
    if params.wandb and find_spec("wandb") is None:
        raise ValueError("train.wandb: wandb is not installed; run `./run uv pip install wandb`, or set train.wandb to false")
    if is_before_first_commit():
        raise ValueError("git has no commit here yet, and DVCLive, which keeps a training's curves, asks for one: "
                         "git add --all && git commit --message begin")


def is_before_first_commit() -> bool:
    """Return whether the current folder is in a git repository without a commit."""
    def succeeds(*words: str) -> bool:
        return subprocess.run(["git", "rev-parse", *words], capture_output=True).returncode == 0

    return which("git") is not None and succeeds("--git-dir") and not succeeds("--verify", "HEAD")


def answer_width(labels) -> int:
    """Return how many columns at the end of a batch's labels tell of answers: from the token before the first one."""
    first = int((labels != -100).any(0).int().argmax())
    return labels.shape[1] - max(0, first - 1)


def answer_loss(outputs, labels, num_items_in_batch=None):
    """Return the cross-entropy of the labels' last columns, as many as there are logits: its sum by `num_items_in_batch`, or its mean."""
    from transformers.loss.loss_utils import ForCausalLMLoss

    logits = outputs.logits.contiguous()
    return ForCausalLMLoss(logits, labels[:, -logits.shape[1] :], logits.shape[-1], num_items_in_batch=num_items_in_batch)


def build_trainer_class(on_unsloth: bool = False):
    """Return TRL's SFTTrainer with the loss of transformers' own Trainer, and that Trainer itself for Unsloth, which rewrites TRL's.

    TRL computes it with a fused kernel that wants a GPU (1.15) or moves with TRL's version; the plain
    cross-entropy over completion tokens is the same number everywhere. It is computed where answers are and not over images
    and prompts: of a page of 1,000 image tokens and a vocabulary of 150,000 those logits alone would be 600 MB.
    """
    from transformers import Trainer
    from trl import SFTTrainer

    class AnswerTrainer(Trainer if on_unsloth else SFTTrainer):
        def _send_telemetry(self):
            """Tell TRL's makers nothing: we ask nobody unbidden. Its thread looks up a host, and so reads the environment, which
            accelerate empties and refills at that moment: a training died of it (segmentation fault in getenv)."""

        def _get_train_sampler(self, train_dataset=None):
            """Return batches of like length in our order: transformers' own depends on what was drawn before, so that a training that
            goes on in the midst of a later epoch learns other examples than one that was never interrupted."""
            dataset = self.train_dataset if train_dataset is None else train_dataset
            if self.args.train_sampling_strategy != "group_by_length":
                return super()._get_train_sampler(dataset)
            return LengthBuckets(list(dataset["length"]), self.args.train_batch_size * self.args.world_size, self.args.data_seed)

        def _save_checkpoint(self, model, trial):
            with clear_when_full(f"{self.args.output_dir}: step {self.state.global_step}",
                                 "make room and run the same again: it goes on from the last whole checkpoint"):
                super()._save_checkpoint(model, trial)

        def training_step(self, *args, **kwargs):
            loss = super().training_step(*args, **kwargs)
            self.check_number("loss", loss)
            return loss

        def _get_grad_norm(self, model, grad_norm=None):
            """Return the norm; one that is no number ends the training before its gradients reach the weights. With loss scaling
            (float16 under autocast) such a step is one that the scaler leaves out."""
            norm = super()._get_grad_norm(model, grad_norm=grad_norm)
            if norm is not None and self.accelerator.scaler is None:
                self.check_number("grad_norm", norm)
            return norm

        def check_number(self, name: str, value) -> None:
            if not math.isfinite(value):
                raise ValueError(
                    f"step {self.state.global_step + 1}: {name} is {float(value)}: training went astray and ends here; lower "
                    f"train.learning_rate or train.max_grad_norm, or raise train.warmup_steps; checkpoints stay in {self.args.output_dir}")

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            inputs["use_cache"] = False
            if not on_unsloth:  # which computes its loss inside the model
                self.compute_loss_func = answer_loss
                base = self.accelerator.unwrap_model(model)
                base = base.get_base_model() if hasattr(base, "get_base_model") else base
                if "logits_to_keep" in inspect.signature(type(base).forward).parameters:
                    inputs["logits_to_keep"] = answer_width(inputs["labels"])
            return Trainer.compute_loss(self, model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch)

        def _run_epoch(self, **kwargs):
            """Begin no epoch after the end: this loop asks whether to stop only when it has taken a step."""
            if self.state.global_step >= self.state.max_steps:
                self.control.should_training_stop = True
            if not self.control.should_training_stop:
                super()._run_epoch(**kwargs)

    return AnswerTrainer


def training_arguments(folder: Path, profile: StudentProfile, params: TrainParams, evaluate: bool):
    """Return the trainer's settings for these params."""
    import torch
    from transformers import TrainingArguments
    from trl import SFTConfig

    common = dict(
        output_dir=str(folder), seed=params.seed, data_seed=params.seed,
        num_train_epochs=params.epochs or 1, max_steps=params.max_steps or -1,
        per_device_train_batch_size=params.per_device_batch_size, per_device_eval_batch_size=params.per_device_batch_size,
        gradient_accumulation_steps=params.gradient_accumulation_steps,
        learning_rate=params.learning_rate, lr_scheduler_type=params.schedule, warmup_steps=params.warmup_steps,
        weight_decay=params.weight_decay, max_grad_norm=params.max_grad_norm,
        train_sampling_strategy="group_by_length", length_column_name="length",
        logging_nan_inf_filter=False,  # which would log a loss of 0 where there is none; ours ends the training
        logging_steps=params.logging_steps, save_steps=params.save_steps, save_total_limit=2,
        eval_strategy="steps" if evaluate else "no", eval_steps=params.eval_steps,
        use_cpu=not torch.cuda.is_available(), report_to=["wandb"] if params.wandb else [], disable_tqdm=True, remove_unused_columns=False,
    )
    if params.backend == "unsloth":  # gradient checkpointing is in its model
        return TrainingArguments(**common, **precision(profile, params))
    return SFTConfig(**common, bf16=False, gradient_checkpointing=params.gradient_checkpointing,
                     dataset_kwargs={"skip_prepare_dataset": True}, max_length=None)
