"""A run of tools.pretrain that is killed goes on as if it had not been; what it can't do it says before the first line."""

import csv
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from conftest import ROOT

from tools import pretrain

PLAN = {"lines": 24, "chunk": 8, "budget": 3000, "growth": 0.5, "bf16": False}


@pytest.fixture
def sources(tmp_path) -> dict[str, Path]:
    """Return a folder of one typeface and a file of words, as options."""
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts/DejaVuSans.ttf").symlink_to(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf")
    (tmp_path / "words.txt").write_text("the quick brown fox jumps over a lazy dog while seven wizards box")
    return {"fonts": tmp_path / "fonts", "words": tmp_path / "words.txt"}


@pytest.fixture(autouse=True)
def readings_are_short(monkeypatch):
    monkeypatch.setattr("tools.pretrain.measure_cer", lambda model, lines: 0.5)
    monkeypatch.setattr("tools.pretrain.HELD_OUT", 4)


def train(out: Path, sources: dict, **change) -> None:
    pretrain.main(out, **PLAN | sources | change, threads=1, workers=0, checkpoint_s=0)


def losses(out: Path) -> dict[str, str]:
    with (out / "log/plots/metrics/loss/language.tsv").open() as file:
        return {row["step"]: row["language"] for row in csv.DictReader(file, delimiter="\t")}


def test_a_killed_run_goes_on_with_the_same_losses(sources, tmp_path, capsys):
    options = [f"--{name}={value}" for name, value in (PLAN | sources).items() if name != "bf16"]
    command = [sys.executable, "-m", "tools.pretrain", "--out", str(tmp_path / "killed"), *options, "--no-bf16", "--threads=1",
               "--workers=0", "--checkpoint-s=0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline() for _ in range(2)]  # the second chunk is done, and the first is saved
        process.kill()
    assert told[0].split()[:2] == ["8", "lines"]
    train(tmp_path / "killed", sources)
    assert "goes on after " in capsys.readouterr().out
    train(tmp_path / "whole", sources)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 3
    output = capsys.readouterr().out
    assert "random characters and loose crops among them" in output
    weights = [(tmp_path / name / "model/model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert weights[0] == weights[1]
    with pytest.raises(SystemExit):
        train(tmp_path / "whole", sources, seed=99, lines=16)
    assert "begun with lines 24, seed 0, now asked for lines 16, seed 99; ask as before" in capsys.readouterr().err
    (tmp_path / "words.txt").write_text("other words")
    with pytest.raises(SystemExit):
        train(tmp_path / "whole", sources)
    assert "begun with words " in capsys.readouterr().err


def test_lines_that_fill_no_chunk_are_refused(sources, tmp_path, capsys):
    for lines in (0, 7, 100):
        with pytest.raises(SystemExit):
            train(tmp_path / "out", sources, lines=lines)
        assert f"error: --lines {lines}: expected a multiple of --chunk 8, such as " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_two_runs_in_one_folder_and_no_fonts_are_told(sources, tmp_path, capsys):
    with pretrain.lock(tmp_path / "out"), pytest.raises(SystemExit):
        train(tmp_path / "out", sources)
    assert "another run trains here" in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit):
        train(tmp_path / "out", sources | {"fonts": tmp_path / "none"})
    assert "no .ttf or .otf file" in capsys.readouterr().err
