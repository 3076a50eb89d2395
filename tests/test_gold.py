"""Gold is people's work: nothing that anybody saved is ever lost, whoever else saves at the same time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ocrtune.labels.gold import ConflictError, put_gold, read_decisions, read_gold, take_back
from ocrtune.rows import RowError

ROOT = Path(__file__).parents[1]
WRITER = """
import sys
from pathlib import Path
from ocrtune.labels.gold import put_gold
for number in range(40):
    put_gold(Path(sys.argv[1]), f"{sys.argv[2]}{number:02}", f"{sys.argv[2]}{number}", f"text {number}", None, sys.argv[2])
"""


def test_rows_are_sorted_and_keep_their_columns(tmp_path):
    path = tmp_path / "gold.jsonl"
    put_gold(path, "b", "2", "zwei ß", None)
    put_gold(path, "a", "1", None, None)
    assert path.read_text(encoding="utf-8") == ('{"page_id": "a", "sha256": "1", "text": null}\n'
                                                '{"page_id": "b", "sha256": "2", "text": "zwei ß"}\n')


def test_a_file_as_people_keep_it_keeps_its_bytes(tmp_path):
    before = (ROOT / "data/gold.jsonl").read_bytes()
    path = tmp_path / "gold.jsonl"
    path.write_bytes(before)
    row = put_gold(path, "zzz", "new", "text", None)
    assert take_back(path) == row
    assert take_back(path) is None
    assert path.read_bytes() == before


def test_two_writers_at_once_lose_nothing(tmp_path):
    path = tmp_path / "gold.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], cwd=ROOT) for name in "xyz"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(read_gold(path)) == 120
    assert sorted(decision["author"] for decision in read_decisions(path)) == ["x"] * 40 + ["y"] * 40 + ["z"] * 40
    assert take_back(path, "y")["page_id"] == "y39"


def test_another_persons_row_is_not_overwritten_unseen(tmp_path):
    path = tmp_path / "gold.jsonl"
    theirs = put_gold(path, "a", "1", "theirs", None)
    with pytest.raises(ConflictError, match='wrote "theirs"') as conflict:
        put_gold(path, "a", "1", "mine", None)
    assert conflict.value.row == theirs
    mine = put_gold(path, "a", "1", "mine", theirs)
    assert take_back(path) == mine
    assert read_gold(path) == {"1": theirs}


def test_each_takes_back_what_was_ones_own(tmp_path):
    path = tmp_path / "gold.jsonl"
    first = put_gold(path, "a", "1", "first", None, "anna")
    put_gold(path, "b", "2", "second", None, "anna")
    bens = put_gold(path, "b", "2", "his", put_gold(path, "c", "3", None, None, "ben") and read_gold(path)["2"], "ben")
    with pytest.raises(ConflictError, match='b: not undone: somebody else wrote "his"'):
        take_back(path, "anna")
    assert take_back(path, "anna") == first
    assert take_back(path, "anna") is None
    assert take_back(path, "ben") == bens
    assert {digest: row["text"] for digest, row in read_gold(path).items()} == {"2": "second", "3": None}


def test_a_broken_line_is_named_and_kept(tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_text('{"page_id": "a", "sha256": "1"}\n')
    with pytest.raises(RowError, match=r"gold\.jsonl:1"):
        put_gold(path, "b", "2", "text", None)
    assert json.loads(path.read_text()) == {"page_id": "a", "sha256": "1"}
