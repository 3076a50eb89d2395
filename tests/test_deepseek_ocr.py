"""DeepSeek-OCR (the first) without remote code answers as the original code did, and leaves its checkpoint as it was."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from ocrtune.deepseek_ocr.processing import DeepseekOcrProcessor
from ocrtune.deepseek_ocr.views import PRESETS, count_tokens, cut_views, find_geometry, find_grid
from ocrtune.models.vlm import encode_pages, generate_texts, load_model, load_processor
from ocrtune.params.students import StudentProfile
from ocrtune.training.merging import changed_tensors
from tools.tiny.deepseek import CLIP, SAM, published_config, write_published_tokenizer
from tools.tiny.tokens import DEEPSEEK

DATA = Path(__file__).parent / "deepseek_ocr"
CASES = json.loads((DATA / "reference.json").read_text())
PROFILE = StudentProfile(prompts={"ocr": "Free OCR."}, max_new_tokens=12)
LAYERS, EXPERTS = 3, 8


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Return the tensors of the reference model, in the order in which the original code registers its parameters."""
    d, sam, clip, cells = 64, SAM["width"], CLIP["width"], (224 // 14) ** 2 + 1
    shapes = {"image_newline": (d,), "view_seperator": (d,), "embed_tokens.weight": (269, d)}

    def mlp(path: str, width: int) -> dict:
        return {f"{path}.gate_proj.weight": (width, d), f"{path}.up_proj.weight": (width, d), f"{path}.down_proj.weight": (d, width)}

    for layer in range(LAYERS):
        path = f"layers.{layer}"
        shapes |= {f"{path}.self_attn.{name}_proj.weight": (d, d) for name in "qkvo"}
        if layer:
            for expert in range(EXPERTS):
                shapes |= mlp(f"{path}.mlp.experts.{expert}", 32)
            shapes |= {f"{path}.mlp.gate.weight": (EXPERTS, d)} | mlp(f"{path}.mlp.shared_experts", 64)
        else:
            shapes |= mlp(f"{path}.mlp", 128)
        shapes |= {f"{path}.input_layernorm.weight": (d,), f"{path}.post_attention_layernorm.weight": (d,)}

    def both(path: str, *shape: int) -> dict:
        return {f"{path}.weight": shape, f"{path}.bias": shape[:1]}

    shapes |= {"norm.weight": (d,), "sam_model.pos_embed": (1, 64, 64, sam)} | both("sam_model.patch_embed.proj", sam, 3, 16, 16)
    for layer in range(2):
        path, positions = f"sam_model.blocks.{layer}", 127 if layer in SAM["global_attn_indexes"] else 27
        shapes |= both(f"{path}.norm1", sam) | {f"{path}.attn.rel_pos_{axis}": (positions, sam // SAM["heads"]) for axis in "hw"}
        shapes |= both(f"{path}.attn.qkv", 3 * sam, sam) | both(f"{path}.attn.proj", sam, sam) | both(f"{path}.norm2", sam)
        shapes |= both(f"{path}.mlp.lin1", 4 * sam, sam) | both(f"{path}.mlp.lin2", sam, 4 * sam)
    shapes |= {"sam_model.neck.0.weight": (16, sam, 1, 1)} | both("sam_model.neck.1", 16) | {"sam_model.neck.2.weight": (16, 16, 3, 3)}
    shapes |= both("sam_model.neck.3", 16) | {"sam_model.net_2.weight": (24, 16, 3, 3), "sam_model.net_3.weight": (48, 24, 3, 3)}
    path = "vision_model.embeddings"
    shapes |= {f"{path}.class_embedding": (clip,), f"{path}.patch_embedding.weight": (clip, 3, 14, 14),
               f"{path}.position_embedding.weight": (cells, clip)}
    for layer in range(2):
        path = f"vision_model.transformer.layers.{layer}"
        shapes |= both(f"{path}.self_attn.qkv_proj", 3 * clip, clip) | both(f"{path}.self_attn.out_proj", clip, clip)
        shapes |= both(f"{path}.mlp.fc1", 96, clip) | both(f"{path}.mlp.fc2", clip, 96)
        shapes |= both(f"{path}.layer_norm1", clip) | both(f"{path}.layer_norm2", clip)
    shapes |= both("vision_model.pre_layrnorm", clip) | both("projector.layers", d, clip + 48)
    return {f"model.{name}": shape for name, shape in shapes.items()} | {"lm_head.weight": (269, d)}


def draw_weights() -> dict[str, torch.Tensor]:
    """Return the reference model's weights, drawn as they were."""
    generator, weights = torch.Generator().manual_seed(1), {}
    for name, shape in weight_shapes().items():
        drawn = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            drawn *= 0.3 / shape[-1] ** 0.5
            weights[name] = drawn * 10 if name.endswith("mlp.gate.weight") else drawn
        else:
            weights[name] = 1 + drawn * 0.1 if "norm" in name and name.endswith("weight") else drawn * 0.1
    return weights


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """Return the reference model's folder, laid out as the published repository."""
    folder = tmp_path_factory.mktemp("deepseek-ocr")
    config = published_config(1024, n_routed_experts=EXPERTS, num_experts_per_tok=3, num_hidden_layers=LAYERS)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    save_file(draw_weights(), folder / "model.safetensors", {"format": "pt"})
    write_published_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def model(reference):
    return load_model(reference, PROFILE)


def open_picture(case: str) -> Image.Image:
    return Image.open(DATA / CASES[case]["image"]).resize(CASES[case]["size"], Image.Resampling.BILINEAR)


def with_preset(case: str) -> StudentProfile:
    return PROFILE.model_copy(update={"image": {"preset": case.split("_")[0]}})


@pytest.mark.parametrize("case", CASES)
def test_tokens_and_logits_are_the_originals(reference, model, case):
    told, expected = CASES[case], load_file(DATA / "reference.safetensors")
    inputs = encode_pages(load_processor(reference, with_preset(case)), [open_picture(case)], "Free OCR. ")
    image = DEEPSEEK.index("<image>")
    assert inputs["input_ids"][0].tolist() == [0] + [image] * told["num_image_tokens"] + told["words"]
    assert inputs["patches_grid"][0].tolist() == told["tiles"]
    with torch.inference_mode():
        logits = model(**inputs).logits[0]
    assert (logits[told["positions"]] - expected[f"{case}.logits"]).abs().max() < 1e-5
    assert (logits.max(-1).values - expected[f"{case}.largest"]).abs().max() < 1e-5
    assert torch.equal(logits.argmax(-1), expected[f"{case}.token"].long())


def test_a_damaged_weight_would_be_seen(reference, model):
    """Nearly every part counts: change one weight of each kind, and the logits leave the reference."""
    case = "gundam_3"
    inputs = encode_pages(load_processor(reference, with_preset(case)), [open_picture(case)], "Free OCR.")
    expected = load_file(DATA / "reference.safetensors")[f"{case}.largest"]
    for name in ("image_newline", "view_separator", "vision_tower.clip_encoder.layers.1.mlp.fc2.bias",
                 "vision_tower.sam_encoder.layers.0.attn.rel_pos_h", "vision_tower.clip_encoder.embeddings.position_embedding.weight"):
        weight = model.model.get_parameter(name)
        with torch.inference_mode():
            before = weight.clone()
            weight.mul_(2)
            changed = (model(**inputs).logits[0].max(-1).values - expected).abs().max()
            weight.copy_(before)
        assert changed > 1e-5, name


def test_the_checkpoint_comes_back_bit_for_bit(reference, model, tmp_path):
    model.save_pretrained(tmp_path)
    load_processor(reference, PROFILE).save_pretrained(tmp_path)
    for file in reference.iterdir():
        if file.name != "config.json":
            assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads((reference / "config.json").read_text())


def test_another_type_of_weights_is_told_in_the_published_key(reference, tmp_path):
    load_model(reference, PROFILE, "bfloat16").save_pretrained(tmp_path)
    told = json.loads((tmp_path / "config.json").read_text())
    assert told["torch_dtype"] == "bfloat16"
    assert told | {"torch_dtype": "float32"} == json.loads((reference / "config.json").read_text())


def test_a_checkpoint_that_the_original_code_saved_again_loads(reference, model, tmp_path):
    """It calls the type DeepseekOCR and spreads the language model's keys over the top level."""
    shutil.copytree(reference, tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text()) | {"model_type": "DeepseekOCR"}
    del config["language_config"]["num_hidden_layers"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    positions = {"model.vision_model.embeddings.position_ids": torch.arange(257)[None]}
    save_file(load_file(tmp_path / "model.safetensors") | positions, tmp_path / "model.safetensors", {"format": "pt"})
    again = load_model(tmp_path, PROFILE)
    assert len(changed_tensors(reference, tmp_path)) == 0
    assert all(torch.equal(before, after) for before, after in zip(model.parameters(), again.parameters(), strict=True))
    again.save_pretrained(tmp_path / "saved")
    assert json.loads((tmp_path / "saved/config.json").read_text()) == config


@pytest.mark.parametrize(("change", "message"), [
    ({"architectures": ["DeepseekOCR2ForCausalLM"]}, "not the first DeepSeek-OCR; for DeepSeek-OCR-2 take the files of deepseek-community"),
    ({"use_mla": True}, "use_mla is True; DeepSeek-OCR has False"), ({"norm_topk_prob": True}, "norm_topk_prob is True"),
    ({"rope_scaling": {"type": "yarn"}}, "rope_scaling is"),
])
def test_a_config_of_another_model_is_refused(reference, tmp_path, change, message):
    shutil.copytree(reference, tmp_path, dirs_exist_ok=True)
    (tmp_path / "config.json").write_text(json.dumps(json.loads((tmp_path / "config.json").read_text()) | change))
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path, PROFILE)


def test_the_tokenizer_keeps_blanks_and_lines_whatever_class_it_claims(reference):
    tokenizer = load_processor(reference, PROFILE).tokenizer
    text = "  two  blanks\n\na tab\tä <td>1</td>"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert ids[-1] == DEEPSEEK.index("</td>")
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 1, 2)


# Numbers of image tokens, as the original's `infer` lays them: side * (side + 1) + 1 with a token for 64 pixels, and for
# c x r tiles of 640 pixels r * 10 * (c * 10 + 1) more.
@pytest.mark.parametrize(("preset", "size", "grid", "tokens"), [
    ("tiny", (900, 1200), (1, 1), 73), ("small", (900, 1200), (1, 1), 111), ("base", (900, 1200), (1, 1), 273),
    ("large", (900, 1200), (1, 1), 421), ("gundam", (640, 640), (1, 1), 273), ("gundam", (641, 640), (2, 2), 693),
    ("gundam", (900, 1200), (2, 3), 903), ("gundam", (1500, 700), (2, 1), 483), ("gundam", (1654, 2339), (2, 3), 903),
    ("gundam", (5000, 600), (8, 1), 273 + 10 * 81), ("gundam", (600, 7000), (1, 9), 273 + 90 * 11),
])
def test_a_presets_tiles_and_tokens(preset, size, grid, tokens):
    geometry = find_geometry(preset)
    assert find_grid(*size, geometry) == grid
    assert count_tokens(grid, geometry) == tokens


def test_views_are_squashed_padded_and_cut():
    picture = Image.linear_gradient("L").resize((1300, 650)).convert("RGB")
    sizes = {}
    for preset in PRESETS:
        whole, tiles, grid = cut_views(picture, find_geometry(preset))
        sizes[preset] = (whole.size, [tile.size for tile in tiles], grid)
    assert sizes == {"tiny": ((512, 512), [], (1, 1)), "small": ((640, 640), [], (1, 1)), "base": ((1024, 1024), [], (1, 1)),
                     "large": ((1280, 1280), [], (1, 1)), "gundam": ((1024, 1024), [(640, 640)] * 2, (2, 1))}
    corners = {preset: cut_views(picture, find_geometry(preset))[0].getpixel((0, 0)) for preset in PRESETS}
    assert corners == {"tiny": (0, 0, 0), "small": (0, 0, 0), "base": (127,) * 3, "large": (127,) * 3, "gundam": (127,) * 3}


@pytest.mark.parametrize(("settings", "message"), [
    ({"preset": "huge"}, "image.preset: 'huge': no such preset; there are: tiny, small, base, large, gundam"),
    ({"base_size": 1000}, "image.base_size: 1000: must be a multiple of 64"),
    ({"crop": True}, "image.crop: unknown; allowed: preset, base_size"),
    ({"max_tiles": 1}, "image.max_tiles: 1: must be at least image.min_tiles, 2"),
])
def test_a_geometry_that_is_none_is_refused(reference, settings, message):
    with pytest.raises(ValueError, match=message):
        load_processor(reference, PROFILE.model_copy(update={"image": settings}))


def test_a_preset_may_be_told_in_numbers():
    assert find_geometry("gundam") == find_geometry(base_size=1024, image_size=640, crop_mode=True)
    assert find_geometry("gundam", max_tiles=6).max_tiles == 6


def test_pages_with_and_without_tiles_are_read_together_as_alone(reference, model):
    profile = PROFILE.model_copy(update={"image": {"base_size": 128, "image_size": 64}})
    processor = load_processor(reference, profile)
    pictures = [open_picture("gundam_3").resize(size) for size in ((64, 64), (200, 64), (60, 30), (90, 150))]
    together = generate_texts(model, processor, pictures, profile)
    assert together == [generate_texts(model, processor, [picture], profile)[0] for picture in pictures]
    assert len(set(together)) == 4


def test_pictures_and_their_tokens_must_be_as_many(reference):
    processor = DeepseekOcrProcessor.from_pretrained(reference, preset="tiny")
    picture = Image.new("RGB", (64, 64))
    for text, pictures in (("<image><image>", [[picture]]), ("words", [[picture]]), ("<image>", [[]])):
        with pytest.raises(ValueError, match=r"times <image> for \d pictures: they must be as many"):
            processor(images=pictures, text=text)


def test_gradients_reach_both_towers(reference):
    """The original sees pictures without gradients: nothing of its eyes could be trained."""
    model = load_model(reference, PROFILE).train()
    inputs = encode_pages(load_processor(reference, with_preset("tiny_0")), [open_picture("tiny_0")], "Free OCR.")
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    for name in ("sam_encoder.layers.0.attn.qkv.weight", "clip_encoder.layers.0.self_attn.qkv_proj.weight"):
        assert model.model.vision_tower.get_parameter(name).grad.abs().sum() > 0
    assert model.model.image_newline.grad.abs().sum() > 0
