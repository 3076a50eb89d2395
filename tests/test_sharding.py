"""Two processes that hold half a model each learn what one that holds it all learns (FSDP; DeepSpeed where it is installed)."""

import json
import os
import re
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT
from safetensors.torch import load_file
from test_launching import WORDS, losses, ready  # noqa: F401  (a fixture)

from ocrtune.params.train import LaunchParams
from ocrtune.training.launching import launch_command

FILES = {"lora": "adapter_model.safetensors", "full": "model.safetensors"}  # what holds the weights learnt, by train.method
ZERO = """
distributed_type: DEEPSPEED
deepspeed_config: {{zero_stage: {stage}, zero3_save_16bit_model: true, gradient_clipping: 1.0}}
"""


@pytest.fixture
def project(ready):  # noqa: F811
    """Return the project of eight lines, without readings of validation pages, which want the whole model."""
    ready.params["train"]["early_stopping"] = None
    ready.save()
    return ready


def train_alone(project) -> None:
    from stages.train import train

    base, *folders = map(Path, WORDS)
    train(base, tuple(folders), Path("one/adapter"), Path("one/log"))


def start_two(project, config: str, module: str) -> subprocess.Popen:
    """Start the stage in two processes, which share what one took, with a configuration of accelerate's."""
    (project.folder / "shared.yaml").write_text(config)
    launch = LaunchParams(processes=2, config_file="shared.yaml")
    project.params["train"] |= {"per_device_batch_size": project.params["train"]["per_device_batch_size"] // 2,
                                "launch": launch.model_dump()}
    project.save()
    return subprocess.Popen(launch_command(launch, module, [*WORDS, "two/adapter", "two/log"]), cwd=project.folder, text=True,
                            env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            start_new_session=True)


def finish(process: subprocess.Popen) -> str:
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output[-3000:]
    return output


def fsdp_config() -> str:
    """Return the configuration that the page on machines shows."""
    return re.search(r"```yaml fsdp.yaml\n(.*?)```", (ROOT / "docs/machines.md").read_text(encoding="utf-8"), re.DOTALL)[1]


def check_alike(project, file: str) -> None:
    """The losses agree, and so do the weights that were learnt."""
    alone, together = losses(project, "one"), losses(project, "two")
    assert len(alone) == 6
    assert alone[-1] < alone[0]
    assert together == pytest.approx(alone, rel=2e-4)
    one, two = (load_file(project.folder / name / "adapter" / file) for name in ("one", "two"))
    assert {name: weight.shape for name, weight in one.items()} == {name: weight.shape for name, weight in two.items()}
    largest = max(float(weight.abs().max()) for weight in one.values())
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-3 * largest


@pytest.mark.parametrize(("method", "file"), FILES.items())
def test_fsdp_learns_what_one_process_learns_with_half_the_weights_in_each(project, method, file):
    project.params["train"]["method"] = method
    project.save()
    train_alone(project)
    output = finish(start_two(project, fsdp_config(), "fsdp_on_cpu"))
    assert output.count("train: 8 examples") == 1  # the first process alone speaks and writes
    check_alike(project, file)
    shares = [json.loads((project.folder / f"held-{rank}.json").read_text()) for rank in (0, 1)]
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert max(shares) < 0.6


def test_a_killed_fsdp_training_goes_on_in_the_midst_of_an_epoch(project):
    project.params["train"] |= {"per_device_batch_size": 4, "save_steps": 3}  # of the second one, of two steps
    project.save()
    train_alone(project)
    config = fsdp_config()
    killed = start_two(project, config, "fsdp_on_cpu")
    while not list(project.folder.glob(".checkpoints/*/checkpoint-3/trainer_state.json")):
        assert killed.poll() is None, killed.communicate()[0][-3000:]
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    project.params["train"]["per_device_batch_size"] *= 2
    assert "goes on from step 3" in finish(start_two(project, config, "fsdp_on_cpu"))
    check_alike(project, FILES["lora"])


@pytest.mark.slow
@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed (./run uv pip install deepspeed)")
@pytest.mark.parametrize(("method", "stage"), [("lora", 2), ("lora", 3), ("full", 3)])
def test_deepspeed_learns_what_one_process_learns(project, method, stage):
    project.params["train"]["method"] = method
    project.save()
    train_alone(project)
    finish(start_two(project, ZERO.format(stage=stage), "stages.train"))
    check_alike(project, FILES[method])
