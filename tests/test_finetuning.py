"""Fine-tuning learns, adapts the towers it is told to, and gives the same bytes, killed or not."""

import json
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from conftest import draw_line
from safetensors.torch import load_file

from ocrtune.models.vlm import generate_texts, load_model, load_processor, open_image
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import EarlyStopping, LoraParams, TrainParams
from ocrtune.rows import write_json
from ocrtune.training.checkpoints import checkpoint_folder, last_checkpoint
from ocrtune.training.finetuning import finetune
from ocrtune.training.lora_targets import find_towers
from ocrtune.training.selection import generated_cer

PROFILE = StudentProfile(prompts={"ocr": ""}, max_new_tokens=12)
TEXTS = ["ab 12", "cat", "dog 7", "Zug", "fee", "Hut 3", "nie", "17 ok"]
PARAMS = TrainParams(mode="both", lora=LoraParams(r=16, alpha=32), learning_rate=1e-2, max_steps=100, per_device_batch_size=4,
                     save_steps=1000, logging_steps=20, warmup_steps=2)
SHORT = {"max_steps": 6, "save_steps": 2, "logging_steps": 2}


@pytest.fixture
def rows(tmp_path) -> dict[str, list[dict]]:
    """Draw eight lines; the last two are for validation too."""
    train = []
    for number, text in enumerate(TEXTS):
        draw_line(tmp_path / f"{number}.png", text, 80)
        train.append({"page_id": f"l{number}", "image": f"{number}.png", "text": text})
    return {"train": train, "val": train[-2:]}


@pytest.fixture
def train(built_student, rows, tmp_path):
    """Return a function that fine-tunes into a named folder, with changed params, and returns the model."""
    def run(name: str, **change):
        params = PARAMS.model_copy(update=change)
        model, *_ = finetune(built_student, PROFILE, params, rows, tmp_path, tmp_path / name / "log", tmp_path / name / "checkpoints")
        model.save_pretrained(tmp_path / name)
        return model
    return run


def count_wrong_characters(model, folder: Path, images: Path) -> int:
    from ocrtune.scoring.edits import count_edits

    pictures = [open_image(images / f"{number}.png") for number in range(8)]
    readings = generate_texts(model.eval(), load_processor(folder, PROFILE), pictures, PROFILE)
    return sum(count_edits(text, reading).total for text, (reading, _) in zip(TEXTS, readings, strict=True))


def read_curves(log: Path) -> dict[str, list[list[str]]]:
    """Return the lines of each curve, without the times at which they were written."""
    curves = {}
    for path in sorted((log / "plots/metrics").glob("*.tsv")):
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        columns = [index for index, column in enumerate(lines[0]) if column != "timestamp"]
        curves[path.name] = [[line[index] for index in columns] for line in lines]
    assert {"loss.tsv", "learning_rate.tsv"} <= curves.keys()
    return curves


def adapter_bytes(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def test_training_asks_nobody_on_the_network(train, monkeypatch):
    asked = []
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda *args, **kwargs: asked.append(args))
    train("run", max_steps=1)
    assert not asked


def test_training_learns_the_lines_it_is_shown(train, built_student, tmp_path):
    total = sum(map(len, TEXTS))
    assert count_wrong_characters(load_model(built_student, PROFILE), built_student, tmp_path) > 0.8 * total
    model = train("run", max_steps=100, logging_steps=20, eval_steps=50)
    assert count_wrong_characters(model, built_student, tmp_path) < 0.2 * total
    losses = [line.split("\t") for line in (tmp_path / "run/log/plots/metrics/loss.tsv").read_text().splitlines()]
    assert [line[losses[0].index("step")] for line in losses[1:]] == ["20", "40", "60", "80", "100"]
    assert float(losses[-1][-1]) < 0.3 * float(losses[1][-1])
    assert len((tmp_path / "run/log/plots/metrics/eval_loss.tsv").read_text().splitlines()) == 3


