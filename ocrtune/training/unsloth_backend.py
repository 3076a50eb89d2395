"""Train with Unsloth's kernels in place of plain layers: same examples, towers, steps and outputs, on an NVIDIA GPU.

Unsloth patches transformers and TRL while it is imported. So a training that asks for it imports it before
either, and nothing else ever does. Of its own trainer nothing is used: that one would take Adam in 8 bits, autocast
float32 models to bfloat16 and give rows of the embedding other values, none of which params.yaml asks for.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from ocrtune.models.checkpoints import check_loaded, check_whole, weight_files
from ocrtune.models.gpu_locks import claim_gpu
from ocrtune.models.packed_attention import use_packed_attention
from ocrtune.models.vlm import end_first, find_model_class, quiet_libraries, take_any_pixels
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams

INSTALL = "./run uv sync --locked --inexact --extra unsloth"
SOURCES = Path(".checkpoints/unsloth")  # of the modules that it writes anew for each model: here git does not see them


def check_unsloth() -> None:
    """Raise a `ValueError` that says what a machine lacks that can't run Unsloth."""
    import torch

    if not torch.cuda.is_available():
        raise ValueError("train.backend unsloth: wants an NVIDIA GPU with CUDA, and there is none here; set train.backend: peft")
    if find_spec("unsloth") is None:
        raise ValueError(f"train.backend unsloth: not installed; run `{INSTALL}`, or set train.backend: peft")


def import_unsloth() -> None:
    """Import Unsloth; a machine that can't run it is a `ValueError`."""
    claim_gpu()
    check_unsloth()
    start_unsloth()


def start_unsloth() -> None:
    """Import Unsloth, which asks nobody on the network and writes into no folder that is in git."""
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"  # it would ask a hub's server how often it is used
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(SOURCES.absolute()))
    import unsloth  # noqa: F401


def load_for_unsloth(folder: Path, profile: StudentProfile, params: TrainParams):
    """Return the model in `folder` as Unsloth loads it.

    A family that only `ocrtune` has a class for, one that Unsloth can't load, and torn or foreign weights are `ValueError`s.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    if find_model_class(folder, profile) is not AutoModelForImageTextToText:
        raise ValueError(f"train.backend unsloth: has no class for the model in {folder} without remote code; set train.backend: peft")
    check_weights(folder, profile)
    from unsloth import FastVisionModel

    try:
        model, _ = FastVisionModel.from_pretrained(
            str(folder), dtype=getattr(torch, profile.dtype), load_in_4bit=params.load_in_4bit, full_finetuning=params.method == "full",
            max_seq_length=params.max_length or 2048, use_gradient_checkpointing=checkpointing(params), random_state=params.seed,
            use_exact_model_name=True, local_files_only=True, trust_remote_code=profile.trust_remote_code)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever of transformers it has patched, or could not
        raise ValueError(f"train.backend unsloth: can't load the model in {folder}: {type(error).__name__}: {str(error)[:300]}; "
                         "set train.backend: peft") from error
    end_first(model, folder, profile)
    use_packed_attention(model)
    return model


def check_weights(folder: Path, profile: StudentProfile) -> None:
    """Raise a `ValueError` where weights are torn, absent or of another shape: Unsloth would go on with random ones."""
    quiet_libraries()
    for path in weight_files(folder):
        check_whole(path)
    code = {"trust_remote_code": True} if profile.trust_remote_code else {}
    _, report = find_model_class(folder, profile).from_pretrained(
        folder, device_map="meta", local_files_only=True, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True,
        **code)
    check_loaded(folder, report)


def adapt_with_unsloth(model, adapter, params: TrainParams):
    """Return the model with the layers of `adapter` (peft's LoraConfig) adapted by Unsloth; without one all is as it was."""
    from unsloth import FastVisionModel

    if adapter is not None:
        model = FastVisionModel.get_peft_model(
            model, r=adapter.r, lora_alpha=adapter.lora_alpha, lora_dropout=adapter.lora_dropout, bias=adapter.bias,
            target_modules=adapter.target_modules, target_parameters=adapter.target_parameters or [],  # None: routed experts, too
            use_gradient_checkpointing=checkpointing(params), random_state=params.seed)
        config, home = model.peft_config["default"], type(model.config).__module__.replace("configuration_", "modeling_")
        config.target_parameters = adapter.target_parameters
        # Not the module that it has written itself, which no other process finds.
        config.auto_mapping = {"base_model_class": type(model.get_base_model()).__name__, "parent_library": home}
    take_any_pixels(model.get_base_model() if adapter else model)  # now: it has put hooks back by halves
    FastVisionModel.for_training(model)
    return model


def leave_unsloth(model) -> None:
    """Give the model's settings back what Unsloth wrote into them for training: they are saved, and decoding wants its cache."""
    from unsloth import FastVisionModel

    FastVisionModel.for_inference(model)
    for name in ("model_name", "unsloth_version"):
        vars(model.config).pop(name, None)


def checkpointing(params: TrainParams) -> str | bool:
    """Return Unsloth's own kind of gradient checkpointing, which moves activations to main memory, or none."""
    return "unsloth" if params.gradient_checkpointing else False


def precision(profile: StudentProfile, params: TrainParams) -> dict[str, bool]:
    """Return the trainer's settings of precision: layers in 16 bits with adapters and norms in 32 want autocast between them."""
    adapted = params.method == "lora"
    return {"bf16": adapted and profile.dtype == "bfloat16", "fp16": adapted and profile.dtype == "float16"}
