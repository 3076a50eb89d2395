"""Documents are found by content, pages of one text are put together by name, and nothing is passed over in silence."""

from pathlib import Path

import pytest
from PIL import Image

from ocrtune.pages.source_files import PDF, find_documents


def write(path: Path, kind: str = "png") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pdf":
        path.write_bytes(b"%PDF-1.4\n")
    elif kind == "text":
        path.write_text("no document")
    else:
        Image.new("L", (8, 8)).save(path, kind)
    return path


def names(documents) -> dict[str, list[tuple]]:
    return {document.name: [(source.file.name, source.page, source.part) for source in document.sources] for document in documents}


def test_a_folder_is_told_by_content(tmp_path):
    write(tmp_path / "a/one.pdf", "pdf")
    write(tmp_path / "a/two.bin", "png")
    write(tmp_path / "three.TIFF", "tiff")
    write(tmp_path / "readme.txt", "text")
    write(tmp_path / "fake.pdf", "text")
    write(tmp_path / ".hidden/x.png")
    (tmp_path / "empty.png").touch()
    documents, refused = find_documents([(tmp_path, "")])
    assert names(documents) == {
        "a/one": [("one.pdf", None, None)], "a/two": [("two.bin", None, None)], "three": [("three.TIFF", None, None)]}
    assert {(Path(row["file"]).name, row["reason"]) for row in refused} == {
        ("fake.pdf", "neither a PDF nor an image"), ("empty.png", "empty file")}


def test_images_of_one_text_are_put_together(tmp_path):
    for name in ("book_p10", "book_p2", "book_p1", "list_p1_l002", "list_p1_l001", "list_p2_b001", "_p1", "x_p", "x_p0", "sub/book_p1"):
        write(tmp_path / f"{name}.png")
    documents, refused = find_documents([(tmp_path, "image/")])
    assert refused == []
    assert names(documents) == {
        "book": [("book_p1.png", 1, None), ("book_p2.png", 2, None), ("book_p10.png", 10, None)],
        "list": [("list_p1_l001.png", 1, 1), ("list_p1_l002.png", 1, 2), ("list_p2_b001.png", 2, 1)],
        "_p1": [("_p1.png", None, None)], "x_p": [("x_p.png", None, None)], "x_p0": [("x_p0.png", None, None)],
        "sub/book": [("book_p1.png", 1, None)],
    }  # fmt: skip


def test_a_single_image_is_a_document_whatever_its_name(tmp_path):
    documents, _ = find_documents([(write(tmp_path / "book_p7.png"), "")])
    assert names(documents) == {"book_p7": [("book_p7.png", None, None)]}


def test_documents_of_one_name_are_told_apart(tmp_path):
    for name, kind in (("a.pdf", "pdf"), ("a.png", "png"), ("a_p1.png", "png"), ("b/c.pdf", "pdf"), ("d/c.pdf", "pdf")):
        write(tmp_path / name, kind)
    documents, _ = find_documents([(tmp_path, ""), (tmp_path / "b/c.pdf", ""), (tmp_path / "d/c.pdf", "")])
    assert list(names(documents)) == ["a.pdf", "a.png", "a-2", "b/c", "c.pdf", "c-2", "d/c"]


def test_a_name_too_long_for_the_files_that_bear_it_is_cut(tmp_path):
    alike = "ö" * 120
    for last in "ab":
        write(tmp_path / f"in/{alike}{last}.png")
    found = sorted(names(find_documents([(tmp_path, "")])[0]))
    assert len({name.rpartition("-")[2] for name in found}) == 2
    assert all(name.startswith("in/" + "ö" * 90) and len(name.removeprefix("in/").encode()) <= 200 for name in found)


def test_only_what_is_asked_for(tmp_path):
    write(tmp_path / "a.pdf", "pdf")
    write(tmp_path / "b.png")
    assert list(names(find_documents([(tmp_path, PDF)])[0])) == ["a"]
    assert list(names(find_documents([(tmp_path, "image/")])[0])) == ["b"]
    documents, refused = find_documents([(tmp_path / "a.pdf", "image/"), (tmp_path / "b.png", PDF)])
    assert documents == []
    assert [row["reason"] for row in refused] == ["application/pdf, not image", "image/png, not application/pdf"]


def test_a_folder_without_documents_is_refused(tmp_path):
    write(tmp_path / "a.txt", "text")
    write(tmp_path / "b.png")
    _, (row,) = find_documents([(tmp_path, PDF)])
    assert row == {"file": str(tmp_path), "page": None, "reason": "no PDF in this folder; 2 other files"}
    with pytest.raises(ValueError, match="absent: no such file or folder"):
        find_documents([(tmp_path / "absent", "")])


def test_what_was_written_is_no_source(tmp_path):
    write(tmp_path / "output/images/a_p1.png")
    write(tmp_path / "b.png")
    assert list(names(find_documents([(tmp_path, "")], tmp_path / "output")[0])) == ["b"]


def test_names_that_are_no_utf8(tmp_path):
    odd = Path(str(tmp_path) + "/\udcff.png")
    write(odd)
    write(tmp_path / "\udcfe.pdf", "text")
    documents, (row,) = find_documents([(tmp_path, "")])
    assert documents[0].sources[0].file == odd
    assert row["file"] == f"{tmp_path}/\ufffd.pdf"