@pytest.mark.parametrize(("change", "towers"), [
    ({"mode": "vision"}, {"vision", "projector"}), ({"mode": "vision", "projector": False}, {"vision"}), ({"mode": "llm"}, {"llm"}),
    ({"mode": "both"}, {"vision", "projector", "llm"}),
])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_mode_changes_its_towers_alone(train, built_student, method, change, towers):
    # With r 1 and two steps all B matrices have left zero: merged, each adapted layer differs from the base.
    model = train("run", method=method, max_steps=2, lora=LoraParams(r=1, alpha=1), **change)
    after = (model.merge_and_unload() if method == "lora" else model).state_dict()
    before = load_model(built_student, PROFILE).state_dict()
    assert before.keys() == after.keys()
    tower_of = find_towers(load_model(built_student, PROFILE))
    changed = {name for name in before if not torch.equal(before[name], after[name].to(before[name].device))}
    assert {tower_of(name) for name in changed} - {"head"} == towers
    expected = {name for name in before if tower_of(name) in towers and name.endswith("proj.weight")}
    assert len(expected) > 3
    assert expected <= changed


def test_two_runs_give_the_same_bytes_and_another_seed_others(train, tmp_path):
    for name, change in (("one", {}), ("two", {}), ("other", {"seed": 1})):
        train(name, **SHORT, **change)
    assert adapter_bytes(tmp_path / "one") == adapter_bytes(tmp_path / "two")
    assert adapter_bytes(tmp_path / "one") != adapter_bytes(tmp_path / "other")


def test_the_weights_that_read_best_are_kept_and_training_stops(train, built_student, tmp_path, capfd):
    # A learning rate that destroys what it has built: the best step is an early one.
    stopping = EarlyStopping(eval_steps=10, num_pages=2, patience=2)
    model = train("run", learning_rate=3e-2, schedule="constant", max_steps=200, early_stopping=stopping)
    rows = [line.split("\t") for line in (tmp_path / "run/log/plots/metrics/val_cer.tsv").read_text().splitlines()]
    read = [(float(row[rows[0].index("val_cer")]), int(row[rows[0].index("step")])) for row in rows[1:]]
    best, step = min(read)
    assert read[-1][1] in (step + 20, 200)
    assert f"best after step {step} of {read[-1][1]}" in capfd.readouterr().out
    images = [{"image": f"{number}.png", "text": TEXTS[number]} for number in (6, 7)]
    assert generated_cer(model, load_processor(built_student, PROFILE), PROFILE, images, tmp_path) == best


@pytest.mark.parametrize("change", [
    {"max_steps": 40, "learning_rate": 3e-2, "early_stopping": EarlyStopping(eval_steps=2, num_pages=2, patience=1)},  # stops early
    {"max_steps": 3},  # in the midst of an epoch
])
def test_a_training_that_had_ended_takes_no_step_more(train, tmp_path, capfd, change):
    """As where its adapter could not be saved, and it is run again."""
    train("run", **SHORT | change)
    weights, curves = adapter_bytes(tmp_path / "run"), read_curves(tmp_path / "run/log")
    end = int(last_checkpoint(tmp_path / "run/checkpoints").rpartition("-")[2])
    assert end == 3 or end < 40
    capfd.readouterr()
    train("run", **SHORT | change)
    assert f"goes on from step {end}" in capfd.readouterr().out
    assert adapter_bytes(tmp_path / "run") == weights
    assert read_curves(tmp_path / "run/log") == curves


def test_checkpoints_without_the_weights_that_read_best_are_not_gone_on_with(train, tmp_path, capfd):
    settings = SHORT | {"early_stopping": EarlyStopping(eval_steps=3, num_pages=2, patience=9)}
    train("run", **settings)
    weights = adapter_bytes(tmp_path / "run")
    (tmp_path / "run/checkpoints/best.safetensors").unlink()
    train("run", **settings)
    output = capfd.readouterr().out
    assert "checkpoint-6: left out, for best.safetensors is not there" in output
    assert "goes on from" not in output
    assert adapter_bytes(tmp_path / "run") == weights


