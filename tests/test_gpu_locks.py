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
print(claim_gpu(int(os.environ.get("COUNT", "1"))), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
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
    assert "of 2 GPUs too few are free; waiting for 1" in third.stderr.readline()
    second.kill()
    assert third.stdout.readline().split() == ["1", "1"]


def test_a_launch_takes_as_many_as_it_starts_processes(claim):
    """Two that want several never have a part each."""
    one = claim(OCRTUNE_GPUS="0,1,2")
    assert one.stdout.readline().split() == ["0", "0"]
    first = claim(OCRTUNE_GPUS="0,1,2", COUNT="3")
    assert "waiting for 1 " in first.stderr.readline()
    second = claim(OCRTUNE_GPUS="0,1,2", COUNT="2")
    assert "waiting for 2 " in second.stderr.readline()
    one.kill()
    assert first.stdout.readline().split() == ["1,2,0", "1,2,0"]
    first.kill()
    assert second.stdout.readline().split() == ["0,1", "0,1"]
    assert claim(OCRTUNE_GPUS="0,1,2").stdout.readline().split() == ["2", "2"]


@pytest.mark.parametrize(("environment", "seen"), [
    ({"OCRTUNE_GPUS": "0"}, "None"), ({"OCRTUNE_GPUS": ""}, "None"), ({"OCRTUNE_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "1"}, "1"),
    ({"OCRTUNE_GPUS": "0,1", "LOCAL_RANK": "0"}, "None"), ({"OCRTUNE_GPUS": "0,1", "COUNT": "3"}, "None"),
])
def test_nothing_is_claimed_where_there_is_no_choice_or_a_choice_was_made(claim, environment, seen):
    one, two = claim(**environment), claim(**environment)
    assert one.stdout.readline().split() == two.stdout.readline().split() == ["None", seen]
