"""A model's folder that is torn, that lacks something, or that is another model's, is one clear error."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ocrtune.models.checkpoints import check_whole, weight_files
from ocrtune.models.vlm import load_model, load_processor, prompt_text
from ocrtune.params.students import StudentProfile

PROFILE = StudentProfile(prompts={"ocr": ""}, max_new_tokens=4)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def rewrite(path: Path, change) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize(("damage", "message"), [
    (lambda folder: cut(folder / "model.safetensors", -100), "model.safetensors: .* bytes where its head announces .*: torn or damaged"),
    (lambda folder: cut(folder / "model.safetensors", 200), "not a safetensors file, or its head is torn; fetch it again"),
    (lambda folder: cut(folder / "model.safetensors", 0), "not a safetensors file, or its head is torn"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"<html>not found</html>"), "not a safetensors file"),
    (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors is not there"),
    (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
     "model.safetensors is not there; pytorch_model.bin is a pickle, which can run code"),
    (lambda folder: (folder / "config.json").write_text('{"model_type": '), "config.json: not JSON"),
    (lambda folder: (folder / "config.json").write_text("{}"), "config.json: has no model_type"),
    (lambda folder: (folder / "config.json").unlink(), "no config.json; put the model's files there"),
    (lambda folder: rewrite(folder / "model.safetensors", lambda tensors: tensors.pop("model.language_model.norm.weight")),
     "the weights are not those of config.json: model.language_model.norm.weight is missing; fetch the model again"),
    (lambda folder: rewrite(folder / "model.safetensors",
                            lambda tensors: tensors.update({"model.language_model.norm.weight": torch.zeros(7)})),
     "model.language_model.norm.weight has another shape"),
])
def test_a_damaged_folder_is_one_error(student, damage, message):
    damage(student)
    with pytest.raises(ValueError, match=message) as told:
        load_model(student, PROFILE)
    assert str(student) in str(told.value)


def test_a_lost_shard_is_named(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"model-2\.safetensors is not there"):
        weight_files(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weights": 1}')
    with pytest.raises(ValueError, match="not an index of weights"):
        weight_files(tmp_path)
    check_whole(tmp_path / "model-1.safetensors")


def test_weights_in_shards_load(student):
    tensors = load_file(student / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-00001-of-000002.safetensors": names[::2], "model-00002-of-000002.safetensors": names[1::2]}
    whole = load_model(student, PROFILE)
    for file, some in parts.items():
        save_file({name: tensors[name] for name in some}, student / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, some in parts.items() for name in some}}
    (student / "model.safetensors.index.json").write_text(json.dumps(index))
    (student / "model.safetensors").unlink()
    assert all(torch.equal(*pair) for pair in zip(whole.parameters(), load_model(student, PROFILE).parameters(), strict=True))


def test_code_that_comes_along_is_not_run(student):
    """The folder's own code would leave a mark when it is imported."""
    mark = student / "ran"
    (student / "modeling_guest.py").write_text(f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
    config = json.loads((student / "config.json").read_text())
    code = {"AutoConfig": "modeling_guest.Config", "AutoModelForImageTextToText": "modeling_guest.Model"}
    config |= {"model_type": "guest", "auto_map": code}
    (student / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="transformers has no model of type 'guest'; it may come with code of its own, which is not run"):
        load_model(student, PROFILE)
    assert not mark.exists()


def test_a_tokenizer_of_another_model_is_told(student):
    """A token that a tokenizer lacks is quietly added to it, with a number that the model knows nothing of."""
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (student / file).write_text((student / file).read_text().replace("<|image|>", "<|picture|>"))
    assert load_processor(student, PROFILE).image_token == "<|picture|>"  # another name, the same number
    told = json.loads((student / "tokenizer.json").read_text())
    told["added_tokens"] = [token for token in told["added_tokens"] if token["content"] != "<|picture|>"]
    told["model"]["vocab"]["<|other|>"] = told["model"]["vocab"].pop("<|picture|>")
    (student / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"tokenizer\.json: token 4, which stands for the picture in config\.json, is not its <\|picture"):
        load_processor(student, PROFILE)


def test_a_prompt_with_the_pictures_token_is_told(student):
    processor = load_processor(student, PROFILE)
    processor.chat_template = (
        "{% for m in messages %}{% for p in m.content %}{{ '<|image|>' if p.type == 'image' else p.text }}{% endfor %}{% endfor %}")
    assert prompt_text(processor, "Read.") == "<|image|>Read."
    with pytest.raises(ValueError, match=r"prompt '<\|image\|>Read.': 2 times <\|image\|> for one picture; .* leave it out of the prompt"):
        prompt_text(processor, "<|image|>Read.")


def test_a_setting_that_the_image_processor_lacks_is_told(student):
    with pytest.raises(ValueError, match=r"image\.max_pixel: PixtralImageProcessorPil has no such setting; it has: .*size"):
        load_processor(student, PROFILE.model_copy(update={"image": {"max_pixel": 3}}))


def test_an_end_that_the_tokenizer_lacks_is_told(student):
    with pytest.raises(ValueError, match=r"tokenizer\.json: has no token <end_of_turn>, which the profile's `end` names"):
        load_model(student, PROFILE.model_copy(update={"end": "<end_of_turn>"}))


def test_an_end_leads_the_others(student):
    model = load_model(student, PROFILE.model_copy(update={"end": "<pad>"}))
    assert model.generation_config.eos_token_id == [0, 2]
    assert load_model(student, PROFILE.model_copy(update={"end": "<eos>"})).generation_config.eos_token_id == 2


def test_a_folder_without_a_processor_is_told(student):
    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        (student / file).unlink(missing_ok=True)
    (student / "config.json").write_text('{"model_type": "unheard_of"}')
    with pytest.raises(ValueError, match="no file of it names a processor that transformers has"):
        load_processor(student, PROFILE)
    shutil.rmtree(student)
