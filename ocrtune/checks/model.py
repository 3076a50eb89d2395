"""Examine a student before an hour is spent on it: files, memory, prompt, lengths, targets. Nothing is loaded but sizes."""

import json
import subprocess
from pathlib import Path

from ocrtune.checks.findings import Finding
from ocrtune.checks.machine import hub_token
from ocrtune.models.checkpoints import check_whole, read_config, weight_files
from ocrtune.models.vlm import encode_pages, find_model_class, load_processor
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams
from ocrtune.training.examples import fit_examples
from ocrtune.training.lora_targets import lora_targets

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
GIB = 1 << 30
ROOM = 1.3  # activations of one page beside the weights: a rule of thumb, no measurement
FULL_TRAINING = 4  # weights, gradients and the two moments of AdamW
LARGEST_ON_CPU = 100_000_000  # parameters: beyond these an epoch takes days


def check_files(base: Path, student: str, profile: StudentProfile) -> Finding:
    """Is the base there, whole, and known to git or DVC, so that clones have the same and need not train again?"""
    pointer = base.with_name(f"{base.name}.dvc")
    tracked = subprocess.run(["git", "ls-files", "--error-unmatch", str(base / "config.json")], capture_output=True).returncode == 0
    if not (base / "config.json").is_file() and not tracked and not pointer.is_file() and profile.repository:
        token = "" if hub_token() else "export HF_TOKEN=... where the model wants an account; "
        return Finding("note", "model", f"{base}: not here yet; the first use fetches {profile.repository} at {profile.revision}",
                       f"{token}./run dvc repro; without a network put the files there")
    try:
        read_config(base)
        for path in weight_files(base):
            check_whole(path)
    except ValueError as error:
        if tracked or pointer.is_file():
            remedy = f"git checkout -- {base}" if tracked else f"./run dvc pull --force {pointer}"
        else:
            remedy = f"put the files of {student} into {base}, or choose another student in params.yaml"
        return Finding("wrong", "model", str(error), remedy)
    if not tracked and not pointer.is_file():
        return Finding("note", "model", f"{base} is known to neither git nor DVC: a clone without it would train again",
                       f"git rm -rq --cached --ignore-unmatch {base} && ./run dvc add {base} && git add {base.parent} && "
                       "git commit -m 'The base model'")
    return Finding("fine", "model", f"{base} is whole")


def count_parameters(base: Path) -> int:
    """Return how many numbers a model's safetensors files hold, from their heads alone."""
    total = 0
    for path in weight_files(base):
        with path.open("rb") as file:
            head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in head.items():
            if name != "__metadata__":
                size = 1
                for length in tensor["shape"]:
                    size *= length
                total += size
    return total


def gpu_bytes() -> int | None:
    """Return the memory of the first GPU, or None where there is none."""
    import torch

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None


def check_memory(num_parameters: int, profile: StudentProfile, params: TrainParams, memory: int | None) -> Finding:
    """Compare what a training needs at the least with what the GPU has; `memory` is None where there is no GPU."""
    if memory is None:
        if num_parameters > LARGEST_ON_CPU:
            return Finding("wrong", "gpu", f"none found, and {num_parameters / 1e9:.1f} billion parameters are too many for a CPU",
                           "train on a machine with an NVIDIA GPU (nvidia-smi must list it), or set student: tiny")
        return Finding("fine", "gpu", f"none found; {num_parameters / 1e6:.1f} million parameters train on the CPU")
    needed = num_parameters * BYTES[profile.dtype] * (FULL_TRAINING if params.method == "full" else 1) * ROOM
    if needed > memory:
        smaller = "method: lora, " if params.method == "full" else ""
        return Finding("wrong", "gpu", f"{memory / GIB:.1f} GiB, but at least about {needed / GIB:.1f} are needed",
                       f"set {smaller}dtype: bfloat16, a smaller per_device_batch_size or gradient_checkpointing, or use a larger GPU")
    return Finding("fine", "gpu", f"{memory / GIB:.1f} GiB; at least about {needed / GIB:.1f} are needed")


def check_prompt(base: Path, profile: StudentProfile) -> Finding:
    """Encode a page: the tokens that stand for the picture must be there, and its words must not be."""
    from PIL import Image

    try:
        processor = load_processor(base, profile)
        ids = encode_pages(processor, [Image.new("RGB", (320, 32), "white")], profile.prompt)["input_ids"][0].tolist()
    except ValueError as error:
        return Finding("wrong", "prompt", str(error), "set the profile's prompts and image as the model's makers have them")
    token = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    count = ids.count(token)
    if not count:
        return Finding("wrong", "prompt", f"no token {processor.image_token} in the encoded page: the model would never see the picture",
                       "the folder's chat template or processor is of another model; fetch it again")
    return Finding("fine", "prompt", f"{count} tokens of picture and {len(ids) - count} of words for a line of 320 x 32 px")


def check_lengths(base: Path, profile: StudentProfile, rows: list[dict], images: Path, limit: int | None) -> Finding:
    """Lay out every example as training would, and compare it with what the model can hold."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=profile.trust_remote_code)
    held = int(config.get_text_config().max_position_embeddings)
    limit = min(limit or held, held)
    fit = fit_examples(rows, images, load_processor(base, profile), profile.prompt, limit, "refuse")
    if fit.refused:
        worst = fit.refused[0]
        return Finding("wrong" if not fit.kept else "note", "lengths",
                       f"{len(fit.refused)} of {len(rows)} examples can't be learnt, the first {worst['page_id']}: {worst['reason']}",
                       f"in params.yaml: {'a larger train.max_length, ' if limit < held else ''}train.too_long: shorten, a smaller "
                       "pdf2img.dpi, or pdf2img.unit: line")
    if warning := fit.warn_of_cut_answers(profile.max_new_tokens):
        return Finding("note", "lengths", warning, "a larger max_new_tokens in the student's profile")
    return Finding("fine", "lengths", fit.report(limit))


def check_targets(base: Path, profile: StudentProfile, params: TrainParams) -> Finding:
    """Build the model without its weights and count the layers that training would adapt."""
    import re

    import torch
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=profile.trust_remote_code)
        builder = find_model_class(base, profile)
        with torch.device("meta"):
            model = getattr(builder, "from_config", None) or builder._from_config
            model = model(config)
        pattern = lora_targets(model, params.mode, params.projector)
    except ValueError as error:
        return Finding("wrong", "targets", str(error), "set train.mode to vision, llm or both, whichever the model has")
    count = sum(bool(re.fullmatch(pattern, name)) for name, _ in model.named_modules())
    if not count:
        return Finding("wrong", "targets", f"train.mode {params.mode} matches no layer: training would change nothing",
                       "set another train.mode")
    return Finding("fine", "targets", f"train.mode {params.mode} adapts {count} layers")
