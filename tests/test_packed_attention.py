"""Packed attention gives the numbers of the stock one, and their gradients."""

import numpy as np
import pytest
import torch

from ocrtune.models.packed_attention import block_lengths, use_packed_attention
from ocrtune.models.vlm import encode_pages, load_model, load_processor
from ocrtune.params.students import StudentProfile

PROFILE = StudentProfile(prompts={"ocr": ""})
WIDTHS = {"one": [96], "same": [96, 96, 96], "mixed": [32, 160, 64, 64], "narrow": [16, 16, 240]}


@pytest.fixture(scope="module")
def packed(built_student):
    return load_model(built_student, PROFILE)


@pytest.fixture(scope="module")
def stock(built_student):
    model = load_model(built_student, PROFILE)
    model.set_attn_implementation("sdpa")
    return model


def make_batch(folder, widths) -> dict:
    from PIL import Image

    random = np.random.default_rng(0)
    images = [Image.fromarray(random.integers(0, 255, (32, width, 3), dtype=np.uint8)) for width in widths]
    return dict(encode_pages(load_processor(folder, PROFILE), images, ""))


def test_the_two_models_differ_in_their_attention_alone(packed, stock):
    assert packed.config.vision_config._attn_implementation == "packed_sdpa"
    assert stock.config.vision_config._attn_implementation == "sdpa"
    assert packed.config.text_config._attn_implementation == stock.config.text_config._attn_implementation == "sdpa"


@pytest.mark.parametrize("widths", WIDTHS.values(), ids=WIDTHS)
def test_logits_and_gradients_are_the_stock_ones(packed, stock, built_student, widths):
    batch = make_batch(built_student, widths)
    results = []
    for model in (packed, stock):
        model.zero_grad()
        logits = model(**batch).logits[batch["attention_mask"] == 1]
        logits.square().mean().backward()
        gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
        results.append((logits.detach(), gradients))
    (logits, gradients), (expected, expected_gradients) = results
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    assert gradients.keys() == expected_gradients.keys()
    assert any("vision" in name for name in gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-3, atol=1e-5, msg=name)


def test_images_of_a_batch_do_not_see_each_other(packed, built_student):
    batch = make_batch(built_student, [64, 96])
    with torch.inference_mode():
        before = packed(**batch).logits
        batch["pixel_values"][1] = batch["pixel_values"][1].flip(-1)
        after = packed(**batch).logits
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


@pytest.mark.parametrize("lengths", [[1], [5], [2, 3], [1, 1, 1], [4, 1, 4]])
def test_blocks_are_read_from_the_mask(lengths):
    mask = torch.full((sum(lengths), sum(lengths)), torch.finfo(torch.float32).min)
    start = 0
    for length in lengths:
        mask[start : start + length, start : start + length] = 0
        start += length
    assert block_lengths(mask[None, None]) == lengths


def test_a_model_that_does_not_pack_is_left_alone():
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    model = Qwen3ForCausalLM(config)
    assert not use_packed_attention(model)
    assert model.config._attn_implementation == "sdpa"
