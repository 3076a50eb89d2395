"""Processes that need a GPU take one each, and give it back when they end, however they end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLAIM = """
import os
from ocrtune.models.gpu_locks import claim_gpu
print(claim_gpu(), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
input()
"""


@pytest.fixture
def claim(tmp_path):
    """Return a function that starts a process which claims a GPU and holds it until it is fed a line or killed."""
    started = []

    def start(**environment: str) -> subprocess.Popen:
        clean = {name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "OCRTUNE_GPUS")}
        process = subprocess.Popen([sys.executable, "-c", CLAIM], cwd=ROOT, env=clean | {"TMPDIR": str(tmp_path)} | environment, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_each_takes_its_own_and_the_third_waits_until_one_dies(claim):
    first, second = claim(OCRTUNE_GPUS="0,1"), None
    assert first.stdout.readline().split() == ["0", "0"]
    second = claim(OCRTUNE_GPUS="0,1")
    assert second.stdout.readline().split() == ["1", "1"]
    third = claim(OCRTUNE_GPUS="0,1")
    assert "all 2 GPUs are taken" in third.stderr.readline()
    second.kill()
    assert third.stdout.readline().split() == ["1", "1"]


@pytest.mark.parametrize(("environment", "seen"), [
    ({"OCRTUNE_GPUS": "0"}, "None"), ({"OCRTUNE_GPUS": ""}, "None"), ({"OCRTUNE_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "1"}, "1"),
    ({"OCRTUNE_GPUS": "0,1", "LOCAL_RANK": "0"}, "None"),
])
def test_nothing_is_claimed_where_there_is_no_choice_or_a_choice_was_made(claim, environment, seen):
    one, two = claim(**environment), claim(**environment)
    assert one.stdout.readline().split() == two.stdout.readline().split() == ["None", seen]
