"""Documents are dealt by their own hash; what people checked replaces labels; nothing is lost or moved."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import draw_line

from ocrtune.params.split import SplitParams
from ocrtune.rows import read_rows, write_rows
from ocrtune.splits.dealing import choose_split
from stages.split import main

NAMES = ("train", "val", "test")
FOLDERS = [Path("data/pages"), Path("data/labels"), Path("data/gold.jsonl"), Path("data/splits")]
PARAMS = SplitParams(val=0.1, test=0.2)


def make_corpus(documents: int, pages: int = 2, gold: list[dict] | None = None) -> None:
    """Write pages and labels of so many documents, and gold."""
    rows = [{"page_id": f"d{number}_p{page}", "doc_id": f"d{number}", "image": f"images/d{number}_p{page}.png",
             "sha256": f"{number:032x}{page:032x}"} for number in range(documents) for page in range(1, pages + 1)]
    write_rows(FOLDERS[0] / "pages.jsonl", rows)
    write_rows(FOLDERS[1] / "labels.jsonl", [{"page_id": row["page_id"], "text": f"text {row['page_id']}"} for row in rows])
    write_rows(FOLDERS[2], gold or [], key=None)


def dealt() -> dict[str, list[dict]]:
    return {name: read_rows(FOLDERS[3] / f"{name}.jsonl") for name in NAMES}


def places() -> dict[str, str]:
    return {row["doc_id"]: name for name, rows in dealt().items() for row in rows}


def fails(capsys) -> str:
    with pytest.raises(SystemExit) as stop:
        main(*FOLDERS)
    assert stop.value.code == 1
    return capsys.readouterr().err


def test_a_split_that_gets_no_document_is_told_of(project, capsys):
    make_corpus(1)
    main(*FOLDERS)
    empty = [name for name, rows in dealt().items() if not rows]
    said = capsys.readouterr().err.splitlines()
    assert len(empty) == 2 and [f"no document fell to {name}: " in line for name, line in zip(empty, said, strict=True)] == [True, True]


def test_every_labelled_page_is_dealt_once_and_documents_stay_whole(project, capsys):
    make_corpus(60)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    main(*FOLDERS)
    rows = [row for part in dealt().values() for row in part]
    assert sorted(row["page_id"] for row in rows) == sorted(f"d{number}_p{page}" for number in range(60) for page in (1, 2))
    assert all(row["text"] == f"text {row['page_id']}" and row["origin"] == "teacher" for row in rows)
    assert all(list(row) == ["page_id", "doc_id", "image", "text", "origin"] for row in rows)
    assert {row["image"] for row in rows} == {f"../pages/images/{row['page_id']}.png" for row in rows}
    documents = [{row["doc_id"] for row in part} for part in dealt().values()]
    assert sum(map(len, documents)) == len(set.union(*documents)) == 60
    assert all(part == sorted(part, key=lambda row: row["page_id"]) for part in dealt().values())
    assert all(path.read_bytes() == content for path, content in before.items())
    written = {path for path in Path().rglob("*") if path.is_file()} - before.keys()
    assert written == {FOLDERS[3] / f"{name}.jsonl" for name in (*NAMES, "refused")}
    assert "split: 120 in, 120 out, 0 refused" in capsys.readouterr().out


def test_same_input_gives_the_same_bytes(project):
    make_corpus(30)
    main(*FOLDERS)
    before = {name: (FOLDERS[3] / f"{name}.jsonl").read_bytes() for name in NAMES}
    for path in (FOLDERS[0] / "pages.jsonl", FOLDERS[1] / "labels.jsonl"):
        write_rows(path, reversed(read_rows(path)), key=None)
    main(*FOLDERS)
    assert {name: (FOLDERS[3] / f"{name}.jsonl").read_bytes() for name in NAMES} == before


def test_new_documents_never_move_old_ones(project):
    make_corpus(40)
    main(*FOLDERS)
    before = places()
    make_corpus(400, pages=1)
    main(*FOLDERS)
    after = places()
    assert before.items() <= after.items()
    assert set(after.values()) == set(NAMES)


def test_shares_are_kept_and_a_larger_val_moves_only_training_documents():
    documents = [f"doc-{number}" for number in range(4000)]
    before = [choose_split(name, PARAMS) for name in documents]
    for name, share in (("test", 0.2), ("val", 0.1), ("train", 0.7)):
        assert before.count(name) / 4000 == pytest.approx(share, abs=0.03)
    after = [choose_split(name, SplitParams(val=0.3, test=0.2)) for name in documents]
    assert {(old, new) for old, new in zip(before, after, strict=True) if old != new} == {("train", "val")}
    salted = [choose_split(name, SplitParams(val=0.1, test=0.2, salt="x")) for name in documents]
    assert 0.2 < sum(old != new for old, new in zip(before, salted, strict=True)) / 4000 < 0.8


def test_the_deal_is_for_ever():
    """Another formula would move everybody's test pages into training.

    Of `doc-0` the hash is 0; `printf :0 | sha256sum` begins 19e8: below 0x3333 is test, below 0x4ccc val.
    """
    begins = [0x19E8, 0x882E, 0x5212, 0xB891, 0xC909, 0x542A, 0x521D, 0x9BA4]
    dealt_by_hand = ["test" if begin < 0x3333 else "val" if begin < 0x4CCC else "train" for begin in begins]
    assert [choose_split(f"doc-{number}", PARAMS) for number in range(len(begins))] == dealt_by_hand
    assert [choose_split(f"another-name-{number}", PARAMS) for number in range(len(begins))] == dealt_by_hand


def test_gold_replaces_the_label_of_the_same_image(project, capsys):
    make_corpus(4)
    (page,) = [row for row in read_rows(FOLDERS[0] / "pages.jsonl") if row["page_id"] == "d2_p1"]
    # Its page_id is for people: the image is what counts, wherever it now stands.
    gold = [{"sha256": page["sha256"], "text": "checked", "page_id": "of-old_p9"}, {"sha256": "ff" * 32, "text": "gone", "page_id": "x"}]
    make_corpus(4, gold=gold)
    main(*FOLDERS)
    rows = {row["page_id"]: row for part in dealt().values() for row in part}
    assert (rows["d2_p1"]["text"], rows["d2_p1"]["origin"]) == ("checked", "gold")
    assert sum(row["origin"] == "gold" for row in rows.values()) == 1
    output = capsys.readouterr().out
    assert "1 of 2 rows belong to no image" in output
    assert ", 1 gold" in output


def test_a_page_without_label_is_refused_unless_it_has_gold(project, capsys):
    make_corpus(4)
    gold = [{"sha256": read_rows(FOLDERS[0] / "pages.jsonl")[0]["sha256"], "text": "checked"}]
    write_rows(FOLDERS[2], gold, key=None)
    write_rows(FOLDERS[1] / "labels.jsonl", read_rows(FOLDERS[1] / "labels.jsonl")[3:])
    main(*FOLDERS)
    assert "split: 8 in, 6 out, 2 refused" in capsys.readouterr().out
    assert [row["page_id"] for part in dealt().values() for row in part if row["origin"] == "gold"] == ["d0_p1"]


@pytest.mark.parametrize(("path", "key"), [(FOLDERS[0] / "pages.jsonl", "page_id"), (FOLDERS[1] / "labels.jsonl", "page_id"),
                                           (FOLDERS[2], "sha256")])
def test_double_rows_are_an_error_that_names_them(project, capsys, path, key):
    make_corpus(3, gold=[{"sha256": "aa", "text": "x"}])
    rows = read_rows(path)
    write_rows(path, [*rows, rows[0]], key=None)
    message = fails(capsys)
    assert f"{key} {rows[0][key]!r} occurs twice" in message
    assert "Traceback" not in message


def test_a_label_of_no_page_is_an_error(project, capsys):
    make_corpus(3)
    write_rows(FOLDERS[1] / "labels.jsonl", [{"page_id": "stranger_p1", "text": "x"}])
    assert "stranger_p1 and 0 more are no pages" in fails(capsys)


@pytest.mark.parametrize(("path", "line", "message"), [
    (FOLDERS[0] / "pages.jsonl", '{"page_id": "x"}', "pages.jsonl:7: not a row: missing doc_id, image, sha256"),
    (FOLDERS[1] / "labels.jsonl", '{"page_id": "x"', "labels.jsonl:7: not JSON"),
    (FOLDERS[2], json.dumps({"text": "x"}), "gold.jsonl:1: not a row: missing sha256"),
])
def test_a_broken_row_is_an_error_with_file_and_line(project, capsys, path, line, message):
    make_corpus(3)
    with path.open("a") as file:
        file.write(line + "\n")
    assert message in fails(capsys)


def test_the_origin_says_whose_text_it_is(project):
    make_corpus(4, pages=1)
    labels = read_rows(FOLDERS[1] / "labels.jsonl")
    teachers = ["text-layer", "api", "text-layer", "rapidocr"]
    write_rows(FOLDERS[1] / "labels.jsonl", [row | {"teacher": teacher} for row, teacher in zip(labels, teachers, strict=True)])
    main(*FOLDERS)
    origins = {row["doc_id"]: row["origin"] for part in dealt().values() for row in part}
    assert origins == {"d0": "text_layer", "d1": "teacher", "d2": "text_layer", "d3": "teacher"}


def test_what_says_nearly_the_same_as_a_test_document_is_taken_out_of_train(project, capsys):
    make_corpus(40, pages=1)
    main(*FOLDERS)
    found = places()
    test, train = (next(doc_id for doc_id in sorted(found) if found[doc_id] == name) for name in ("test", "train"))
    letter = "Dear Papa, I have the honour to report that the pig has been found in the vestry, and that it is well. " * 2
    labels = {row["doc_id"]: row["text"] for part in dealt().values() for row in part}
    labels |= {test: letter + "Yours, Rex", train: letter.upper() + "**Yours**, R."}
    write_rows(FOLDERS[1] / "labels.jsonl", [{"page_id": f"{doc_id}_p1", "text": text} for doc_id, text in labels.items()])
    main(*FOLDERS)
    assert places() == {doc_id: name for doc_id, name in found.items() if doc_id != train}
    (refused,) = read_rows(FOLDERS[3] / "refused.jsonl")
    assert refused["page_id"] == f"{train}_p1" and f"the same as {test} of test" in refused["reason"]
    assert "split: 40 in, 39 out, 1 refused" in capsys.readouterr().out
    project.params["split"]["max_likeness"] = None
    project.save()
    main(*FOLDERS)
    assert places() == found


def test_a_short_document_is_taken_out_by_its_picture_too_where_no_split_was_written_before(project):
    """As `dvc repro` runs it: DVC removes data/splits first."""
    make_corpus(40, pages=1)
    main(*FOLDERS)
    found = places()
    test, train = (next(doc_id for doc_id in sorted(found) if found[doc_id] == name) for name in ("test", "train"))
    for doc_id in (test, train):
        draw_line(FOLDERS[0] / f"images/{doc_id}_p1.png", "No smoking", 200)
    texts = {doc_id: f"text {doc_id}" for doc_id in found} | {test: "No smoking", train: "No smoking"}
    write_rows(FOLDERS[1] / "labels.jsonl", [{"page_id": f"{doc_id}_p1", "text": text} for doc_id, text in texts.items()])
    shutil.rmtree(FOLDERS[3])
    main(*FOLDERS)
    assert places() == {doc_id: name for doc_id, name in found.items() if doc_id != train}
    (FOLDERS[0] / f"images/{train}_p1.png").unlink()
    with pytest.raises(SystemExit):
        main(*FOLDERS)


def test_gold_that_a_person_wrote_may_have_empty_lines_and_is_mended_by_hand(project, capsys):
    make_corpus(3)
    FOLDERS[2].write_text('\n{"page_id": "d1_p1", "sha256": "x", "text": "T"}\n\n')
    main(*FOLDERS)
    FOLDERS[2].write_text('{"page_id": "d1_p1", "sha256": "x", "text": "T"},\n')
    assert "data/gold.jsonl:1: not JSON" in (said := fails(capsys)) and "mend that line: {" in said
