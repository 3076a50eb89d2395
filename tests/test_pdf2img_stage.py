"""Stage pdf2img on a folder of documents, two of them good, a scan and a broken one."""

import hashlib
import json
import os
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from test_pdf2img import PDF, TEXTS, make_pdf, make_scan, params

from ocrtune.pages.rows import write_all_pages
from ocrtune.rows import RowError
from stages.pdf2img import pdf2img


@pytest.fixture
def documents(tmp_path) -> Path:
    """A folder as stage crawl writes it: two PDFs, a scan, a broken one."""
    folder = tmp_path / "documents"
    (folder / "files").mkdir(parents=True)
    make_pdf(folder / "files/a-1.pdf", pages=2)
    make_pdf(folder / "files/b-2.pdf", TEXTS[:1])
    make_scan(5).save(folder / "files/c-3.png")
    (folder / "files/d-4.pdf").write_bytes(b"%PDF-1.7 broken")
    rows = [{"doc_id": path.stem, "file": f"files/{path.name}", "url": path.name, "sha256": "", "num_bytes": 1,
             "media_type": "image/png" if path.suffix == ".png" else PDF} for path in sorted((folder / "files").iterdir())]  # fmt: skip
    (folder / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_stage_keeps_the_laws_of_rows(documents, tmp_path, capsys):
    before = contents(documents)
    pdf2img(documents, tmp_path / "pages", params(workers=1))
    assert "pdf2img documents: 4 in, 3 out, 1 refused" in capsys.readouterr().out
    assert contents(documents) == before
    assert {path.name for path in tmp_path.iterdir()} == {"documents", "pages"}

    rows = [json.loads(line) for line in (tmp_path / "pages/pages.jsonl").read_text().splitlines()]
    expected = [f"a-1_p{page}_l00{line}" for page in (1, 2) for line in (1, 2, 3, 4)]
    expected += ["b-2_p1_l001", *(f"c-3_p1_l00{line}" for line in range(1, 6))]
    assert [row["page_id"] for row in rows] == expected
    for row in rows:
        content = (tmp_path / "pages" / row["image"]).read_bytes()
        assert list(row) == ["page_id", "doc_id", "page", "line", "box", "image", "width", "height", "sha256", "text_layer"]
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert Image.open(BytesIO(content)).size == (row["width"], row["height"])
    assert len(list((tmp_path / "pages/images").iterdir())) == len(rows)
    refused = [json.loads(line) for line in (tmp_path / "pages/refused.jsonl").read_text().splitlines()]
    assert [(row["doc_id"], row["page"]) for row in refused] == [("d-4", None)]

    # The same bytes with other workers, in another place, from rows in another order.
    lines = (documents / "documents.jsonl").read_text().splitlines(keepends=True)
    (documents / "documents.jsonl").write_text("".join(lines[::-1]))
    documents.rename(tmp_path / "moved")
    pdf2img(tmp_path / "moved", tmp_path / "again", params(workers=3))
    assert contents(tmp_path / "again") == contents(tmp_path / "pages")


def test_broken_rows_are_named(documents, tmp_path):
    rows = (documents / "documents.jsonl").read_text()
    (documents / "documents.jsonl").write_text(rows + '{"doc_id": "e"}\n')
    with pytest.raises(RowError, match=r"documents.jsonl:5: .*file, media_type"):
        pdf2img(documents, tmp_path / "pages", params())
    (documents / "documents.jsonl").write_text(rows + rows.splitlines()[0])
    with pytest.raises(RowError, match=r"a-1.*twice"):
        pdf2img(documents, tmp_path / "pages", params())


class Killer(dict):
    """A document that kills the process to which it is handed."""

    def __reduce__(self) -> tuple:
        return os._exit, (1,)


def test_a_crash_takes_one_document_with_it(documents, tmp_path):
    rows = [json.loads(line) for line in (documents / "documents.jsonl").read_text().splitlines()]
    rows.insert(1, Killer(rows[0] | {"doc_id": "killer"}))
    (tmp_path / "images").mkdir()
    results = list(write_all_pages(rows, documents, tmp_path, params(), "local"))
    assert {row["doc_id"] for found, _ in results for row in found} == {"a-1", "b-2", "c-3"}
    refused = {row["doc_id"]: row["reason"] for _, lost in results for row in lost}
    assert set(refused) == {"killer", "d-4"} and "crashed" in refused["killer"]
