"""Sets of lines are drawn the same each time, and a model is measured on them with intervals, by any column."""

from pathlib import Path

import matplotlib
import pytest
from conftest import ROOT, draw_line

from ocrtune.rows import read_rows, write_rows
from tools import make_lines, measure

WORDS = {"en_US": "quick brown fox jumps over lazy dog while seven wizards box", "vi_VN": "một hai ba bốn năm sáu bảy tám chín mười"}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Pretend that DejaVu and two dictionaries are all that is installed."""
    (tmp_path / "share/truetype").mkdir(parents=True)
    (tmp_path / "share/truetype/dejavu").symlink_to(Path(matplotlib.get_data_path()) / "fonts/ttf")
    for name, words in WORDS.items():
        (tmp_path / f"share/{name}.aff").write_text("SET UTF-8\n")
        (tmp_path / f"share/{name}.dic").write_text("\n".join(["10", *words.split()]) + "\n", encoding="utf-8")
    monkeypatch.setattr("ocrtune.pretraining.typefaces.FONT_ROOTS", (str(tmp_path / "share"),))
    monkeypatch.setattr("ocrtune.pretraining.line_text.DICTIONARIES", tmp_path / "share")


def rows_of(folder: Path) -> list[dict]:
    return read_rows(folder / f"{folder.name}.jsonl", ("page_id", "image", "text", "language", "sha256"))


def test_a_set_is_a_function_of_its_name_and_says_its_languages(installed, tmp_path):
    for place in ("a", "b"):
        make_lines.main(tmp_path / place / "worn", lines=8, worn=True)
    rows = rows_of(tmp_path / "a/worn")
    assert rows == rows_of(tmp_path / "b/worn")
    assert {row["language"] for row in rows} == {"en", "vi"}
    make_lines.main(tmp_path / "vi", lines=3, language="vi")
    assert {row["language"] for row in rows_of(tmp_path / "vi")} == {"vi"}
    make_lines.main(tmp_path / "signs", lines=3, text="characters", min_chars=20, max_chars=20)
    assert all(row["language"] == "" and 14 < len(row["text"]) <= 20 for row in rows_of(tmp_path / "signs"))
    make_lines.main(tmp_path / "mix", lines=3, text="recipe")
    assert len(rows_of(tmp_path / "mix")) == 3


def test_what_is_not_installed_is_named(installed, tmp_path, capsys, monkeypatch):
    for change, told in (({"unseen": True}, "apt install fonts-vollkorn fonts-cabin"),
                         ({"language": "de"}, "no such dictionary; there are en, vi"),
                         ({"min_chars": 9, "max_chars": 8}, "expected 1 <= min <= max"),
                         ({"language": "vi", "text": "recipe"}, "has none")):
        with pytest.raises(SystemExit):
            make_lines.main(tmp_path / "none", **change)
        assert told in capsys.readouterr().err
    monkeypatch.setattr("ocrtune.pretraining.line_text.DICTIONARIES", tmp_path / "nowhere")
    with pytest.raises(SystemExit):
        make_lines.main(tmp_path / "none")
    assert "apt install hunspell-en-us hunspell-de-de" in capsys.readouterr().err


def test_a_model_is_measured_by_set_and_by_column_with_intervals(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    for folder in ("one/lines", "two/lines"):  # of one name, with images of one name
        rows = [{"image": f"{text[0]}.png", "text": text, "kind": text[0]} for text in ("a quick brown fox", "in the morning")]
        for row in rows:
            draw_line(tmp_path / folder / row["image"], row["text"] if folder.startswith("one") else "other", 240)
        write_rows(tmp_path / folder / "lines.jsonl", rows, key="image")
    measure.main(ROOT / "models/base/tiny", [Path("one/lines"), Path("two/lines")])
    one, two = (line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[-2:])
    assert (one[0], one[2], two[0], two[2]) == ("one/lines", "2", "two/lines", "2")
    assert float(one[3].strip("%")) < 20 < 60 < float(two[3].strip("%"))
    low, high = (float(bound.strip("%")) for bound in one[4].split(" to "))
    assert low <= float(one[3].strip("%")) <= high
    measure.main(ROOT / "models/base/tiny", [Path("one/lines")], by="kind")
    assert [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[-2:]] == ["| one/lines, a", "| one/lines, i"]


def test_a_profile_that_is_none_is_told(capsys):
    with pytest.raises(SystemExit):
        measure.main(ROOT / "models/base/tiny", [ROOT / "data/canary"], student="nope")
    assert "error: --student nope: not in params.yaml's students, which has tiny," in capsys.readouterr().err


def test_lines_of_one_page_are_drawn_together():
    rows = [{"doc_id": str(page), "substitutions": edits, "insertions": 0, "deletions": 0, "reference_chars": 10}
            for page, edits in enumerate((0, 0, 9, 9)) for _ in range(25)]
    apart = measure.interval([{**row, "doc_id": str(number)} for number, row in enumerate(rows)])
    together = measure.interval(rows)
    assert together[0] < apart[0] < 0.45 < apart[1] < together[1]
