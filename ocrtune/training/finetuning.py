"""Fine-tune a student on labelled pages with TRL's trainer; go on from the last checkpoint when killed."""

import copy
import json
from pathlib import Path

from ocrtune.models.vlm import end_tokens, load_model, load_processor
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams
from ocrtune.training.answer_tokens import barred_tokens
from ocrtune.training.checkpoints import last_checkpoint
from ocrtune.training.collator import AnswerCollator
from ocrtune.training.examples import Fit, example_length, fit_examples, text_limit
from ocrtune.training.launching import is_first, is_sharded
from ocrtune.training.lora_targets import lora_targets, parameter_targets, train_weights_of
from ocrtune.training.selection import agree, build_selection, drop_without_best, spread
from ocrtune.training.trainer import build_trainer_class, training_arguments
from ocrtune.training.unsloth_backend import adapt_with_unsloth, leave_unsloth, load_for_unsloth


def record_training(params: TrainParams, num_examples: int, num_clean: int, log: Path) -> dict:
    """Return what a training was, for the record: how many examples, how they were learnt, and the best reading of validation pages.

    `log` is where the curves lie; DVCLive's sums there have the last `step`, and `best_val_cer` at `best_step` where pages were read.
    """
    figures = json.loads((log / "metrics.json").read_bytes())
    return {"examples": num_examples, "clean_print": num_clean, "steps": figures["step"],
            "examples_a_step": params.per_device_batch_size * params.gradient_accumulation_steps * params.launch.processes,
            "learning_rate": params.learning_rate, "schedule": params.schedule, "seed": params.seed,
            **{name: figures[name] for name in ("best_val_cer", "best_step") if name in figures}}


