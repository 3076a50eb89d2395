"""What changed, where it should not have, and which settings: the figures that merge's gate looks at."""

import pytest
import torch
import yaml
from conftest import ROOT
from safetensors import safe_open
from safetensors.torch import save_file

from ocrtune.models.vlm import load_model
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams
from ocrtune.training.finetuning import prepare_model
from ocrtune.training.lora_targets import find_towers
from ocrtune.training.merging import altered_settings, changed_tensors, own_names, stray_tensors, targeted_weights
from tools.make_tiny import make_tiny

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def test_a_path_is_known_by_its_name_a_strange_one_by_its_end_and_settings_by_their_value(tmp_path):
    up = "mlp.up_proj.weight"
    own = {f"model.{tower}.layers.{number}.{up}" for tower in ("language_model", "vision_encoder") for number in (0, 1)}
    targets = [f"model.language_model.layers.0.{up}"]
    assert stray_tensors([f"model.language_model.layers.0.{up}", f"language_model.model.layers.0.{up}"], targets, own) == []
    assert stray_tensors(sorted(own), targets, own) == sorted(own - {*targets})
    for name, ends in (("base", 1), ("merged", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"architectures": ["A"]}')
        (tmp_path / name / "generation_config.json").write_text(f'{{"eos_token_id": {ends}}}')
    assert altered_settings(tmp_path / "base", tmp_path / "merged") == ["generation_config.json: eos_token_id"]
    (tmp_path / "merged/generation_config.json").unlink()
    assert altered_settings(tmp_path / "base", tmp_path / "merged") == ["generation_config.json: eos_token_id"]


@pytest.mark.parametrize("family", ["deepseek-ocr-2", "gemma-3", "paddleocr-vl", "smolvlm", "glm-ocr"])
def test_a_tower_that_was_no_target_is_told_from_one_that_was(family, tmp_path):
    """Both towers have layers of the same names: every tensor of the vision tower that changed is astray."""
    from peft import get_peft_model

    make_tiny(family, tmp_path)
    model = load_model(tmp_path, StudentProfile(**PARAMS["students"][family] | {"dtype": "float32"}))
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = own_names(model, list(file.keys()))
    tower_of, known = find_towers(model), model.state_dict().keys()
    assert {*names} <= {*known}
    targets = targeted_weights(get_peft_model(model, prepare_model(model, TrainParams(**PARAMS["train"] | {"mode": "llm"}))))
    stray = stray_tensors(names, targets, known)
    assert {*stray} == {*names} - {*targets}
    assert {name for name in names if tower_of(name) == "vision"} <= {*stray}


def test_changed_tensors_are_named_beyond_rounding_and_names_must_agree(tmp_path):
    weights = {"a": torch.randn(4, 4), "b": torch.randn(4)}
    base = {key: value.half() for key, value in weights.items()}
    same = {key: value.float() for key, value in base.items()}
    renamed = {"a": same["a"], "c": same["b"]}
    for name, tensors in {"base": base, "same": same, "one": same | {"a": same["a"] + 0.01}, "renamed": renamed}.items():
        (tmp_path / name).mkdir()
        save_file(tensors, tmp_path / name / "model.safetensors")
    assert changed_tensors(tmp_path / "base", tmp_path / "same") == []
    assert changed_tensors(tmp_path / "base", tmp_path / "one") == ["a"]
    with pytest.raises(ValueError, match="tensors differ in name from the base's: b, c"):
        changed_tensors(tmp_path / "base", tmp_path / "renamed")
