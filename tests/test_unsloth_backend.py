"""The backend that wants a GPU says what it lacks, before anything else is done."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from ocrtune.params.students import StudentProfile
from ocrtune.params.train import LoraParams, TrainParams
from ocrtune.unsloth_backend import import_unsloth, load_for_unsloth
from stages.train import main as train
from tools.make_tiny import make_tiny

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
