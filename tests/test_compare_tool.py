"""Files of predictions, whoever made them, are compared without pipeline or model."""

import json
import re

import pytest

from ocrtune.rows import RowError, read_rows, write_rows
from ocrtune.scoring.evaluated_pages import choose_some
from tools.compare import compare, name_files


@pytest.fixture
def files(project, scored):
    """Return files of predictions with no more than page_id and text, in folders of their own."""
    found = []
    for name in ("base", "tuned"):
        rows = read_rows(scored.folder / f"data/predictions/{name}.jsonl")
        found.append(project.folder / f"runs/{name}/test.jsonl")
        write_rows(found[-1], [{"page_id": row["page_id"], "text": row["text"]} for row in rows])
    return found


def test_verdict_figures_and_report_are_those_of_the_stage(scored, files, project):
    scored.compare()
    expected = scored.figures["difference"]
    status, output = project.run("-m", "tools.compare", *files, "--out", "versus")
    assert status == 0
    assert "Reading with tuned-test instead of base-test lowered the character error rate against the teacher's labels" in output
    figures = json.loads((project.folder / "versus/compare.json").read_text())
    exact = ("agreement_cer", "agreement_cer_relative", "p_value", "document_wins", "page_wins", "page_losses")
    assert {key: figures["difference"][key] for key in exact} == {key: expected[key] for key in exact}
    report = (project.folder / "versus/compare.html").read_text(encoding="utf-8")
    assert "30 lines" in report
    assert not [said for said in ("No gate", "compare.gate", "Clean print", "Forgetting") if said in report]  # nobody asked for these
    assert {path.name for path in (project.folder / "versus/scores").iterdir()} == {
        f"{name}-test.{kind}" for name in ("base", "tuned") for kind in ("csv", "json")}


def test_a_third_is_paired_with_the_first_and_links_lead_to_images(scored, files, project):
    third = project.folder / "third.jsonl"
    third.write_bytes(files[1].read_bytes())
    compare(name_files([*files, third]), project.folder / "data/splits/test.jsonl", project.folder / "versus")
    figures = json.loads((project.folder / "versus/compare.json").read_text())
    assert figures["further"]["third"]["agreement_cer"] == figures["difference"]["agreement_cer"]
    links = re.findall(r'src="([^"]+)"', (project.folder / "versus/compare.md").read_text(encoding="utf-8"))
    assert links and all(link.startswith("../data/pages/images/") for link in links)


def test_missing_pages_are_named_or_counted_as_failed(scored, files, project):
    write_rows(files[1], read_rows(files[1])[1:])
    with pytest.raises(RowError, match=f"no prediction of {scored.pages[0]}; --missing-as-empty"):
        compare(name_files(files), project.folder / "data/splits/test.jsonl", project.folder / "versus")
    status, output = project.run("-m", "tools.compare", *files, "--out", "versus", "--missing-as-empty")
    assert status == 0 and "tuned-test: 1 page without prediction, counted as failed" in output
    assert json.loads((project.folder / "versus/compare.json").read_text())["transitions"]["fine_to_failed"] == 1


def test_top_k_and_slices_are_those_of_params(scored, files, project):
    rows = [row | {"layout": "table" if number % 2 else "text"} for number, row in enumerate(scored.rows)]
    write_rows(project.folder / "data/splits/test.jsonl", rows)
    documents = [{"doc_id": doc_id, "url": f"https://{doc_id[4]}.example/a"} for doc_id in {row["doc_id"] for row in rows}]
    write_rows(project.folder / "data/documents/documents.jsonl", documents, "doc_id")
    project.params["evaluate"] |= {"top_k": 20, "slices": ["layout", "source", "kind"]}
    project.save()
    chosen = {row["page_id"] for row in choose_some(rows, 20)}
    write_rows(files[1], [row for row in read_rows(files[1]) if row["page_id"] in chosen])  # as evaluate leaves them; the other has all
    status, output = project.run("-m", "tools.compare", *files, "--out", "versus")
    assert status == 0 and "no slices by kind: neither data/splits/test.jsonl nor data/pages and data/documents say" in output
    figures = json.loads((project.folder / "versus/compare.json").read_text())
    assert (figures["num_pages"], figures["top_k"]) == (20, 20) and "(`top_k: 20`)" in output
    assert {"layout table", "layout text", "source 0.example"} <= figures["slices"].keys()


def test_the_splits_that_the_student_knows_are_called_so(scored, files, project):
    train = project.folder / "data/splits/train.jsonl"
    write_rows(train, scored.rows)
    compare(name_files(files), train, project.folder / "versus")
    assert json.loads((project.folder / "versus/compare.json").read_text())["learnt"] == "train"


def test_names(tmp_path):
    assert list(name_files([tmp_path / "a/x.jsonl", tmp_path / "b/x.jsonl", tmp_path / "y.jsonl"])) == ["a-x", "b-x", "y"]
    assert list(name_files([tmp_path / "a b|c*<i>`.jsonl", tmp_path / "é_1.jsonl"])) == ["a b-c--i--", "é_1"]  # tables hold
    for files, message in (([tmp_path / "x.jsonl"], "two files of predictions or more"),
                           ([tmp_path / "x.jsonl"] * 2, "two files are called"),
                           ([tmp_path, tmp_path / "x.jsonl"], "a folder, not a file of predictions"),
                           ([tmp_path / "canary.jsonl", tmp_path / "x.jsonl"], "can't be called 'canary'")):
        with pytest.raises(ValueError, match=message):
            name_files(files)
