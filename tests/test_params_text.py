"""A value in the text of params.yaml is changed where it stands, and nothing else is."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ocrtune.params.load import parse_params
from ocrtune.search.params_text import change_values, keep_layout

ROOT = Path(__file__).parents[1]
TEXT = """# words
train:      # more words
  mode: both   # a # b
  lora: {r: 16, alpha: 32}
  rate: 1.0e-4
  text: "a: 'b'"
  stop: null
  empty:
"""


def test_values_change_where_they_stand():
    changes = {"train.mode": "llm", "train.lora.r": 8, "train.rate": 5e-05, "train.text": 'c "d": e', "train.stop": 0.25}
    changed = change_values(TEXT, changes)
    assert changed == TEXT.replace("both   #", "llm    #").replace("16", "8").replace("1.0e-4", "5.0e-05").replace(
        '''"a: 'b'"''', """'c "d": e'""").replace("null", "0.25")
    assert parse_params(changed)["train"] == {"mode": "llm", "lora": {"r": 8, "alpha": 32}, "rate": 5e-05, "text": 'c "d": e', "stop": 0.25,
                                              "empty": None}


def test_a_comment_stays_in_its_column_as_far_as_it_can():
    line = "folder: data/site     # documents"
    assert [change_values(line, {"folder": value}) for value in ("a", "my_documents", "a/folder/of/many/documents")] == [
        "folder: a             # documents", "folder: my_documents  # documents", "folder: a/folder/of/many/documents  # documents"]


@pytest.mark.parametrize("path", ["train.new", "train.lora", "train.empty", "train.mode.deeper", "absent.mode"])
def test_what_has_no_place_is_left_to_others(path):
    assert change_values(TEXT, {path: 1}) is None


def test_the_projects_own_file_keeps_every_other_line():
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    changed = change_values(text, {"train.learning_rate": 5e-05, "students.tiny.max_new_tokens": 7, "train.max_length": 300})
    assert sum(one != two for one, two in zip(text.splitlines(), changed.splitlines(), strict=True)) == 3


def test_what_dvc_writes_after_a_change_is_read_as_before(tmp_path):
    """`dvc exp run -S` writes the whole file anew, as YAML 1.2: `"no"` loses its quotes."""
    from dvc.utils.serialize import modify_yaml

    path = tmp_path / "params.yaml"
    path.write_bytes((ROOT / "params.yaml").read_bytes())
    before = parse_params(path.read_text(encoding="utf-8"))
    with modify_yaml(path) as values:
        values["train"]["seed"] = 7
    after = parse_params(path.read_text(encoding="utf-8"))
    assert after["train"].pop("seed") == 7 and before["train"].pop("seed") == 0
    assert after == before


def test_values_as_dvc_writes_them_keep_their_kind():
    assert parse_params("a: no\nb: On\nc: true\nd: False\ne: ~") == {"a": "no", "b": "On", "c": True, "d": False, "e": None}
    assert parse_params("a: 5e-05\nb: 1E+3\nc: -2e3\nd: 0xe1\ne: e5\nf: 1.5e-3") == {
        "a": 5e-05, "b": 1000.0, "c": -2000.0, "d": 0xE1, "e": "e5", "f": 0.0015}


@pytest.mark.parametrize("change", [{"train": {"mode": "llm"}}, {"new": 1}])
def test_other_keys_are_no_matter_of_layout(change):
    assert keep_layout(TEXT, parse_params(TEXT) | change) is None


def test_after_an_experiment_the_file_is_as_people_wrote_it_but_for_its_values(tmp_path):
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    subprocess.run("git init -q && git add . && git -c user.name=t -c user.email=t@example.org commit -qm x", shell=True, cwd=tmp_path,
                   check=True)
    values = yaml.safe_load(text)
    values["train"]["lora"]["r"], values["train"]["max_length"] = 8, 300
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")  # any layout
    command = [sys.executable, "-m", "tools.tidy"]
    for words in ("2 lines differ", "is that of the last commit"):
        done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
        assert words in done.stdout, done.stderr
    tidied = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    assert parse_params(tidied) == values
    assert sum(one != two for one, two in zip(text.splitlines(), tidied.splitlines(), strict=True)) == 2