TRAIN = """
import json, sys
from pathlib import Path
from ocrtune.training.finetuning import finetune
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams

student, folder = map(Path, sys.argv[1:])
told = json.loads((folder / "told.json").read_text())
finetune(student, StudentProfile(**told["profile"]), TrainParams(**told["params"]), told["rows"], folder,
         folder / "killed/log", folder / "killed/checkpoints")
"""


def test_a_killed_training_goes_on_and_ends_with_the_same_bytes(train, rows, built_student, project, capfd):
    folder = project.folder
    settings = {"max_steps": 16, "save_steps": 2, "logging_steps": 2, "lora": LoraParams(r=4, alpha=8, dropout=0.1),
                "early_stopping": EarlyStopping(eval_steps=3, num_pages=2, patience=9)}
    train("whole", **settings)
    told = {"profile": PROFILE.model_dump(), "params": PARAMS.model_copy(update=settings).model_dump(), "rows": rows}
    write_json(folder / "told.json", told)
    process = project.start("-c", TRAIN, built_student, folder)
    while not list(folder.glob("killed/checkpoints/checkpoint-4/trainer_state.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    checkpoint = Path(last_checkpoint(folder / "killed/checkpoints"))
    assert 2 <= int(checkpoint.name.rsplit("-", 1)[1]) < 16
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    state["log_history"].append({"step": 2, "eval_loss": 42.0})  # a mark: who starts anew has it not
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    capfd.readouterr()
    train("killed", **settings)
    assert "goes on from step" in capfd.readouterr().out
    assert adapter_bytes(folder / "killed") == adapter_bytes(folder / "whole")
    curves = read_curves(folder / "killed/log")
    assert curves.pop("eval_loss.tsv") == [["step", "eval_loss"], ["2", "42.0"]]
    assert curves == read_curves(folder / "whole/log")


@pytest.mark.parametrize(("step", "accumulation"), [(6, 1), (3, 2)])  # half the second epoch: eight examples, two a batch
def test_a_training_goes_on_in_the_midst_of_an_epoch_with_the_examples_that_were_next(train, tmp_path, capfd, step, accumulation):
    settings = {"max_steps": 2 * step - 1, "save_steps": step, "per_device_batch_size": 2, "gradient_accumulation_steps": accumulation,
                "lora": LoraParams(r=4, alpha=8, dropout=0.1)}
    train("whole", **settings)
    shutil.copytree(tmp_path / f"whole/checkpoints/checkpoint-{step}", tmp_path / f"again/checkpoints/checkpoint-{step}")
    capfd.readouterr()
    train("again", **settings)
    assert f"goes on from step {step}" in capfd.readouterr().out
    assert adapter_bytes(tmp_path / "again") == adapter_bytes(tmp_path / "whole")


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"])
def test_a_torn_checkpoint_is_told_and_an_earlier_one_taken(train, tmp_path, capfd, file):
    train("whole", **SHORT)
    train("torn", **SHORT | {"max_steps": 4})
    torn = tmp_path / "torn/checkpoints/checkpoint-4" / file
    torn.write_bytes(torn.read_bytes()[:-200])
    capfd.readouterr()
    train("torn", **SHORT)
    told = capfd.readouterr().out
    assert f"checkpoint-4: {file} is missing or torn: removed; an earlier checkpoint is used" in told
    assert "goes on from step 2" in told
    assert (tmp_path / "torn/checkpoints/checkpoint-6").is_dir()


def test_a_training_that_goes_astray_ends_at_once(train, tmp_path):
    kept = tmp_path / "run/checkpoints"
    with pytest.raises(ValueError, match=rf"step \d: loss is nan: training went astray and ends here; .*; checkpoints stay in {kept}"):
        train("run", **SHORT | {"save_steps": 1, "logging_steps": 50, "warmup_steps": 0, "learning_rate": 1e30, "max_grad_norm": 1e30})
    weights = load_file(Path(last_checkpoint(kept)) / "adapter_model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_gradients_that_are_no_numbers_never_reach_the_weights(train, tmp_path, monkeypatch):
    from accelerate import Accelerator

    norms = iter([1.0, float("nan")])
    monkeypatch.setattr(Accelerator, "clip_grad_norm_", lambda *_: torch.tensor(next(norms)))
    with pytest.raises(ValueError, match="step 2: grad_norm is nan: training went astray"):
        train("run", **SHORT | {"save_steps": 1})
    assert last_checkpoint(tmp_path / "run/checkpoints").endswith("checkpoint-1")


def test_without_validation_pages_the_last_step_is_kept_and_that_is_told(train, rows, tmp_path, capfd):
    rows["val"] = []
    train("run", **SHORT, early_stopping=EarlyStopping())
    assert "early_stopping: no page of val to read: the last step's weights are kept" in capfd.readouterr().out


def test_a_checkpoint_that_a_kill_left_unfinished_is_passed_over(tmp_path):
    for step, state in ((2, "{}"), (10, "{}"), (12, ""), (14, '{"epoch": 1'), (16, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-2"]
    assert last_checkpoint(tmp_path / "absent") is None


def test_checkpoints_of_other_inputs_are_never_gone_on_with(rows, monkeypatch):
    inputs = ["weights", PARAMS.model_dump(), PROFILE.model_dump(), rows, ["image hash"]]
    others = [[*inputs[:index], ["other"], *inputs[index + 1 :]] for index in range(len(inputs))]
    assert len({checkpoint_folder(*told) for told in [inputs, *others]}) == len(inputs) + 1
    monkeypatch.setenv("DVC_ROOT", "/main")
    assert checkpoint_folder(*inputs).parent == Path("/main/.checkpoints")


def test_the_adapter_file_holds_what_was_trained(train, tmp_path):
    model = train("run", **SHORT, mode="llm")
    tensors = load_file(tmp_path / "run/adapter_model.safetensors")
    trained = {name.replace(".default", "") for name, weight in model.named_parameters() if weight.requires_grad}
    assert tensors.keys() == trained
    assert all(tensor.abs().sum() > 0 for tensor in tensors.values())


def test_no_room_to_save_is_told_and_the_last_checkpoint_kept(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # no repository here, so that the limit meets no database of DVC
    train("whole", **SHORT)
    train("full", **SHORT | {"max_steps": 2})
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, kept[1]))
    try:
        with pytest.raises(ValueError, match=r"step 4: can't be saved: .*; make room and run the same again: it goes on from the last"):
            train("full", **SHORT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
        signal.signal(signal.SIGXFSZ, before)
    assert last_checkpoint(tmp_path / "full/checkpoints").endswith("checkpoint-2")
    train("full", **SHORT)
    assert adapter_bytes(tmp_path / "full") == adapter_bytes(tmp_path / "whole")


def test_checkpointed_gradients_are_the_same(train, tmp_path):
    for name, saves in (("kept", False), ("again", True)):
        train(name, **SHORT, gradient_checkpointing=saves)
    kept, again = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("kept", "again"))
    assert all(torch.allclose(kept[name], again[name], atol=1e-5) for name in kept)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_base_in_half_precision_learns_with_an_adapter_in_whole(built_student, rows, tmp_path, dtype):
    profile = PROFILE.model_copy(update={"dtype": dtype})
    model, *_ = finetune(built_student, profile, PARAMS.model_copy(update={"max_steps": 20, "logging_steps": 5}), rows, tmp_path,
                        tmp_path / "log", tmp_path / "checkpoints")
    kinds = {weight.dtype for weight in model.parameters() if weight.requires_grad}
    assert kinds == {torch.float32}
    assert {weight.dtype for weight in model.parameters() if not weight.requires_grad} == {getattr(torch, dtype)}
    losses = [float(line[-1]) for line in read_curves(tmp_path / "log")["loss.tsv"][1:]]
    assert losses[-1] < 0.9 * losses[0]
