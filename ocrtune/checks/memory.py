"""Estimate what a training step keeps in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from ocrtune.training.lora_targets import find_towers

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
ORDER = ("vision", "projector", "llm", "head")  # in which an example passes them


@dataclass
class Load:
    """Tokens that one example puts through each tower."""

    patches: int  # of all views, in the vision tower
    image_tokens: int  # in the projector
    tokens: int  # image, prompt and answer, in the llm


@dataclass
class Memory:
    """Bytes. `activations` is an upper bound: input and output of every layer, as if nothing were shared or freed."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations


def measure_load(model, processor, prompt: str, size: tuple[int, int], answer: int) -> Load:
    """Return the load of a page of (width, height) pixels with an answer of `answer` tokens, as the processor really lays it."""
    from PIL import Image
    from torch import nn

    from ocrtune.models.vlm import encode_pages

    inputs, tower_of = encode_pages(processor, [Image.new("RGB", size, "white")], prompt), find_towers(model)
    eye = next(module for name, module in model.named_modules()
               if tower_of(name) == "vision" and isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear))
    pixels = sum(value.numel() for name, value in inputs.items() if name in ("pixel_values", "pixel_values_local"))
    image_tokens = sum(int((inputs["input_ids"] == token).sum()) for token in processor.image_token_ids)
    return Load(-(-pixels // eye.weight[0].numel()), image_tokens, int(inputs["attention_mask"].sum()) + answer)


def kept_by_block(model, load: Load, trained: set[str]) -> dict[str, int]:
    """Return the numbers that each block keeps for the backward pass of one example, blocks by path (`...layers.3`).

    Before the first tower that is trained nothing is kept.
    """
    tower_of, first, kept = find_towers(model), min(map(ORDER.index, trained)), {}
    has_sam = any("sam_encoder" in name for name, _ in model.named_modules())
    for name, module in model.named_modules():
        tower = tower_of(name)
        if ORDER.index(tower) < first:
            continue
        rows = {"vision": load.patches, "projector": load.image_tokens}.get(tower, load.tokens)
        if tower == "vision" and has_sam and "sam_encoder" not in name:
            rows = -(-rows // 8)  # SAM leaves a sixteenth; DeepSeek-OCR-2 sets as many queries beside it
        elif tower == "vision" and has_sam:
            rows = -(-rows * 5 // 4)  # a view is padded to whole windows
        parts = name.split(".")
        block = ".".join(parts[: next((place + 1 for place, part in enumerate(parts) if part.isdigit()), len(parts))])
        kept[block] = kept.get(block, 0) + sum(kept_numbers(module, rows, model))
    return {block: numbers for block, numbers in kept.items() if numbers}


def kept_numbers(module, rows: int, model) -> Iterator[int]:
    """Yield what a layer keeps of `rows` tokens: its input and its output."""
    from torch import nn

    if isinstance(module, nn.Linear):
        yield rows * (module.in_features + module.out_features)
    elif type(module).__name__.endswith("Norm") and getattr(module, "weight", None) is not None:
        yield rows * 4 * module.weight.numel()  # some work in float32
    elif isinstance(module, nn.Conv2d | nn.Conv3d):
        yield rows * (module.weight[0].numel() + module.out_channels)
    weight = getattr(module, "gate_up_proj", None)
    if getattr(weight, "ndim", 0) == 3:  # routed experts
        chosen = getattr(model.config.get_text_config(), "num_experts_per_tok", None) or 1
        yield rows * chosen * (3 * weight.shape[1] + 3 * weight.shape[2])
    if hasattr(module, "rel_pos_h"):  # SAM adds a number of its own to each pair of positions that see each other
        yield rows * ((len(module.rel_pos_h) + 1) // 2) ** 2 * module.num_attention_heads


def estimate(model, load: Load, dtype: str, trainable: int, batch: int, trained: set[str], checkpointing: bool, lora: bool) -> Memory:
    """Return the memory of a step of `batch` examples with AdamW.

    LoRA's own numbers, their gradients and the optimizer's two moments are float32 whatever the base's `dtype`;
    where a tower is trained whole they have the base's. With `checkpointing` a block keeps its input alone, and the
    largest block is counted once more, for it is run again.
    """
    from ocrtune.checks.anatomy import count

    size, own, kept = BYTES[dtype], 4 if lora else BYTES[dtype], kept_by_block(model, load, trained)
    activations = sum(kept.values())
    if checkpointing:
        widest = max(load.patches if "vision" in trained else 0, load.tokens) * model.config.get_text_config().hidden_size
        activations = min(activations, len(kept) * widest + max(kept.values()))
    answer = load.tokens - load.image_tokens  # and the prompt: no more than that has logits, see ocrtune.training.trainer
    logits = answer * model.get_output_embeddings().out_features * (size + 2 * 4)  # as written, in float32, their gradient
    return Memory(count(model.parameters()) * size + (trainable * own if lora else 0), trainable * own, trainable * 2 * own,
                  (activations * size + logits) * batch)
