"""The merge gate opens for a merged model that reads as its adapter does, and for no other."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from conftest import ROOT, page_row
from safetensors.torch import load_file, save_file

from ocrtune.models.vlm import end_tokens, generate_texts, load_model, load_processor, open_image
from ocrtune.params.students import StudentProfile
from ocrtune.rows import read_rows, write_rows
from ocrtune.training.merging import load_trained
from stages.merge import main as merge
from stages.train import main as train

PROFILE = StudentProfile(prompts={"ocr": ""}, image={"min_height": 32}, max_new_tokens=8)  # as params.yaml has tiny
TEXTS = ["ab", "cat 1", "dog", "Zug 22"]
BASE, ADAPTER, PAGES, SPLITS, REHEARSAL = map(
    Path, ("models/base/tiny", "models/adapter", "data/pages", "data/splits", "data/rehearsal"))
MERGED, REPORT, LOG = map(Path, ("models/merged", "metrics/merge.json", "metrics/train"))


@pytest.fixture(scope="module")
def trained(built_student, tmp_path_factory):
    """Return a project's folder after `train`: four lines, a LoRA adapter, and full weights in models/full."""
    from conftest import Project

    folder = tmp_path_factory.mktemp("project")
    project = Project(folder)
    shutil.copytree(built_student, folder / BASE)
    rows = [page_row(folder / PAGES, "doc", number, text, 80) for number, text in enumerate(TEXTS, 1)]
    write_rows(folder / PAGES / "pages.jsonl", rows)
    examples = [{"page_id": row["page_id"], "doc_id": "doc", "image": f"../pages/{row['image']}", "text": row["text_layer"],
                 "origin": "teacher"} for row in rows]
    for name, part in (("train", examples), ("val", examples[:3]), ("test", [])):
        write_rows(folder / SPLITS / f"{name}.jsonl", part)
    clean = [{"page_id": row["page_id"], "image": f"../pages/{row['image']}", "text": row["text_layer"], "sha256": row["sha256"]}
             for row in rows]
    write_rows(folder / REHEARSAL / "rehearsal.jsonl", clean)
    project.params["students"]["tiny"] |= {"max_new_tokens": 8}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for method, out in (("full", Path("models/full")), ("lora", ADAPTER)):
            project.params["train"] |= {"method": method, "epochs": None, "max_steps": 6, "learning_rate": 0.01, "warmup_steps": 0,
                                        "per_device_batch_size": 2, "rehearsal": 0.5}
            project.save()
            train(BASE, PAGES, SPLITS, REHEARSAL, out, LOG)
    return folder


