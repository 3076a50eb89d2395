"""Let the real Unsloth train, with a GPU or without: `python unsloth_on_cpu.py <folder of a project> ...` runs `train` in each.

Its own switch for machines without one, UNSLOTH_ALLOW_CPU, is for imports alone. What else a training asks of a GPU is stood
in for here: what it tells of itself (the figures of an Ampere), and Triton's compiler, by Triton's own interpreter, so that
Unsloth's kernels do the computing. Its trainers, which the switch leaves alone, are rewritten as on a GPU.
"""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1]))
# Its attention kernel of choice has no backward pass on a CPU, and compiling takes minutes a model.
SETTINGS = {"UNSLOTH_ALLOW_CPU": "1", "UNSLOTH_ENABLE_FLEX_ATTENTION": "0", "TRITON_INTERPRET": "1", "UNSLOTH_COMPILE_DISABLE": "1"}


def start() -> None:
    """Import Unsloth, and let it find what it looks for."""
    import torch

    if torch.cuda.is_available():
        return
    os.environ |= SETTINGS | os.environ  # what the caller sets goes first

    from ocrtune.training import unsloth_backend

    unsloth_backend.start_unsloth()
    import triton.language
    from unsloth import FastLanguageModel
    from unsloth.context_parallel import patch_sft_trainer
    from unsloth.models.rl import PatchFastRL
    from unsloth.trainer import _patch_trl_trainer

    told = SimpleNamespace(name="a CPU", total_memory=2**34, major=8, minor=0, multi_processor_count=2)
    torch.cuda.get_device_properties = lambda *_: told
    torch.cuda.is_bf16_supported = lambda *_, **__: True
    for name, module in list(sys.modules.items()):
        if name.startswith("unsloth") and "SUPPORTS_BFLOAT16" in vars(module):
            module.SUPPORTS_BFLOAT16 = True
        if name.startswith("unsloth.kernels") and "triton_cast" in vars(module):  # the interpreter can't reach that other name
            module.triton_cast = lambda value, kind: triton.language.cast(value, kind)
    os.environ["UNSLOTH_ALLOW_CPU"] = "0"
    PatchFastRL(FastLanguageModel=FastLanguageModel)
    _patch_trl_trainer()
    patch_sft_trainer()
    unsloth_backend.import_unsloth = lambda: None  # it would ask for a GPU


def train(project: Path) -> None:
    """Run the stage in a project."""
    import yaml

    from stages.train import main

    os.chdir(project)
    student = yaml.safe_load(Path("params.yaml").read_text())["student"]
    main(Path("models/base") / student, *map(Path, ("data/pages", "data/splits", "data/rehearsal", "models/adapter", "metrics/train")))


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    start()
    for folder in sys.argv[1:]:
        train(Path(folder))