def build_logger(folder: Path):
    """Return a callback that logs losses to DVCLive by optimizer step, earlier ones again after a resume.

    Where DVC Studio is set up (`DVC_STUDIO_TOKEN`), it is told of them as they come.
    """
    from dvclive import Live
    from dvclive.studio import get_dvc_studio_config
    from transformers import TrainerCallback

    class StepLogger(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            self.live = Live(str(folder), dvcyaml=None, save_dvc_exp=False, report=None, resume=False)
            self.is_watched = bool(get_dvc_studio_config(self.live))
            for entry in state.log_history:
                self.log(entry)

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.log({**(logs or {}), "step": state.global_step})
            if self.is_watched:  # it reads all curves each time
                self.live.sync()

        def log(self, entry):
            self.live.step = int(entry["step"])
            for name in ("loss", "grad_norm", "learning_rate", "eval_loss", "val_cer"):
                if name in entry:
                    self.live.log_metric(name, float(entry[name]))

        def on_train_end(self, args, state, control, **kwargs):
            read = [(entry["val_cer"], entry["step"]) for entry in state.log_history if "val_cer" in entry]
            if read:  # of the weights that are kept
                self.live.summary["best_val_cer"], self.live.summary["best_step"] = min(read)
            self.live.end()

    return StepLogger()


def build_progress():
    """Return a callback that shows one bar over the steps, with the latest loss, instead of a line a log entry."""
    from tqdm import tqdm
    from transformers import TrainerCallback

    class StepProgress(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            self.bar = tqdm(total=state.max_steps, initial=state.global_step, desc="train", unit="step")

        def on_step_end(self, args, state, control, **kwargs):
            self.bar.update(state.global_step - self.bar.n)

        def on_log(self, args, state, control, logs=None, **kwargs):
            if logs and "loss" in logs:
                self.bar.set_postfix(loss=f"{float(logs['loss']):.4f}", refresh=False)

        def on_train_end(self, args, state, control, **kwargs):
            self.bar.close()

    return StepProgress()


def read_examples(
    rows: dict[str, list[dict]], images: Path, model, processor, profile: StudentProfile, params: TrainParams,
) -> dict[str, Fit]:
    """Return what can be learnt of the splits; the length budget is printed, an empty train split is a `ValueError`."""
    limit = min(params.max_length or text_limit(model), text_limit(model))
    fits = {name: fit_examples(part, images, processor, profile.prompt, limit, params.too_long, barred_tokens(model, processor))
            for name, part in rows.items()}
    for name, fit in fits.items():
        print(f"{name}: {fit.report(limit)}", flush=True)
        if warning := fit.warn_of_cut_answers(profile.max_new_tokens):
            print(f"{name}: {warning}", flush=True)
    if not fits["train"].kept:
        raise ValueError(f"no example is left to train on, the first for: {fits['train'].refused[0]['reason']}")
    return fits


def prepare_model(model, params: TrainParams):
    """Return the configuration of the adapter, or None where all weights of the chosen towers are trained."""
    from peft import LoraConfig

    if params.method == "full":
        return train_weights_of(model, params.mode, params.projector)
    bare = parameter_targets(model, params.mode, params.projector, params.lora.experts)
    if bare and params.lora.dropout:
        raise ValueError(f"train.lora.dropout: {params.lora.dropout}: peft adapts {bare[0]}, no linear layer, without dropout alone; "
                         "set it to 0")
    return LoraConfig(r=params.lora.r, lora_alpha=params.lora.alpha, lora_dropout=params.lora.dropout, bias="none",
                      target_modules=lora_targets(model, params.mode, params.projector), target_parameters=bare or None)


def gather_weights(trainer) -> dict:
    """Return all weights by name in the first process, none elsewhere; all processes must call it.

    Gathered, a weight that is tied to another is a copy, which would be saved beside it: it is left out.
    """
    tied = getattr(trainer.model, "all_tied_weights_keys", {})
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped) or {}
    return {name: weight for name, weight in weights.items() if name not in tied}


def finetune(
    base: Path, profile: StudentProfile, params: TrainParams, rows: dict[str, list[dict]], images: Path, log: Path, checkpoints: Path,
):
    """Return the trained model (a PeftModel, or the model itself where `method` is full), by split what became of its examples,
    and, where several processes hold a part of the weights each, all weights by name in the first of them, else None.

    `rows` holds `train` and `val`, each with page_id, image, text; image paths start at `images`.
    """
    from datasets import Dataset
    from transformers import PrinterCallback, set_seed

    set_seed(params.seed)
    on_unsloth = params.backend == "unsloth"
    model = load_for_unsloth(base, profile, params) if on_unsloth else load_model(base, profile, in_4bit=params.load_in_4bit)
    processor = load_processor(base, profile)
    model.train()
    generation = copy.deepcopy(model.generation_config)
    cache = {name: value for name, value in vars(model.config).items() if name == "use_cache"}
    fits = read_examples(rows, images, model, processor, profile, params)
    sets = {name: Dataset.from_list([{"image": row["image"], "tokens": row["tokens"], "whole": row["whole"], "length": example_length(row)}
                                     for row in fit.kept]) for name, fit in fits.items()}
    adapter = prepare_model(model, params)
    if on_unsloth:
        model = adapt_with_unsloth(model, adapter, params)
    evaluate = params.eval_steps is not None and len(sets["val"]) > 0
    callbacks = [build_logger(log), build_progress()] if is_first() else []
    if params.early_stopping and is_sharded():
        raise ValueError("train.early_stopping: no process holds the whole model that validation pages are read with; set it to null, "
                         "and eval_steps to see losses instead")
    if params.early_stopping and not fits["val"].kept:
        print("early_stopping: no page of val to read: the last step's weights are kept", flush=True)
    elif params.early_stopping:
        sample = spread(fits["val"].kept, params.early_stopping.num_pages)
        callbacks.append(build_selection(params.early_stopping, processor, profile, sample, images, checkpoints))
    trainer = build_trainer_class(on_unsloth)(
        model=model, args=training_arguments(checkpoints, profile, params, evaluate), processing_class=processor,
        train_dataset=sets["train"], eval_dataset=sets["val"] if evaluate else None,
        data_collator=AnswerCollator(processor, profile.prompt, images, end_tokens(model)[0]), callbacks=callbacks,
        **({} if on_unsloth else {"peft_config": adapter}),
    )
    for callback in callbacks:
        callback.trainer = trainer
    trainer.remove_callback(PrinterCallback)
    trainable = sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)
    print(f"training {trainable:,} of {model.num_parameters():,} parameters", flush=True)
    print(f"checkpoints: {checkpoints}", flush=True)
    if params.early_stopping and is_first():
        drop_without_best(checkpoints)
    checkpoint = agree(last_checkpoint(checkpoints) if is_first() else None)
    if checkpoint:
        print(f"goes on from step {checkpoint.rsplit('-', 1)[1]}", flush=True)
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.model.generation_config = generation  # the trainer writes the tokenizer's special tokens into it
    vars(trainer.model.config).pop("use_cache", None)  # and forbids the cache, which a full training would save
    vars(trainer.model.config).update(cache)
    if on_unsloth:
        leave_unsloth(trainer.model)
    return trainer.model, fits, gather_weights(trainer) if is_sharded() else None
