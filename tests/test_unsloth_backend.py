"""The backend that wants a GPU says what it lacks, before anything else is done; where Unsloth is installed, it trains as peft does."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from conftest import ROOT, page_row
from safetensors.torch import load_file

from ocrtune.params.students import StudentProfile
from ocrtune.params.train import LoraParams, TrainParams
from ocrtune.rows import write_rows
from ocrtune.training.unsloth_backend import import_unsloth, load_for_unsloth
from stages.merge import main as merge
from stages.train import main as train
from tools.make_tiny import IMAGE, make_tiny

PARAMS = TrainParams(backend="unsloth", mode="both", lora=LoraParams(r=4, alpha=8), learning_rate=1e-3, max_steps=1,
                     per_device_batch_size=1, save_steps=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_train_refuses_it(project, student, capsys):
    project.params["train"]["backend"] = "unsloth"
    project.save()
    with pytest.raises(SystemExit):
        train(student, *map(Path, ("data/pages", "data/splits", "data/rehearsal", "models/adapter", "metrics/train")))
    assert "error: train.backend unsloth: wants an NVIDIA GPU with CUDA, and there is none here; set" in capsys.readouterr().err


@pytest.mark.skipif(find_spec("unsloth") is not None, reason="it is installed")
def test_it_says_how_it_is_installed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match=r"not installed; run `\./run uv sync --locked --inexact --extra unsloth`, or set train\.backend"):
        import_unsloth()
    assert 'name = "unsloth"' in (ROOT / "uv.lock").read_text()


def test_a_class_of_our_own_is_refused(tmp_path):
    make_tiny("deepseek-ocr", tmp_path)
    with pytest.raises(ValueError, match=r"has no class for the model in .* without remote code; set train\.backend: peft"):
        load_for_unsloth(tmp_path, StudentProfile(prompts={"ocr": "Free OCR."}), PARAMS)


def test_torn_weights_are_refused_before_anything_is_trained(tmp_path):
    make_tiny("smolvlm", tmp_path)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(ValueError, match=r"model\.safetensors: .*fetch it again"):
        load_for_unsloth(tmp_path, StudentProfile(prompts={"ocr": "Text"}), PARAMS)


# What is trained by both backends: a family in miniature, and what is unlike the settings of `write_project`.
READING = {"eval_steps": 2, "num_pages": 2, "patience": 5}
TRAININGS = {
    **{family: (family, {}) for family in ("gemma-3", "qwen25-vl", "qwen3-vl", "paddleocr-vl", "got-ocr2", "lightonocr", "smolvlm",
                                           "glm-ocr", "deepseek-ocr-2")},
    "vision": ("qwen3-vl", {"mode": "vision"}), "llm": ("smolvlm", {"mode": "llm"}), "full": ("qwen25-vl", {"method": "full"}),
    "experts": ("deepseek-ocr-2", {"mode": "llm", "lora": {"r": 4, "alpha": 8, "dropout": 0.0, "experts": True}}),
    "dropout, checkpoints, readings": ("smolvlm", {
        "lora": {"r": 4, "alpha": 8, "dropout": 0.1, "experts": False}, "gradient_checkpointing": True, "max_length": 400,
        "gradient_accumulation_steps": 2, "per_device_batch_size": 1, "early_stopping": READING, "eval_steps": 2}),
}
FOLDERS = tuple(map(Path, ("data/pages", "data/splits", "data/rehearsal", "models/adapter", "metrics/train")))


def write_project(folder: Path, family: str, change: dict, backend: str) -> Path:
    """Write a project of four lines and a miniature student, the same one for the same family; return its folder."""
    texts = [("ab", 80), ("cat 1", 200), ("dog", 64), ("Zug 22", 120)]
    rows = [page_row(folder / "data/pages", "doc", number, *line) for number, line in enumerate(texts, 1)]
    write_rows(folder / "data/pages/pages.jsonl", rows)
    examples = [{"page_id": row["page_id"], "image": f"../pages/{row['image']}", "text": row["text_layer"]} for row in rows]
    for name in ("train", "val"):
        write_rows(folder / f"data/splits/{name}.jsonl", examples)
    make_tiny(family, folder / "models/base" / family)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    told = {"dtype": "float32", "max_new_tokens": 6, "image": IMAGE.get(family, {})}
    params |= {"student": family, "students": {family: params["students"][family] | told}}
    params["train"] |= {"backend": backend, "epochs": None, "max_steps": 4, "learning_rate": 5e-3, "warmup_steps": 0, "rehearsal": 0.0,
                        "per_device_batch_size": 2, "schedule": "constant", "early_stopping": None, "logging_steps": 1, **change}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder


def read_curve(project: Path, name: str) -> list[float]:
    return [float(line.split("\t")[-1]) for line in (project / f"metrics/train/plots/metrics/{name}.tsv").read_text().splitlines()[1:]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Let Unsloth train all of TRAININGS, in a process of its own, for it patches whatever it finds; return the folder of projects."""
    root = tmp_path_factory.mktemp("unsloth")
    folders = [write_project(root / name, *TRAININGS[name], "unsloth") for name in TRAININGS]
    done = subprocess.run([sys.executable, ROOT / "tests/unsloth_on_cpu.py", *folders], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:]
    return root


