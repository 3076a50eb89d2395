"""Examples of other tools come in, ours go out, in every format and back; what can't be used is told by line and reason."""

import json
import re
from pathlib import Path

import pytest
from conftest import draw_line
from PIL import Image

from ocrtune.formats.example_files import detect_format, read_array, read_lines
from ocrtune.formats.example_formats import ROW_READERS, ROW_WRITERS, Example, tell_format
from tools.convert import convert

TEXTS = {"a": "Ein Bär,\nzwei \"Zeilen\"  ", "b": "", "c": "<|ref|> 字 \\n é", "d": "last\t"}
FILES = {"image-text": "x.jsonl", "deepseek": "x.jsonl", "img-ocr": "x.json", "messages": "x.jsonl", "trl": "x.jsonl"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder of four images, `images/a.png` and so on, and rows of format image-text with their texts."""
    for name in TEXTS:
        draw_line(tmp_path / f"images/{name}.png", name)
    write_lines(tmp_path / "rows.jsonl", [{"image_path": f"images/{name}.png", "text": text} for name, text in TEXTS.items()])
    return tmp_path


def write_lines(path: Path, rows: list) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def run(source: Path, dest: Path, form: str, read_as=None, prompt=None, images=None, copy_images=False, pages=Path("absent")):
    """Convert and return how many rows were written, and {line or file: reason}."""
    written, refused = convert(source, dest, form, read_as, prompt, (pages, images), copy_images)
    return written, {row.where.rpartition("/")[2].partition(":")[2] or row.where.rpartition("/")[2]: row.reason for row in refused}


def test_an_empty_split_keeps_none_of_the_others(folder, capsys):
    (folder / "splits").mkdir()
    (folder / "splits/val.jsonl").touch()
    write_lines(folder / "splits/train.jsonl", [{"image": "../images/a.png", "text": "x"}])
    assert run(folder / "splits", folder / "out", "messages") == (1, {})
    assert [path.name for path in (folder / "out").iterdir()] == ["train.jsonl"]
    assert "val.jsonl is empty and left out" in capsys.readouterr().err


def rows_of(path: Path) -> list[dict]:
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]


def test_the_formats_are_as_other_tools_have_them(folder):
    expected = {
        "image-text": {"image_path": "images/a.png", "text": TEXTS["a"]},
        "img-ocr": {"img_path": "images/a.png", "ocr_results": TEXTS["a"]},
        "deepseek": {"messages": [{"role": "<|User|>", "content": "<image>\nRead.", "images": ["images/a.png"]},
                                  {"role": "<|Assistant|>", "content": TEXTS["a"]}]},
        "messages": {"messages": [{"role": "user", "content": "<image>\nRead."}, {"role": "assistant", "content": TEXTS["a"]}],
                     "images": ["images/a.png"]},
        "trl": {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Read."}]},
                             {"role": "assistant", "content": [{"type": "text", "text": TEXTS["a"]}]}], "images": ["images/a.png"]},
    }  # fmt: skip
    for form, row in expected.items():
        assert run(folder / "rows.jsonl", folder / f"{form}{Path(FILES[form]).suffix}", form, prompt="Read.") == (4, {})
        assert rows_of(folder / f"{form}{Path(FILES[form]).suffix}")[0] == row
        assert tell_format(row) == form
    assert (folder / "img-ocr.json").read_text().startswith("[\n")


@pytest.mark.parametrize("form", ROW_WRITERS)
def test_a_round_trip_leaves_everything(folder, form):
    there, back = folder / "there" / FILES[form], folder / "back.jsonl"
    assert run(folder / "rows.jsonl", there, form) == (4, {})
    assert detect_format(there) == form
    assert run(there, back, "image-text") == (4, {})
    assert back.read_bytes() == (folder / "rows.jsonl").read_bytes()
    again = folder / "again" / FILES[form]
    assert run(there, again, form) == (4, {})
    assert again.read_bytes() == there.read_bytes()


@pytest.mark.parametrize("form", ["deepseek", "messages", "trl"])
def test_questions_and_several_images_survive(form):
    for example in (Example(("1.png", "2.png"), "Two pages.", "Read both.", "Be exact."), Example(("1.png",), "A", "", "")):
        row = ROW_WRITERS[form](example)
        assert ROW_READERS[form](json.loads(json.dumps(row))) == example


def test_other_ways_to_write_a_conversation():
    loose = {"messages": [{"role": "user", "content": "Look: <image> and tell"}, {"role": "assistant", "content": "It says <image>."}],
             "images": [{"path": "a.png", "bytes": None}]}  # fmt: skip
    assert ROW_READERS["messages"](loose) == Example(("a.png",), "It says <image>.", "Look:  and tell")
    in_message = {"messages": [{"role": "user", "content": "<image>Read.", "images": ["a.png"]}, {"role": "assistant", "content": "A"}]}
    assert ROW_READERS["messages"](in_message) == Example(("a.png",), "A", "Read.")


def chat(content: object = "<image>\nRead.", images: object = ("images/a.png",), answer: object = "A", **change) -> dict:
    """Return a row of format deepseek."""
    asked = {"role": "<|User|>", "content": content, "images": list(images) if isinstance(images, tuple) else images}
    return {"messages": [asked, {"role": "<|Assistant|>", "content": answer}]} | change


@pytest.mark.parametrize(("row", "reason"), [
    (chat("Read."), "<image> count: 0 in the question, but 1 images"),
    (chat("<image><image>"), "<image> count: 2 in the question, but 1 images"),
    (chat(images=()), "no image: 'images' is empty or absent"),
    (chat(images="images/a.png"), "wrong type: 'images' of the question is str, not an array"),
    (chat(images=(3,)), "wrong type: 'images' of the question holds something other than paths"),
    (chat(images=("gone.png",)), "missing image: gone.png"),
    (chat(images=("https://x.y/a.png",)), "image not a file: https://x.y/a.png"),
    (chat(images=("rows.jsonl",)), "not an image: "),
    (chat(answer=None), "wrong type: 'content' of assistant is NoneType, not a text"),
    (chat([{"type": "video"}]), "unknown part: video in 'content' of user; image and text are known"),
    (chat(messages="x"), "wrong type: 'messages' is no array of objects"),
    (chat(messages=[]), "not one question and one answer: roles none"),
    ({"messages": chat()["messages"] * 2}, "not one question and one answer: roles user, assistant, user, assistant"),
    ([chat()], "JSON array: one object a line is wanted"),
    ("7", "not a JSON object"),
    ('{"messages": ', "not JSON: Expecting value at column 13"),
    ("[" * 100_000, "not JSON: nested too deep"),
    ("null", "not a JSON object"),
])
def test_refused_rows_have_line_and_reason(folder, row, reason):
    source = write_lines(folder / "in.jsonl", [chat(images=("images/b.png",)), "", row, chat(images=("images/c.png",))])
    written, refused = run(source, folder / "out.jsonl", "messages", "deepseek")
    assert written == 2
    assert refused.keys() == {"3"}
    assert refused["3"].startswith(reason)


def test_bytes_that_are_no_utf8_cost_their_line_alone(folder):
    good = json.dumps({"image_path": "images/a.png", "text": "ä"}, ensure_ascii=False)
    (folder / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + good.encode() + b"\r\n" + good.replace("a.png", "b.png").encode("latin-1") + b"\n")
    written, refused = run(folder / "in.jsonl", folder / "out.jsonl", "deepseek")
    assert (written, list(refused)) == (1, ["2"])
    assert re.fullmatch(r"not UTF-8: byte \d+ of the line", refused["2"])


def test_an_image_stands_once(folder):
    (folder / "images/copy.png").write_bytes((folder / "images/a.png").read_bytes())
    rows = [{"image_path": f"images/{name}.png", "text": text} for name, text in (("a", "1"), ("copy", "1"), ("a", "2"))]
    written, refused = run(write_lines(folder / "in.jsonl", rows), folder / "out.jsonl", "deepseek")
    assert written == 1
    assert [reason.replace(str(folder), "") for reason in refused.values()] == [
        "same image: as /in.jsonl:1", "same image: as /in.jsonl:1, which has another text"]


def test_two_questions_about_an_image_are_two_examples_of_one_file(folder):
    asked = [chat(f"<image>{words}", answer=words) for words in ("Read.", "Read.", "Translate.")]
    write_lines(folder / "in/train.jsonl", asked)
    write_lines(folder / "in/val.jsonl", asked[2:])  # an image that train has: refused, whatever is asked
    for form, prompt, expected in (("messages", None, 2), ("deepseek", None, 2), ("image-text", None, 1), ("messages", "OCR", 1)):
        written, refused = convert(folder / "in", folder / f"out-{form}-{prompt}", form, None, prompt, (folder, folder), False)
        assert (written, len(refused)) == (expected, 4 - expected)


def test_an_array_is_told_from_lines(folder):
    rows = rows_of(folder / "rows.jsonl")
    (folder / "array.json").write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=r"array\.json: format image-text is one object a line, not a JSON array"):
        run(folder / "array.json", folder / "out.jsonl", "deepseek")
    with pytest.raises(ValueError, match=r"rows\.jsonl: format img-ocr is one JSON array"):
        run(folder / "rows.jsonl", folder / "out.jsonl", "deepseek", "img-ocr")
    with pytest.raises(ValueError, match=r"no format that we know; its first row has a, b\. Say which with --from"):
        run(write_lines(folder / "odd.jsonl", [{"a": 1, "b": 2}]), folder / "out.jsonl", "deepseek")
    with pytest.raises(ValueError, match="its first row has no keys"):
        run(write_lines(folder / "empty.jsonl", []), folder / "out.jsonl", "deepseek")


def test_a_damaged_array_gives_what_stands_before(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b'\xef\xbb\xbf[\n {"a": 1},\n\n 7, {"b":\n 2}\n,{"c": 3} {"d": oops}]')
    found = list(read_array(path))
    assert [row for _, row in found if isinstance(row, dict)] == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert [(where.rpartition(":")[2], str(row)) for where, row in found if isinstance(row, ValueError)] == [
        ("4", "not a JSON object"), ("6", "not JSON: Expecting value: line 6 column 17 (char 44); nothing after it can be read")]
    for content, where in ((b"[", "1"), (b'[{"a": 1}', "1"), (b'[\n"\xff"]', "2")):
        path.write_bytes(content)
        assert isinstance(list(read_array(path))[-1][1], ValueError)
        assert list(read_array(path))[-1][0] == f"{path}:{where}"
    path.write_bytes(b"[]")
    assert list(read_array(path)) == list(read_lines(write_lines(tmp_path / "x.jsonl", ["", " "]))) == []


def test_ground_truth_pairs_there_and_back(folder):
    written, refused = run(folder / "rows.jsonl", folder / "pairs", "ground-truth")
    assert (written, refused) == (4, {})
    assert (folder / "pairs/a.gt.txt").read_bytes() == (TEXTS["a"] + "\n").encode()
    assert (folder / "pairs/a.png").read_bytes() == (folder / "images/a.png").read_bytes()
    assert run(folder / "pairs", folder / "back.jsonl", "image-text") == (4, {})
    assert {Path(row["image_path"]).stem: row["text"] for row in rows_of(folder / "back.jsonl")} == TEXTS


def test_ground_truth_as_others_write_it(folder):
    pairs = folder / "pairs"
    draw_line(pairs / "sub/one.bin.png", "1")
    Image.open(folder / "images/a.png").save(pairs / "two.TIF".lower())
    for name, content in (("sub/one", b"One\r\n"), ("two", "\ufeffZwö".encode()), ("lost", b"?"), ("odd", b"\xff")):
        (pairs / f"{name}.gt.txt").write_bytes(content)
    draw_line(pairs / "odd.png", "odd")
    written, refused = run(pairs, folder / "out.jsonl", "image-text")
    assert written == 2
    assert refused == {"lost.gt.txt": "missing image: lost.png or the like", "odd.gt.txt": "not UTF-8: byte 1"}
    found = {row["image_path"]: row["text"] for row in rows_of(folder / "out.jsonl")}
    assert found == {"pairs/sub/one.bin.png": "One", "pairs/two.tif": "Zwö"}
