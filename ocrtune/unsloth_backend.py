"""Train with Unsloth's kernels in place of plain layers: same examples, towers, steps and outputs, on an NVIDIA GPU.

Unsloth patches transformers and TRL while it is imported. So a training that asks for it imports it before
either, and nothing else ever does.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams
from ocrtune.vlm import find_model_class, finish_model

INSTALL = "./run uv sync --locked --inexact --extra unsloth"


def import_unsloth() -> None:
    """Import Unsloth; a machine that can't run it is a `ValueError` that says what it lacks."""
    import torch

    if not torch.cuda.is_available():
        raise ValueError("train.backend unsloth: wants an NVIDIA GPU with CUDA, and there is none here; set train.backend: peft")
    if find_spec("unsloth") is None:
        raise ValueError(f"train.backend unsloth: not installed; run `{INSTALL}`, or set train.backend: peft")
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"  # it would ask a hub's server how often it is used
    import unsloth  # noqa: F401


def load_for_unsloth(folder: Path, profile: StudentProfile, params: TrainParams):
    """Return the model in `folder` as Unsloth loads it; a family that only `ocrtune` has a class for is a `ValueError`."""
    import torch
    from transformers import AutoModelForImageTextToText

    if find_model_class(folder, profile) is not AutoModelForImageTextToText:
        raise ValueError(f"train.backend unsloth: has no class for the model in {folder} without remote code; set train.backend: peft")
    from unsloth import FastVisionModel

    model, _ = FastVisionModel.from_pretrained(
        str(folder), dtype=getattr(torch, profile.dtype), load_in_4bit=params.load_in_4bit, full_finetuning=params.method == "full",
        use_gradient_checkpointing=checkpointing(params), random_state=params.seed, use_exact_model_name=True, local_files_only=True,
        trust_remote_code=profile.trust_remote_code)
    return finish_model(model, folder, profile)


def adapt_with_unsloth(model, adapter, params: TrainParams):
    """Return the model with the layers of `adapter` (peft's LoraConfig) adapted by Unsloth; without one all is as it was."""
    from unsloth import FastVisionModel

    if adapter is not None:
        model = FastVisionModel.get_peft_model(
            model, r=adapter.r, lora_alpha=adapter.lora_alpha, lora_dropout=adapter.lora_dropout, bias=adapter.bias,
            target_modules=adapter.target_modules, target_parameters=adapter.target_parameters,
            use_gradient_checkpointing=checkpointing(params), random_state=params.seed)
    FastVisionModel.for_training(model)
    return model


def checkpointing(params: TrainParams) -> str | bool:
    """Return Unsloth's own kind of gradient checkpointing, which moves activations to main memory, or none."""
    return "unsloth" if params.gradient_checkpointing else False
