"""Rows are written whole and in order, and a file that is broken says where."""

import threading

import pytest

from ocrtune.rows import RowError, check_counts, index_rows, iterate_rows, read_rows, write_json, write_rows, write_text

ROWS = [{"page_id": "b", "text": "zwei\n\u2028 \0 ſ 漢"}, {"page_id": "a", "text": ""}]


def test_rows_come_back_sorted_by_their_key(tmp_path):
    path = tmp_path / "new" / "rows.jsonl"
    assert write_rows(path, iter(ROWS)) == 2
    assert read_rows(path) == ROWS[::-1]
    assert path.read_bytes().startswith(b'{"page_id": "a", "text": ""}\n')
    assert "ſ 漢" in path.read_text(encoding="utf-8")
    write_rows(path, ROWS, key=None)
    assert read_rows(path, ("page_id", "text")) == ROWS


def test_order_of_rows_leaves_the_bytes(tmp_path):
    for name, rows in (("one", ROWS), ("two", ROWS[::-1])):
        write_rows(tmp_path / name, rows)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_rows_are_an_empty_file(tmp_path):
    assert write_rows(tmp_path / "rows.jsonl", []) == 0
    assert (tmp_path / "rows.jsonl").read_bytes() == b""
    assert read_rows(tmp_path / "rows.jsonl", ("page_id",)) == []


@pytest.mark.parametrize(("content", "message"), [
    (b'{"page_id": "a"}\n{"page_id": "b"\n', ":2: not JSON: "),
    (b'{"page_id": "a"}\n \n{\n', ":3: not JSON: "),
    (b"[" * 100_000, ":1: not JSON: "),
    (b'{"page_id": "a"}\n{"page_id": "\xff"}\n', ":2: not JSON: "),
    (b'{"page_id": "a"}\n{"text": ""}\n', ":2: not a row: missing page_id;"),
    (b'["page_id"]\n', ":1: not a row: missing page_id;"),
    (b'"page_id"\n', ":1: not a row: missing page_id;"),
    (b"null\n", ":1: not a row: missing page_id;"),
])
def test_a_broken_line_is_named(tmp_path, content, message):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(RowError) as error:
        read_rows(path, ("page_id",))
    assert str(error.value).startswith(f"{path}{message}")
    assert "rerun the stage" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RowError, match=r"rows\.jsonl: no such file; run the stage that writes it"):
        next(iterate_rows(tmp_path / "rows.jsonl"))


def test_byte_order_mark_and_missing_last_line_feed_are_taken(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b'\xef\xbb\xbf{"page_id": "a"}\r\n{"page_id": "b"}')
    assert [row["page_id"] for row in read_rows(tmp_path / "rows.jsonl")] == ["a", "b"]


def test_rows_are_found_by_their_id_and_a_double_one_is_named():
    assert index_rows(ROWS)["a"] is ROWS[1]
    assert index_rows([], "sha256") == {}
    with pytest.raises(RowError, match="labels: page_id 'a' occurs twice"):
        index_rows([*ROWS, {"page_id": "a"}], source="labels")


def test_lone_surrogates_become_one_replacement_character(tmp_path):
    write_text(tmp_path / "text", "\ufeffa\ud800b\udc00 \U0001f600 \ud83d\ude00")
    assert (tmp_path / "text").read_text(encoding="utf-8") == "\ufeffa\ufffdb\ufffd \U0001f600 \U0001f600"
    write_rows(tmp_path / "rows", [{"page_id": "a", "text": "\udfff"}])
    assert read_rows(tmp_path / "rows")[0]["text"] == "\ufffd"


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS)
    before = path.read_bytes()

    def broken():
        yield ROWS[0]
        raise OSError("no more")

    for rows in (broken(), [{"page_id": "a", "text": object()}]):
        with pytest.raises((OSError, TypeError)):
            write_rows(path, rows)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, lengths = tmp_path / "text", set()
    write_text(path, "a" * 300_000)
    stop = threading.Event()

    def look():
        while not stop.is_set():
            lengths.add(len(path.read_bytes()))

    watcher = threading.Thread(target=look)
    watcher.start()
    for count in range(30):
        write_text(path, "a" * (300_000 + count % 2))
    stop.set()
    watcher.join()
    assert lengths <= {300_000, 300_001}


def test_json_keeps_the_order_of_its_keys(tmp_path):
    write_json(tmp_path / "a.json", {"z": 1, "a": "ſ"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "z": 1,\n  "a": "ſ"\n}\n'


def test_lost_rows_are_an_error(capsys):
    check_counts("split", 5, 3, 2)
    assert capsys.readouterr().out == "split: 5 in, 3 out, 2 refused\n"
    for out, refused in ((3, 1), (4, 2)):
        with pytest.raises(RowError, match="split: 5 rows in but"):
            check_counts("split", 5, out, refused)
