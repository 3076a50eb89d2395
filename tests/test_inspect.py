"""What inspect says of a model is what training then trains, and more memory than it then takes."""

import json
import shutil

import pytest
import torch
from conftest import ROOT
from PIL import Image

from ocrtune.checks.anatomy import build_empty, count, fold_tree, measure_mode, tower_sizes
from ocrtune.checks.memory import estimate, measure_load
from ocrtune.deepseek_ocr.configuration import DeepseekOcrConfig
from ocrtune.deepseek_ocr.modeling import DeepseekOCRForCausalLM
from ocrtune.models.vlm import encode_pages, load_model, load_processor
from ocrtune.params.students import StudentProfile
from ocrtune.training.lora_targets import TOWERS, lora_targets, parameter_targets
from ocrtune.training.trainer import answer_loss
from tools.inspect import inspect
from tools.make_tiny import IMAGE, make_tiny
from tools.tiny.deepseek import published_config

FAMILIES = ["deepseek-ocr", "gemma-3", "qwen3-vl", "smolvlm"]


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    make_tiny(request.param, folder)
    image = IMAGE.get(request.param, {})
    if request.param == "deepseek-ocr":  # 28 x 28 patches: whole windows of 14, as a page has nearly
        image = {"base_size": 448, "image_size": 448}
        DeepseekOCRForCausalLM(DeepseekOcrConfig(**published_config(448))).save_pretrained(folder)
    return folder, StudentProfile(prompts={"ocr": "Read."}, image=image)


def adapt(model, mode, projector, experts):
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=4, target_modules=lora_targets(model, mode, projector),
                                            target_parameters=parameter_targets(model, mode, projector, experts) or None))


@pytest.mark.parametrize(("mode", "projector"), [("vision", False), ("vision", True), ("llm", True), ("both", True)])
def test_a_modes_size_is_what_peft_trains(family, mode, projector):
    folder, profile = family
    experts = "deepseek" in str(folder) and mode != "vision"
    size = measure_mode(build_empty(folder, profile), mode, 4, projector, experts)
    adapted = adapt(load_model(folder, profile), mode, projector, experts)
    assert size.trainable == sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)


def test_an_empty_model_is_the_full_ones_shape(family):
    folder, profile = family
    empty, full = build_empty(folder, profile), load_model(folder, profile)
    assert {weight.device.type for weight in empty.parameters()} == {"meta"}
    assert {name: weight.shape for name, weight in empty.named_parameters()} == {
        name: weight.shape for name, weight in full.named_parameters()}
    sizes = tower_sizes(empty)
    sizes.pop("of it routed experts", None)
    assert sum(sizes.values()) == count(full.parameters())


def test_the_tree_counts_each_parameter_and_folds_equal_layers(family):
    folder, profile = family
    tree = list(fold_tree(build_empty(folder, profile)))
    assert tree[0].parameters == count(build_empty(folder, profile).parameters())
    top = [branch for branch in tree if branch.depth == 1]
    assert sum(branch.parameters for branch in top) >= tree[0].parameters  # tied weights are counted where they stand
    assert any(branch.name == "0-1" and branch.kind.endswith(" x 2") for branch in tree)


@pytest.mark.parametrize("mode", ["vision", "llm", "both"])
def test_a_training_step_keeps_no_more_than_estimated(family, mode):
    folder, profile = family
    model, processor = load_model(folder, profile), load_processor(folder, profile)
    page, batch = (150, 90), 3
    load = measure_load(model, processor, profile.prompt, page, 0)
    size = measure_mode(model, mode, 4)
    memory = estimate(model, load, "float32", size.trainable, batch, set(TOWERS[mode]), False, True)
    assert memory.weights == 4 * (count(model.parameters()) + size.trainable)
    assert (memory.gradients, memory.optimizer) == (4 * size.trainable, 8 * size.trainable)
    adapted = adapt(model, mode, True, False).train()
    inputs = encode_pages(processor, [Image.new("RGB", page, "white")] * batch, profile.prompt)
    weights = {weight.untyped_storage().data_ptr() for weight in adapted.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = adapted(**inputs, logits_to_keep=load.tokens - load.image_tokens)
        loss = answer_loss(outputs, inputs["input_ids"])
        held = sum(kept.values())
    loss.backward()
    assert held < memory.activations < 12 * held
    with_checkpoints = estimate(model, load, "float32", size.trainable, batch, set(TOWERS[mode]), True, True)
    assert with_checkpoints.activations <= memory.activations


def test_deepseek_ocr_has_the_published_number_of_parameters():
    """A checkpoint that the original code saved in float32 has 13,344,427,016 bytes: these, and 257 positions of 8 bytes."""
    language = {"hidden_size": 1280, "intermediate_size": 6848, "moe_intermediate_size": 896, "n_routed_experts": 64,
                "num_attention_heads": 10, "num_key_value_heads": 10, "num_experts_per_tok": 6, "num_hidden_layers": 12,
                "vocab_size": 129280}
    config = published_config(1024, **language)
    config["vision_config"]["width"] = {
        "clip-l-14-224": {"heads": 16, "image_size": 224, "layers": 24, "patch_size": 14, "width": 1024},
        "sam_vit_b": {"downsample_channels": [512, 1024], "global_attn_indexes": [2, 5, 8, 11], "heads": 12, "layers": 12, "width": 768}}
    with torch.device("meta"):
        model = DeepseekOCRForCausalLM._from_config(DeepseekOcrConfig(**config))
    assert count(model.parameters()) * 4 + 257 * 8 == 13_344_427_016
    assert tower_sizes(model) == {"vision": 398_746_880, "projector": 2_625_280, "llm": 2_769_255_680, "head": 165_478_400,
                                  "of it routed experts": 2_422_210_560}


def test_the_tool_needs_no_weights(project, capsys):
    shutil.copytree(ROOT / "models/base/tiny", "models/base/tiny", ignore=shutil.ignore_patterns("*.safetensors"))
    inspect("tiny", 3, 16, 1, (400, 32), 50, None)
    output = capsys.readouterr().out
    assert "LightOnOcrForConditionalGeneration" in output
    assert "3,447,360" in output
    assert "0-3 PixtralAttentionLayer x 4" not in output  # deeper than asked for
    rows = {line.split("  ")[0]: line for line in output.splitlines()}
    # 28 matrices of the vision tower and 21 of the llm: r * (in + out) each
    assert "233,472" in rows["vision"]
    assert "408,576" in rows["both"]
    assert "routed experts" not in output
    assert "gradient checkpointing" in output


def test_the_tool_says_what_it_does_not_know(project, capsys):
    with pytest.raises(ValueError, match=r"nobody: neither a student .*tiny.* nor a folder"):
        inspect("nobody", 3, 16, 1, (400, 32), 50, None)
    with pytest.raises(ValueError, match="--page: 0 x 32: expected pixels from 1 on"):
        inspect("tiny", 3, 16, 1, (0, 32), 50, None)
    folder = project.folder / "bare"
    folder.mkdir()
    config = json.loads((ROOT / "models/base/tiny/config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    inspect(str(folder), 1, 16, 1, (400, 32), 50, "bfloat16")
    assert "no tokenizer.json, so no estimate of memory" in capsys.readouterr().out
