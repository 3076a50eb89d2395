"""Name the layers that each training mode adapts, by module path.

Bare names such as `q_proj` stand in both towers of many models, and `proj` is a container in some:
targets are the full paths of linear layers inside the tower in question, layer numbers left open.
What is no linear layer but a bare parameter (routed experts, Gemma 3's projector) is named by its own path.
"""

import re
from collections.abc import Callable, Iterable

TOWERS = {"vision": ("vision", "projector"), "llm": ("llm",), "both": ("vision", "projector", "llm")}


def linear_layers(model) -> dict[str, list[str]]:
    """Return the paths of the linear layers of each tower: vision, projector, llm, head."""
    from torch import nn

    tower_of = find_towers(model)
    towers: dict[str, list[str]] = {"vision": [], "projector": [], "llm": [], "head": []}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            towers[tower_of(name)].append(name)
    return towers


def find_towers(model) -> Callable[[str], str]:
    """Return a function that tells the tower (vision, projector, llm, head) of a module's or weight's path.

    The projector is what is in none of the others; and the merger that some families (Qwen-VL, GLM-OCR) keep
    inside their vision tower, for it does what projectors do.
    """
    names = {id(module): name for name, module in model.named_modules()}
    starts = {"head": model.get_output_embeddings(), "vision": model.get_encoder(modality="image"), "llm": model.get_decoder()}
    starts = {tower: names.get(id(module)) for tower, module in starts.items()}

    def tower_of(path: str) -> str:
        tower = next((tower for tower, start in starts.items() if start and f"{path}.".startswith(f"{start}.")), "projector")
        inside = path.removeprefix(f"{starts[tower]}.").split(".")[0] if tower == "vision" else ""
        return "projector" if "merger" in inside else tower

    return tower_of


def bare_parameters(model) -> dict[str, list[str]]:
    """Return by tower the paths of the weights that layers are made of without being linear layers: what LoRA can adapt of them.

    In the llm these are the routed experts, three-dimensional, one matrix each; in the projector, matrices.
    """
    tower_of = find_towers(model)
    layers = {f"{name}.weight" for name, module in model.named_modules()}
    found: dict[str, list[str]] = {"projector": [], "llm": []}
    for name, weight in model.named_parameters():
        tower, is_expert = tower_of(name), weight.ndim == 3 and ".experts." in name
        if (tower == "llm" and is_expert) or (tower == "projector" and weight.ndim == 2 and name not in layers):
            found[tower].append(name)
    return found


def train_weights_of(model, mode: str, projector: bool = True) -> None:
    """Let all weights of the towers of `mode` be trained, the head with the llm, and freeze the others."""
    tower_of = find_towers(model)
    wanted = {tower for tower in TOWERS[mode] if projector or tower != "projector"} | ({"head"} if "llm" in TOWERS[mode] else set())
    for name, weight in model.named_parameters():
        weight.requires_grad = tower_of(name) in wanted


def pattern(names: Iterable[str]) -> str:
    """Return one regular expression that matches just these paths, with any layer numbers."""
    shapes = {re.sub(r"(?<=\\\.)\d+(?=\\\.)", r"\\d+", re.escape(name)) for name in names}
    return "|".join(sorted(shapes))


def lora_targets(model, mode: str, projector: bool = True) -> str:
    """Return the pattern of layers that `mode` (vision, llm, both) adapts.

    A named tower without a linear layer is a `ValueError`: training would silently leave it alone.
    """
    towers = linear_layers(model)
    wanted = [tower for tower in TOWERS[mode] if projector or tower != "projector"]
    for tower in wanted:
        if not towers[tower] and tower != "projector":
            raise ValueError(f"train.mode {mode}: {type(model).__name__} has no linear layers in its {tower} tower; choose another mode")
    return pattern(name for tower in wanted for name in towers[tower])


def parameter_targets(model, mode: str, projector: bool = True, experts: bool = False) -> list[str]:
    """Return the paths of bare parameters that `mode` adapts; routed experts only if asked for.

    Asked for experts of a model that has none is a `ValueError`.
    """
    found = bare_parameters(model)
    if experts and not found["llm"]:
        raise ValueError(f"train.lora.experts: {type(model).__name__} has no routed experts; set it to false")
    wanted = TOWERS[mode]
    names = found["projector"] if projector and "projector" in wanted else []
    return [*names, *(found["llm"] if experts and "llm" in wanted else [])]