@pytest.fixture
def project_folder(trained, tmp_path, monkeypatch) -> Path:
    """Return a copy of the trained project, as the current folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fails(capsys, adapter=ADAPTER) -> str:
    with pytest.raises(SystemExit) as stop:
        merge(BASE, adapter, PAGES, SPLITS, MERGED, REPORT)
    assert stop.value.code == 1
    return capsys.readouterr().err


def change_tensors(path: Path, change) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"format": "pt"})


def test_an_adapter_trained_in_four_bits_is_merged_into_the_whole_base_and_the_cost_is_told(project_folder, capsys):
    shutil.rmtree(BASE)  # its widths are no multiples of 32
    shutil.copytree(ROOT / BASE, BASE)
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["train"]["load_in_4bit"] = True
    Path("params.yaml").write_text(yaml.safe_dump(params))
    train(BASE, PAGES, SPLITS, REHEARSAL, ADAPTER, LOG)
    merge(BASE, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    figures = json.loads(REPORT.read_text())
    assert figures["equal_texts"] == 3
    assert figures["logit_difference"] < 1e-5 < figures["four_bit"]["logit_difference"] < 1
    told = capsys.readouterr().out
    assert "trained in 4 bits, merged without: CER" in told
    assert "training 436,224 of 3,883,584 parameters" in told  # though two of those lie in a byte
    whole, weights = (load_file(folder / "model.safetensors") for folder in (BASE, MERGED))
    assert {name: weight.shape for name, weight in weights.items()} == {name: weight.shape for name, weight in whole.items()}
    assert {weight.dtype for weight in weights.values()} == {torch.float32}  # as the profile says


def test_the_gate_opens_and_the_merged_model_needs_nothing_else(project_folder, capsys):
    merge(BASE, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    figures = json.loads(REPORT.read_text())
    assert (figures["num_pages"], figures["equal_texts"]) == (3, 3)
    assert 0 <= figures["logit_difference"] < 1e-5
    assert 20 < figures["changed_tensors"] == figures["targeted_tensors"]
    assert not figures["stray_tensors"]
    assert not figures["altered_settings"]
    assert "merge: " in capsys.readouterr().out
    shutil.rmtree(BASE)
    shutil.rmtree(ADAPTER)
    images = [open_image(SPLITS / f"../pages/images/doc_p{number}.png") for number in (1, 2)]
    model = load_model(MERGED, PROFILE)
    assert len(generate_texts(model, load_processor(MERGED, PROFILE), images, PROFILE)) == 2
    assert json.loads((MERGED / "inference.json").read_text())["prompt"] == ""


def test_any_machine_loads_the_merged_model(project_folder):
    """Our attention is for our processes: what is saved must load where nobody registered it."""
    from transformers import AutoModelForImageTextToText

    merge(BASE, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    assert "packed" not in (MERGED / "config.json").read_text()
    assert "attn_implementation" not in (MERGED / "config.json").read_text()
    assert AutoModelForImageTextToText.from_pretrained(MERGED).config.vision_config._attn_implementation == "sdpa"


def test_merging_twice_gives_the_same_bytes_without_a_machines_paths(project_folder):
    contents = []
    for _ in range(2):
        shutil.rmtree(MERGED, ignore_errors=True)
        merge(BASE, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
        contents.append({path.name: path.read_bytes() for path in [*MERGED.iterdir(), REPORT]})
    assert contents[0] == contents[1]
    trained_files = [path for path in ADAPTER.iterdir() if path.suffix == ".json"]
    assert trained_files
    assert all(str(project_folder.parent).encode() not in path.read_bytes() for path in [*trained_files, *MERGED.glob("*.json")])


def test_fully_trained_weights_pass_the_gate_too(project_folder):
    assert not (Path("models/full") / "adapter_config.json").exists()
    ours, theirs = (json.loads((folder / "config.json").read_text()) for folder in (Path("models/full"), BASE))
    assert ours.keys() == theirs.keys() and "packed" not in str(ours)
    merge(BASE, Path("models/full"), PAGES, SPLITS, MERGED, REPORT)
    assert json.loads(REPORT.read_text())["logit_difference"] == 0


def test_a_merged_model_that_reads_otherwise_fails(project_folder, capsys, monkeypatch):
    """Weights damaged between saving and reading back are what the gate is for."""
    from transformers import LightOnOcrForConditionalGeneration as Model

    save = Model.save_pretrained

    def save_damaged(model, folder, **options):
        save(model, folder, **options)
        change_tensors(folder / "model.safetensors", lambda tensors: tensors[sorted(tensors)[0]].mul_(1.5))

    monkeypatch.setattr(Model, "save_pretrained", save_damaged)
    assert "does not read as the adapter does (see metrics/merge.json)" in fails(capsys)
    assert json.loads(REPORT.read_text())["logit_difference"] > 1e-4


def test_an_adapter_that_changes_nothing_fails(project_folder, capsys):
    change_tensors(ADAPTER / "adapter_model.safetensors", lambda tensors: [tensor.zero_() for tensor in tensors.values()])
    assert "does not read as the adapter does" in fails(capsys)
    assert json.loads(REPORT.read_text())["changed_tensors"] == 0


def test_an_adapter_of_another_base_fails(project_folder, capsys):
    change_tensors(BASE / "model.safetensors", lambda tensors: tensors[sorted(tensors)[0]].add_(1))
    assert "trained on another base than models/base/tiny; run train again" in fails(capsys)


def swap_first(change):
    def swapped(tensors: dict) -> None:
        name = sorted(tensors)[0]
        change(tensors, name, tensors[name])
    return swapped


@pytest.mark.parametrize(("change", "message"), [
    (lambda tensors, name, tensor: tensors.pop(name), "did not reach the model"),
    (lambda tensors, name, tensor: tensors.update({name.replace("layers.0", "layers.9"): tensor.clone()}), "did not reach the model"),
    (lambda tensors, name, tensor: tensors.update({name: torch.cat([tensor, tensor])}), "does not fit"),
])
def test_an_adapter_that_lost_or_won_tensors_fails(project_folder, capsys, change, message):
    change_tensors(ADAPTER / "adapter_model.safetensors", swap_first(change))
    output = fails(capsys)
    assert message in output
    assert "is this the adapter of another base?" in output


def test_a_tensor_that_was_no_target_fails(project_folder, capsys, monkeypatch):
    from transformers import LightOnOcrForConditionalGeneration as Model

    save = Model.save_pretrained

    def save_damaged(model, folder, **options):  # a change too small for logits and texts to tell
        save(model, folder, **options)
        change_tensors(folder / "model.safetensors", lambda tensors: tensors["model.language_model.norm.weight"].mul_(1 + 1e-6))

    monkeypatch.setattr(Model, "save_pretrained", save_damaged)
    assert "tensors changed that were no targets: model.language_model.norm.weight" in fails(capsys)


@pytest.mark.parametrize("damage", [
    lambda tensors: tensors["model.language_model.norm.weight"].fill_(float("nan")),
    lambda tensors: next(iter(tensors.values())).fill_(torch.inf),
])
def test_a_merged_model_whose_numbers_are_none_fails(project_folder, capsys, monkeypatch, damage):
    from transformers import LightOnOcrForConditionalGeneration as Model

    save = Model.save_pretrained

    def save_damaged(model, folder, **options):
        save(model, folder, **options)
        change_tensors(folder / "model.safetensors", damage)

    monkeypatch.setattr(Model, "save_pretrained", save_damaged)
    assert "models/merged: float32 can't hold the weights" in fails(capsys)


def test_a_figure_that_is_no_number_does_not_pass(project_folder, capsys, monkeypatch):
    monkeypatch.setattr("ocrtune.training.merging.logit_difference", lambda *_: float("nan"))
    assert "logits differ by nan, allowed is 1.0e-04" in fails(capsys)


def test_trained_weights_that_are_no_numbers_fail(project_folder, capsys):
    change_tensors(Path("models/full/model.safetensors"), lambda tensors: tensors["model.language_model.norm.weight"].fill_(float("nan")))
    assert "models/full: its training went astray: train again with a lower train.learning_rate: its logits are no" in fails(
        capsys, Path("models/full"))
    change_tensors(ADAPTER / "adapter_model.safetensors", swap_first(lambda tensors, name, tensor: tensor.fill_(float("nan"))))
    assert "holds what is no number (NaN or infinite): its training went astray; train again" in fails(capsys)


@pytest.mark.parametrize(("damage", "message"), [
    (lambda: os.truncate(ADAPTER / "adapter_model.safetensors", 1000), "its head is torn; run the train stage again"),
    (lambda: (ADAPTER / "adapter_model.safetensors").unlink(), "adapter_model.safetensors is not there; run the train stage again"),
    (lambda: os.truncate(ADAPTER / "inference.json", 100), "models/adapter/inference.json: damaged; run the train stage again"),
    (lambda: (ADAPTER / "inference.json").unlink(), "models/adapter/inference.json: not there; run the train stage again"),
])
def test_a_damaged_adapter_is_one_error(project_folder, capsys, damage, message):
    damage()
    assert message in fails(capsys)


def test_pages_that_train_refused_are_passed_over(project_folder, capsys):
    rows = read_rows(SPLITS / "val.jsonl")
    image = SPLITS / rows[0]["image"]
    image.write_bytes(image.read_bytes()[:60])
    rows[1]["text"] = "a <|image|> \N{SNOWMAN}"  # no tokens of this student spell it
    write_rows(SPLITS / "val.jsonl", rows)
    merge(BASE, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    assert json.loads(REPORT.read_text())["num_pages"] == 1
    write_rows(SPLITS / "val.jsonl", rows[:2])
    merge(BASE, ADAPTER, PAGES, SPLITS, MERGED, REPORT)
    assert json.loads(REPORT.read_text())["num_pages"] == 3  # those of train that open
    write_rows(SPLITS / "train.jsonl", rows[:1])
    write_rows(SPLITS / "val.jsonl", [])
    assert "no labelled page is left to compare readings on: not an image that opens" in fails(capsys)


def test_pages_of_other_splits_fail(project_folder, capsys):
    write_rows(PAGES / "pages.jsonl", [{"page_id": "other"}])
    assert "doc_p1 is no page of data/pages; run split again" in fails(capsys)


def test_the_trained_model_is_read_in_full_precision(project_folder):
    model = load_trained(BASE, ADAPTER, PROFILE.model_copy(update={"dtype": "bfloat16"}))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert end_tokens(model)[0] == load_processor(BASE, PROFILE).tokenizer.eos_token_id


def test_an_adapter_is_a_reader_too_on_its_own_base_alone(project_folder):
    from ocrtune.params.teachers import Local
    from ocrtune.readers.open import open_reader
    from ocrtune.reading import Page

    readers = {folder: open_reader(Local(model=str(folder), **PROFILE.model_dump())) for folder in (BASE, ADAPTER)}
    assert readers[ADAPTER].identity.items() > readers[BASE].identity.items()
    image = next((PAGES / "images").iterdir())
    model, processor = load_trained(BASE, ADAPTER, PROFILE), load_processor(BASE, PROFILE)
    ((_, reading),) = readers[ADAPTER].read([Page("p", image, "0" * 64)])
    assert [(reading.text, reading.finish_reason)] == generate_texts(model, processor, [open_image(image)], PROFILE)
    change_tensors(BASE / "model.safetensors", lambda tensors: next(iter(tensors.values())).add_(1))
    with pytest.raises(ValueError, match="trained on another base than models/base/tiny"):
        open_reader(Local(model=str(ADAPTER), **PROFILE.model_dump()))
