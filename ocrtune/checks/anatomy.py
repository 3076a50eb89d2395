"""Take a model apart without its weights: its tree, its towers, what each training mode would train."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ocrtune.models.vlm import find_model_class
from ocrtune.params.students import StudentProfile
from ocrtune.training.lora_targets import TOWERS, bare_parameters, find_towers, lora_targets, parameter_targets


def build_empty(folder: Path, profile: StudentProfile):
    """Return the model that config.json of a folder describes, shapes without numbers (torch's meta device); no weights are read."""
    import torch
    from transformers import AutoConfig

    builder = find_model_class(folder, profile)
    trust = {"trust_remote_code": True} if profile.trust_remote_code else {}
    config = (getattr(builder, "config_class", None) or AutoConfig).from_pretrained(folder, local_files_only=True, **trust)
    with torch.device("meta"):
        build = builder.from_config if hasattr(builder, "from_config") else builder._from_config
        model = build(config, dtype=getattr(torch, profile.dtype))
    model.tie_weights()
    return model


def count(weights) -> int:
    """Return the numbers in parameters, each counted once however often it is used."""
    return sum(weight.numel() for weight in {id(weight): weight for weight in weights}.values())


@dataclass
class Branch:
    """A line of the tree: a module, or a run of modules alike."""

    depth: int
    name: str
    kind: str
    parameters: int
    shape: str


def fold_tree(model) -> Iterator[Branch]:
    """Yield the modules that have parameters, runs of equal layers folded into one line (`layers.1-11`), leaves with their shapes."""
    yield Branch(0, "", type(model).__name__, count(model.parameters()), "")
    yield from branches(model, 1)


def branches(module, depth: int) -> Iterator[Branch]:
    for run in runs_alike([(name, child) for name, child in module.named_children() if any(True for _ in child.parameters())]):
        (first, child), (last, _) = run[0], run[-1]
        name = first if len(run) == 1 else f"{first}-{last}"
        yield Branch(depth, name, type(child).__name__ + (f" x {len(run)}" if len(run) > 1 else ""),
                     count(weight for _, one in run for weight in one.parameters()), describe(child))
        yield from branches(child, depth + 1)
    for name, weight in module.named_parameters(recurse=False):
        if name not in ("weight", "bias"):
            yield Branch(depth, name, "Parameter", weight.numel(), " x ".join(map(str, weight.shape)))


def runs_alike(children: list[tuple]) -> Iterator[list[tuple]]:
    """Yield runs of numbered neighbours that are built alike."""
    run: list[tuple] = []
    for name, child in children:
        if run and not (name.isdigit() and run[-1][0].isdigit() and outline(child) == outline(run[-1][1])):
            yield run
            run = []
        run.append((name, child))
    if run:
        yield run


def outline(module) -> list[tuple]:
    return [(name, type(part).__name__) for name, part in module.named_modules()] + [
        (name, tuple(weight.shape)) for name, weight in module.named_parameters()]


def describe(module) -> str:
    """Return the shape of a leaf: in and out of a linear layer, else of its weight."""
    weight = getattr(module, "weight", None)
    if weight is None or any(True for _ in module.children()):
        return ""
    if hasattr(module, "in_features"):
        return f"{module.in_features} -> {module.out_features}"
    return " x ".join(map(str, weight.shape))


def tower_sizes(model) -> dict[str, int]:
    """Return the numbers of parameters of vision, projector, llm and head, and of the routed experts, which are part of the llm."""
    tower_of, towers = find_towers(model), {"vision": [], "projector": [], "llm": [], "head": []}
    for name, weight in model.named_parameters():
        towers[tower_of(name)].append(weight)
    sizes = {tower: count(weights) for tower, weights in towers.items()}
    experts = count(model.get_parameter(name) for name in bare_parameters(model)["llm"])
    return sizes | ({"of it routed experts": experts} if experts else {})


@dataclass
class Mode:
    """What one way of training trains."""

    layers: int  # matrices adapted
    trainable: int  # numbers that LoRA adds and trains
    full: int  # numbers that method full would train


def measure_mode(model, mode: str, r: int, projector: bool = True, experts: bool = False) -> Mode:
    """Return the size of `mode`: a matrix of (out, in) gets r * (in + out) numbers, routed experts each for itself."""
    target = re.compile(lora_targets(model, mode, projector))
    shapes = [module.weight.shape for name, module in model.named_modules() if target.fullmatch(name)]
    for name in parameter_targets(model, mode, projector, experts):
        weight = model.get_parameter(name)
        shapes += [weight.shape[-2:]] * (weight.shape[0] if weight.ndim == 3 else 1)
    tower_of = find_towers(model)
    wanted = {tower for tower in TOWERS[mode] if projector or tower != "projector"} | ({"head"} if "llm" in TOWERS[mode] else set())
    full = count(weight for name, weight in model.named_parameters() if tower_of(name) in wanted)
    return Mode(len(shapes), sum(r * sum(shape) for shape in shapes), full)
