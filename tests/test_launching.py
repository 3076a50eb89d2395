"""Two processes that train together give the losses and the weights of one that sees the same batch."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, page_row
from ports import free_port

from ocrtune.params.train import LaunchParams
from ocrtune.rows import write_rows
from ocrtune.training.launching import launch_command, wants_launch

WORDS = ["models/base/tiny", "data/pages", "data/splits", "data/rehearsal"]
TEXTS = ["ab 12", "cat", "dog 7", "Zug", "fee", "Hut 3", "nie", "17 ok"]


@pytest.fixture
def ready(project, student):
    """Return a project with eight lines to learn, the last two to validate with."""
    (project.folder / "data/rehearsal").mkdir(parents=True)
    (project.folder / "data/rehearsal/rehearsal.jsonl").touch()
    rows = [page_row(project.folder / "data/pages", f"d{number}", 1, text, 80) for number, text in enumerate(TEXTS)]
    write_rows(project.folder / "data/pages/pages.jsonl", rows)
    split = [{**row, "image": f"../pages/{row['image']}", "text": row["text_layer"]} for row in rows]
    write_rows(project.folder / "data/splits/train.jsonl", split)
    write_rows(project.folder / "data/splits/val.jsonl", split[-2:])
    project.params["train"] |= {"epochs": None, "max_steps": 6, "warmup_steps": 0, "rehearsal": 0.0, "per_device_batch_size": 8,
                                "logging_steps": 1, "save_steps": 2, "early_stopping": {"eval_steps": 3, "num_pages": 2, "patience": 3}}
    project.params["students"]["tiny"]["max_new_tokens"] = 4
    project.save()
    return project


def losses(project, name: str) -> list[float]:
    """Return the loss of each step."""
    lines = [line.split("\t") for line in (project.folder / name / "log/plots/metrics/loss.tsv").read_text().splitlines()]
    return [float(line[lines[0].index("loss")]) for line in lines[1:]]


def test_two_processes_learn_what_one_learns(ready):
    from safetensors.torch import load_file

    from stages.train import train

    base, *folders = map(Path, WORDS)
    train(base, tuple(folders), Path("one/adapter"), Path("one/log"))
    ready.params["train"] |= {"per_device_batch_size": 4, "launch": {"processes": 2}}
    ready.save()
    code, output = ready.run("-m", "stages.train", *WORDS, "two/adapter", "two/log")
    assert code == 0, output[-3000:]
    alone, together = losses(ready, "one"), losses(ready, "two")
    assert len(alone) == 6
    assert alone[-1] < alone[0]
    assert together == pytest.approx(alone, rel=2e-4)
    one, two = (load_file(ready.folder / name / "adapter/adapter_model.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 0.1 * max(float(weight.abs().max()) for weight in one.values())
    figures = [json.loads((ready.folder / name / "log/metrics.json").read_text()) for name in ("one", "two")]
    assert figures[0]["best_step"] == figures[1]["best_step"]
    assert output.count("train: 8 examples") == 1  # the first process alone speaks and writes
    assert not list((ready.folder / ".checkpoints").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's service")
def test_no_process_outlives_a_stage_that_is_killed(ready):
    import psutil

    ready.params["train"] |= {"max_steps": 2000, "per_device_batch_size": 4, "launch": {"processes": 2}}
    ready.save()
    stage = ready.start("-m", "stages.train", *WORDS, "adapter", "log")
    try:
        while not list(ready.folder.glob(".checkpoints/*/checkpoint-*")):
            assert stage.poll() is None, stage.communicate()[0][-3000:]
            time.sleep(0.1)
        family = psutil.Process(stage.pid).children(recursive=True)
        assert sum(words[1:3] == ["-u", "-m"] for words in (process.cmdline() for process in family)) == 2
    finally:
        stage.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


@pytest.mark.slow  # two launchers, with two interpreters each
def test_two_machines_learn_together_and_the_first_writes(ready, monkeypatch):
    ready.params["train"] |= {"per_device_batch_size": 4, "launch": {"processes": 2, "machines": 2}, "early_stopping": None}
    ready.save()
    monkeypatch.setenv("OCRTUNE_MAIN_HOST", "127.0.0.1")
    monkeypatch.setenv("OCRTUNE_MAIN_PORT", str(free_port()))
    machines = []
    for rank, name in enumerate(("first", "second")):
        monkeypatch.setenv("OCRTUNE_MACHINE_RANK", str(rank))
        machines.append(ready.start("-m", "stages.train", *WORDS, f"{name}/adapter", f"{name}/log"))
    outputs = [machine.communicate(timeout=200)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], outputs
    learnt = losses(ready, "first")
    assert len(learnt) == 6
    assert learnt[-1] < learnt[0]
    assert (ready.folder / "first/adapter/adapter_model.safetensors").is_file()
    assert not (ready.folder / "second").exists()


def test_a_mistake_in_one_process_is_told_and_fails(ready):
    ready.params["train"] |= {"launch": {"processes": 2}, "max_length": 2}
    ready.save()
    code, output = ready.run("-m", "stages.train", *WORDS, "adapter", "log")
    assert code == 1
    assert "no example is left to train on" in output
    assert "error: stages.train: one of 2 processes failed" in output


def test_several_machines_want_an_address(monkeypatch):
    launch = LaunchParams(processes=4, machines=2, mixed_precision="bf16", config_file="fsdp.yaml")
    with pytest.raises(ValueError, match="set OCRTUNE_MACHINE_RANK and OCRTUNE_MAIN_HOST on each machine"):
        launch_command(launch, "stages.train", WORDS)
    monkeypatch.setenv("OCRTUNE_MACHINE_RANK", "1")
    monkeypatch.setenv("OCRTUNE_MAIN_HOST", "gpu1")
    command = " ".join(launch_command(launch, "stages.train", WORDS))
    for words in ("--num_processes 4 --num_machines 2 --mixed_precision bf16", "--config_file fsdp.yaml", "--machine_rank 1",
                  "--main_process_ip gpu1 --main_process_port 29500 -m stages.train models/base/tiny"):
        assert words in command
    with pytest.raises(ValueError, match="3 processes can't be shared out among 2 machines"):
        LaunchParams(processes=3, machines=2)


def test_parts_of_a_model_read_no_pages(ready, monkeypatch, tmp_path):
    """A sharded training with early stopping ends before its first step: no process has the model to read with."""
    from stages.train import train

    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("LOCAL_RANK", "0")
    base, *folders = map(Path, WORDS)
    with pytest.raises(ValueError, match=r"train\.early_stopping: no process holds the whole model"):
        train(base, tuple(folders), tmp_path / "adapter", tmp_path / "log")


def test_one_process_needs_no_launcher(monkeypatch):
    assert not wants_launch(LaunchParams())
    assert wants_launch(LaunchParams(processes=2))
    assert wants_launch(LaunchParams(mixed_precision="bf16"))
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert not wants_launch(LaunchParams(processes=2))


def test_accelerate_takes_the_command(tmp_path):
    """Its own parser knows every option that we give."""
    command = launch_command(LaunchParams(processes=2), "json.tool", ["--help"])
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "usage" in done.stdout
