"""Open a LoRA adapter on its base, unmerged."""

import json
from pathlib import Path

from ocrtune.models.checkpoints import check_whole
from ocrtune.models.contract import read_contract
from ocrtune.models.vlm import load_model, weights_digest
from ocrtune.params.students import StudentProfile

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def is_adapter(folder: Path) -> bool:
    """Return whether a folder holds an adapter rather than a whole model."""
    return (folder / CONFIG).is_file()


def find_base(adapter: Path) -> Path:
    """Return the folder of an adapter's base, as seen from where we run; one that is gone, or another by now, is a `ValueError`."""
    expected = read_contract(adapter, "train").get("base_sha256")
    try:
        base = Path(json.loads((adapter / CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"{adapter}: {CONFIG} is missing or damaged; run the train stage again") from None
    if not base.is_dir():
        raise ValueError(f"{adapter}: its base, {base}, is not there; run from the root of the repository")
    if expected != weights_digest(base):
        raise ValueError(f"{adapter}: trained on another base than {base}; run the train stage again")
    return base


def read_adapter(adapter: Path) -> dict:
    """Return the tensors of an adapter by name; a file that is absent or torn, and weights that are no numbers, are a `ValueError`."""
    from safetensors.torch import load_file

    if not (adapter / WEIGHTS).is_file():
        raise ValueError(f"{adapter}: {WEIGHTS} is not there; run the train stage again")
    check_whole(adapter / WEIGHTS, "run the train stage again")
    tensors = load_file(adapter / WEIGHTS)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{adapter}: tensor {name} holds what is no number (NaN or infinite): its training went astray; train again "
                             "with a lower train.learning_rate")
    return tensors


def load_adapted(base: Path, adapter: Path, profile: StudentProfile, dtype: str | None = None, in_4bit: bool = False):
    """Return base (or its weights in 4 bits) with adapter, in the profile's dtype unless another is named.

    Every tensor of the adapter file must be in the model, equal: peft drops what it can't place with a mere warning.
    """
    import torch
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict

    kept = read_adapter(adapter)
    try:
        model = PeftModel.from_pretrained(load_model(base, profile, dtype, in_4bit), str(adapter)).eval()
    except RuntimeError as error:  # shapes that differ
        raise ValueError(f"{adapter}: does not fit {base}: is this the adapter of another base? {str(error)[:300]}") from None
    loaded = get_peft_model_state_dict(model)
    for name in sorted(loaded.keys() | kept.keys()):
        if name not in loaded or name not in kept or not torch.equal(loaded[name].cpu().float(), kept[name].to(loaded[name].dtype).float()):
            raise ValueError(f"{adapter}: tensor {name} did not reach the model: is this the adapter of another base?")
    return model