@pytest.mark.slow
@pytest.mark.skipif(find_spec("unsloth") is None, reason="not installed")
@pytest.mark.parametrize("name", TRAININGS)
def test_it_trains_as_peft_does(trained, name, tmp_path, monkeypatch):
    family, change = TRAININGS[name]
    mine, other = trained / name, write_project(tmp_path, family, change, "peft")
    monkeypatch.chdir(other)
    train(Path("models/base") / family, *FOLDERS)
    close = 1e-5 if not torch.cuda.is_available() else 2e-2
    for curve in ("loss", *(("val_cer", "eval_loss") if "early_stopping" in change else ())):
        assert read_curve(mine, curve) == pytest.approx(read_curve(other, curve), rel=close)
    ours, theirs = (project / "models/adapter" for project in (mine, other))
    assert {path.name for path in ours.iterdir()} == {path.name for path in theirs.iterdir()}
    weights = "model.safetensors" if change.get("method") == "full" else "adapter_model.safetensors"
    before, after = load_file(theirs / weights), load_file(ours / weights)
    assert {key: value.shape for key, value in before.items()} == {key: value.shape for key, value in after.items()}
    for file in ("adapter_config.json", "config.json"):
        if (theirs / file).is_file():
            told, kept = (json.loads((adapter / file).read_text()) for adapter in (theirs, ours))
            kept = {key: value for key, value in kept.items() if "expert_lora" not in key and key != "lora_B_layout"}  # notes of its own
            kept.get("auto_mapping", {}).pop("unsloth_fused_expert_lora", None)
            assert kept | {"task_type": None, "use_cache": None} == told | {"task_type": None, "use_cache": None}
    assert {path.name for path in mine.iterdir()} <= {"data", "metrics", "models", "params.yaml", ".checkpoints"}
    monkeypatch.chdir(mine)
    merge(Path("models/base") / family, *FOLDERS[-2:-1], *FOLDERS[:2], Path("models/merged"), Path("metrics/merge.json"))


GO_ON = """
import sys
from pathlib import Path
from unsloth_on_cpu import start
start()
from ocrtune.training.finetuning import finetune
from ocrtune.params.load import load_section, read_params
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams
from ocrtune.rows import read_rows

profile, params = load_section("students.smolvlm", StudentProfile), load_section("train", TrainParams)
rows = {name: read_rows(Path(f"data/splits/{name}.jsonl")) for name in ("train", "val")}
for name, steps in (("whole", [4]), ("broken", [2, 4])):
    for max_steps in steps:
        told = params.model_copy(update={"max_steps": max_steps, "save_steps": 2})
        model, *_ = finetune(Path("models/base/smolvlm"), profile, told, rows, Path("data/splits"), Path(name) / "log",
                             Path(name) / "checkpoints")
    model.save_pretrained(name)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("unsloth") is None, reason="not installed")
def test_a_training_that_goes_on_ends_as_an_unbroken_one(tmp_path):
    write_project(tmp_path, "smolvlm", {}, "unsloth")
    done = subprocess.run([sys.executable, "-c", GO_ON], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}, timeout=1200)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "goes on from step 2" in done.stdout
    whole, broken = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert whole == broken
