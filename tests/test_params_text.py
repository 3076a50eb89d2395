"""A value in the text of params.yaml is changed where it stands, and nothing else is."""

from pathlib import Path

import pytest

from ocrtune.params.load import parse_params
from ocrtune.params_text import change_values

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
    assert changed == TEXT.replace("both", "llm").replace("16", "8").replace("1.0e-4", "5.0e-05").replace(
        '''"a: 'b'"''', """'c "d": e'""").replace("null", "0.25")
    assert parse_params(changed)["train"] == {"mode": "llm", "lora": {"r": 8, "alpha": 32}, "rate": 5e-05, "text": 'c "d": e', "stop": 0.25,
                                              "empty": None}


@pytest.mark.parametrize("path", ["train.new", "train.lora", "train.empty", "train.mode.deeper", "absent.mode"])
def test_what_has_no_place_is_left_to_others(path):
    assert change_values(TEXT, {path: 1}) is None


def test_the_projects_own_file_keeps_every_other_line():
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    changed = change_values(text, {"train.learning_rate": 5e-05, "students.tiny.max_new_tokens": 7, "train.max_length": 300})
    assert sum(one != two for one, two in zip(text.splitlines(), changed.splitlines(), strict=True)) == 3


def test_numbers_as_dvc_writes_them_are_numbers():
    assert parse_params("a: 5e-05\nb: 1E+3\nc: -2e3\nd: 0xe1\ne: e5\nf: 1.5e-3") == {
        "a": 5e-05, "b": 1000.0, "c": -2000.0, "d": 0xE1, "e": "e5", "f": 0.0015}
