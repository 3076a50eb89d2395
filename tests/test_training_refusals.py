"""What stops a training before it begins, or at a save, is told with its remedy."""

import errno
import subprocess

import pytest

from ocrtune.params.students import StudentProfile
from ocrtune.params.train import LoraParams, TrainParams
from ocrtune.training.saving import clear_when_full
from ocrtune.training.trainer import check_settings

PROFILE = StudentProfile(prompts={"ocr": ""})
PARAMS = TrainParams(mode="both", lora=LoraParams(r=16, alpha=32), learning_rate=1e-2, max_steps=100, per_device_batch_size=4,
                     save_steps=1000)


def test_what_can_not_be_trained_is_told_before_a_model_is_loaded(monkeypatch):
    with pytest.raises(ValueError, match=r"train\.method full: a student whose dtype is float16 can't be trained whole"):
        check_settings(PROFILE.model_copy(update={"dtype": "float16"}), PARAMS.model_copy(update={"method": "full"}))
    monkeypatch.setattr("ocrtune.training.trainer.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"train\.wandb: wandb is not installed; run `./run uv pip install wandb`"):
        check_settings(PROFILE, PARAMS.model_copy(update={"wandb": True}))


def test_a_repository_without_a_commit_is_told_before_a_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_settings(PROFILE, PARAMS)  # no repository: curves are kept without one
    subprocess.run(["git", "init", "-q"], check=True)
    with pytest.raises(ValueError, match=r"git has no commit here yet, .*: git add --all && git commit --message begin"):
        check_settings(PROFILE, PARAMS)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "begin", "--allow-empty"], check=True)
    check_settings(PROFILE, PARAMS)


def test_only_what_wants_room_is_told_to_make_room(tmp_path):
    def fail(error: Exception) -> str:
        with pytest.raises((ValueError, RuntimeError)) as caught, clear_when_full("here", "make room"):
            raise error
        return f"{caught.type.__name__}: {caught.value}"

    full = OSError(errno.ENOSPC, "No space left on device")
    denied = PermissionError(errno.EACCES, "Permission denied", "x")
    assert fail(full) == f"ValueError: here: can't be saved: {full}; make room"
    assert fail(denied) == f"ValueError: here: can't be saved: {denied}"
    assert fail(RuntimeError("a process is gone")) == "RuntimeError: a process is gone"
