"""Each mode names the linear layers of its towers: all of them, by full path, and no other."""

import re

import pytest

from ocrtune.pretraining.student import build_model
from ocrtune.training.lora_targets import find_towers, linear_layers, lora_targets, pattern, train_weights_of

ATTENTION = [f"self_attn.{name}_proj" for name in "qkvo"]
MLP = [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
LLM = {f"model.language_model.layers.{layer}.{name}" for layer in range(2) for name in ATTENTION + MLP}
VISION = {f"model.vision_encoder.transformer.layers.{layer}.{name}" for layer in range(3)
          for name in [f"attention.{name}_proj" for name in "qkvo"] + [f"feed_forward.{name}_proj" for name in ("gate", "up", "down")]}
PROJECTOR = {"model.vision_projection.patch_merger.merging_layer", "model.vision_projection.linear_1", "model.vision_projection.linear_2"}


@pytest.fixture(scope="module")
def model():
    return build_model(hidden_size=48, vision_layers=3, text_layers=2)


def matched(model, target: str) -> set[str]:
    """Return the modules that peft adapts for a pattern: those whose whole path matches."""
    return {name for name, _ in model.named_modules() if re.fullmatch(target, name)}


@pytest.mark.parametrize(("mode", "projector", "expected"), [
    ("vision", True, VISION | PROJECTOR), ("vision", False, VISION), ("llm", True, LLM), ("llm", False, LLM),
    ("both", True, VISION | PROJECTOR | LLM), ("both", False, VISION | LLM),
])
def test_a_mode_matches_its_layers_and_no_other(model, mode, projector, expected):
    assert matched(model, lora_targets(model, mode, projector)) == expected


def test_peft_adapts_what_is_matched(model):
    import copy

    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(r=1, target_modules=lora_targets(model, "both")))
    names = {name.removeprefix("base_model.model.") for name, module in adapted.named_modules() if hasattr(module, "lora_A")}
    assert names == VISION | PROJECTOR | LLM


def test_all_linear_layers_stand_in_one_tower(model):
    towers = linear_layers(model)
    assert {tower: set(names) for tower, names in towers.items()} == {
        "vision": VISION, "projector": PROJECTOR, "llm": LLM, "head": {"lm_head"}}


def test_a_tower_without_linear_layers_is_an_error():
    blind = build_model(hidden_size=48, vision_layers=1, text_layers=1)
    blind.model.vision_encoder.transformer.layers = blind.model.vision_encoder.transformer.layers[:0]
    with pytest.raises(ValueError, match=r"train\.mode vision: LightOnOcr\w+ has no linear layers in its vision tower"):
        lora_targets(blind, "vision")
    assert lora_targets(blind, "llm")


def test_the_pattern_leaves_layer_numbers_open_and_nothing_else():
    target = pattern(["a.layers.0.q_proj", "a.layers.11.q_proj", "a.fc1"])
    assert target.count("|") == 1
    for path in ("a.layers.0.q_proj", "a.layers.5.q_proj", "a.fc1"):
        assert re.fullmatch(target, path), path
    for path in ("b.a.fc1", "a.fc2", "a.fc1.x", "aXfc1", "a.layers.x.q_proj", "a.layers.0.k_proj"):
        assert not re.fullmatch(target, path), path


@pytest.mark.parametrize(("mode", "towers"), [
    ("vision", {"vision", "projector"}), ("llm", {"llm"}), ("both", {"vision", "projector", "llm"})])
def test_full_training_frees_the_weights_of_its_towers(model, mode, towers):
    tower_of = find_towers(model)
    train_weights_of(model, mode)
    free = {tower_of(name) for name, weight in model.named_parameters() if weight.requires_grad}
    frozen = {tower_of(name) for name, weight in model.named_parameters() if not weight.requires_grad}
    assert free == towers
    assert frozen == {"vision", "projector", "llm"} - towers
