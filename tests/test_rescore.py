"""Stored predictions are scored anew from their files; what does not belong together is named."""

import json
import subprocess
import sys

import pytest

from ocrtune.evaluation.reader_scores import Rules
from ocrtune.evaluation.rescoring import rescore
from ocrtune.rows import RowError, write_rows
from ocrtune.scoring.evaluated_pages import choose_some
from ocrtune.scoring.scores_csv import read_scores_csv

RULES = Rules("nfc_ws@1")


@pytest.fixture
def references(tmp_path):
    """Write references of three pages."""
    path = tmp_path / "test.jsonl"
    write_rows(path, [{"page_id": f"p{number}", "doc_id": "d", "image": "x.png", "text": text, "origin": "gold"}
                      for number, text in enumerate(["one", "two", "three"])])
    return path


def predict(folder, *texts, name="base", **columns):
    """Write predictions of p0, p1 ... and return the file."""
    path = folder / f"{name}.jsonl"
    write_rows(path, [{"page_id": f"p{number}", "text": text} | columns for number, text in enumerate(texts)])
    return path


def test_scores_are_those_of_the_pages(references, tmp_path):
    figures = rescore(predict(tmp_path, "one", "twos", ""), references, tmp_path / "out", RULES, 5)
    assert figures["cer"] == round((1 + 5) / 11, 6) and figures["num_missing"] == 0 and figures["empty_rate"] == round(1 / 3, 6)
    assert json.loads((tmp_path / "out/base.json").read_text()) == figures
    assert [row["page_id"] for row in read_scores_csv(tmp_path / "out/base.csv")] == ["p0", "p1", "p2"]


def test_another_normalizer_gives_other_scores(references, tmp_path):
    path = predict(tmp_path, "**one**", "<b>Two</b>", "“three”")
    assert rescore(path, references, tmp_path / "out", RULES, 5)["cer"] > 1
    assert rescore(path, references, tmp_path / "out", Rules("text@2"), 5)["cer"] == round(3 / 11, 6)
    figures = rescore(path, references, tmp_path / "out", Rules("alnum@2"), 5)
    assert (figures["cer"], figures["normalizer"]) == (0, "alnum@2")


def test_confusions_are_of_clusters_and_of_pages_that_were_read(references, tmp_path):
    path = predict(tmp_path, "one e\u0323\u0301", "two " * 60, "three")
    figures = rescore(path, references, tmp_path / "out", RULES._replace(unit="grapheme"), 5)
    assert figures["confusions"][0] == {"reference": "", "prediction": " \u1eb9\u0301", "count": 1}
    assert len(figures["confusions"]) == 1 and figures["states"]["loop"] == 1


def test_order_does_not_matter(references, tmp_path):
    first = rescore(predict(tmp_path, "one", "twos", ""), references, tmp_path / "out", RULES, 5)
    for path in (references, tmp_path / "base.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[::-1]))
    assert rescore(tmp_path / "base.jsonl", references, tmp_path / "out", RULES, 5) == first


def test_the_same_bytes_twice_and_nothing_left_over(references, tmp_path):
    out = tmp_path / "out"
    path = predict(tmp_path, "one", "two", "thre")
    rescore(path, references, out, RULES, 5)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    rescore(path, references, out, RULES, 5)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before and before.keys() == {"base.json", "base.csv"}


def test_missing_pages_are_named_or_counted_as_failed(references, tmp_path):
    path = predict(tmp_path, "one")
    with pytest.raises(RowError, match=r"base.jsonl: no prediction of p1, p2; --missing-as-empty"):
        rescore(path, references, tmp_path / "out", RULES, 5)
    assert not list((tmp_path / "out").iterdir())
    figures = rescore(path, references, tmp_path / "out", RULES, 5, missing_as_empty=True)
    assert (figures["num_missing"], figures["num_pages"], figures["failed_rate"]) == (2, 3, round(2 / 3, 6))


@pytest.mark.parametrize(("content", "message"), [
    (b"", "no prediction of p0, p1, p2"),
    (b'{"page_id": "p0", "text": "a"}\n{"page_id": "p0", "text": "a"}\n', "page_id 'p0' occurs twice"),
    (b'{"page_id": "zz", "text": "a"}\n{"page_id": "aa", "text": "a"}\n', "predictions of pages that .* lacks: aa, zz"),
    (b'{"page_id": "p0", "text": "a"}\n{"page_id": "p1", "text": "a"}\n{"page_id": "p1b", "text": "a"}\n', "lacks: p1b"),
    (b'{"page_id": 7, "text": "a"}\n', "page_id 7 is not a string"),
    (b'{"page_id": "p0", "text": null}\n{"page_id": "p1", "text": "a"}\n', "p0: text is NoneType, not a string"),
    (b'{"page_id": "p0", "text": "\xff"}\n', "base.jsonl:1: not JSON: 'utf-8' codec"),
    (b'{"page_id": "p0"}\n', "base.jsonl:1: not a row: missing text"),
    (b"[1]\n", "base.jsonl:1: not a row"),
    (b"\x00\n", "base.jsonl:1: not JSON"),
    ('{"page_id": "p0", "text": "a"}\n{"page_id": "p1", "text": "a"}\n'.encode("utf-16"), "base.jsonl:1: not JSON"),
])
def test_broken_files_are_named(references, tmp_path, content, message):
    path = tmp_path / "base.jsonl"
    path.write_bytes(content)
    with pytest.raises(RowError, match=message):
        rescore(path, references, tmp_path / "out", RULES, 5)
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix in (".json", ".csv", ".partial")]


def test_odd_texts_are_scored(references, tmp_path):
    path = tmp_path / "base.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"page_id": "p0", "text": "\\ufeffone"}\n{"page_id": "p1", "text": "tw\\u0000\\ud800"}\n'
                     b'{"page_id": "p2", "text": "' + b"e" * 10_000_000 + b'"}\n')
    figures = rescore(path, references, tmp_path / "out", RULES, 5)
    assert figures["states"]["loop"] == 1 and figures["edits"]["insertions"] == 1 + 1 + 10_000_000 - 5
    assert figures["cer_without_catastrophes"] == round(3 / 6, 6)
    without_mark = rescore(path, references, tmp_path / "out", Rules("text@2"), 5)
    assert without_mark["cer_without_catastrophes"] == round(2 / 6, 6)


def test_references_without_rows_or_documents_are_named(references, tmp_path):
    path = predict(tmp_path, "one", "two", "three")
    references.write_text(references.read_text().replace('"doc_id": "d"', '"doc_id": null'))
    with pytest.raises(RowError, match="p0: doc_id is None, not a string; it names the document of the page"):
        rescore(path, references, tmp_path / "out", RULES, 5)
    references.write_text("")
    with pytest.raises(RowError, match=r"test.jsonl: no references in it"):
        rescore(path, references, tmp_path / "out", RULES, 5)


def test_a_wrong_origin_is_refused(references, tmp_path):
    references.write_text(references.read_text().replace('"gold"', '"truth"'))
    with pytest.raises(RowError, match="p0: origin is 'truth'; it says who made the text: gold, text_layer, teacher"):
        rescore(predict(tmp_path, "one", "two", "three"), references, tmp_path / "out", RULES, 5)


def test_memory_stays_flat(tmp_path):
    """As many pages again take no more memory than the numbers that a median needs."""
    def peak(count: int) -> int:
        references, path = tmp_path / f"r{count}.jsonl", tmp_path / f"p{count}.jsonl"
        text = "word " * 60
        rows = [{"page_id": f"{number:06d}", "doc_id": f"d{number // 20}", "text": text, "origin": "gold"} for number in range(count)]
        write_rows(references, rows)
        write_rows(path, rows)
        code = ("from pathlib import Path; import resource\n"
                "from ocrtune.evaluation.rescoring import rescore; from ocrtune.evaluation.reader_scores import Rules\n"
                f"rescore(Path({str(path)!r}), Path({str(references)!r}), Path({str(tmp_path / 'out')!r}), Rules('nfc_ws'), 5)\n"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) // 1024

    assert peak(6_000) - peak(500) < 8  # MiB; the texts alone are 4 and a list of rows with their scores 20


def test_the_command_takes_a_folder_as_evaluate_leaves_it(references, tmp_path, project):
    """With clean print beside the pages, and of `top_k` pages only."""
    folder = tmp_path / "data/predictions"
    some = {row["page_id"] for row in choose_some([{"page_id": f"p{number}"} for number in range(3)], 2)}
    write_rows(folder / "base.jsonl", [{"page_id": page_id, "text": ""} for page_id in some])
    write_rows(folder / "canary/base.jsonl", [{"page_id": "canary_l001", "text": "a"}])
    command = ("-m", "tools.rescore", "data/predictions", "--references", references, "--out", tmp_path / "out", "--top-k", 2)
    status, output = project.run(*command)
    assert status == 0 and f"left aside: data/predictions/canary/base.jsonl, of pages that {references} lacks" in output
    figures = json.loads((tmp_path / "out/base.json").read_text())
    assert (figures["num_pages"], figures["top_k"], figures["num_missing"]) == (2, 2, 0)
    (folder / "base.jsonl").unlink()
    status, output = project.run(*command)
    assert status == 1 and "no .jsonl file with predictions of pages in" in output


def test_the_command_takes_whole_folders(references, tmp_path, project):
    folder = tmp_path / "predictions"
    folder.mkdir()
    predict(folder, "one", "two", "three")
    predict(folder, "one", "two", "thre", name="tuned")
    command, files = ("-m", "tools.rescore"), ("--references", references, "--out", tmp_path / "out")
    status, output = project.run(*command, folder, *files, "--normalizer", "text", "--fold", "width")
    assert status == 0 and "tuned: 3 pages, CER 0.0909, WER 0.3333, character F1 0.9524, text@2+width@1" in output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"base.json", "base.csv", "tuned.json", "tuned.csv"}
    status, output = project.run(*command, folder, folder / "base.jsonl", *files)
    assert status == 1 and "two files are called base.jsonl" in output and "Traceback" not in output
    predict(folder / "others", "two", "two", "three", name="base")
    status, output = project.run(*command, folder, *files, "--slice", "doc_id")
    assert status == 0 and "others/base: 3 pages, CER 0.2727" in output and (tmp_path / "out/others/base.csv").is_file()
    assert json.loads((tmp_path / "out/base.json").read_text())["slices"]["doc_id"]["d"]["cer"] == 0
    status, output = project.run(*command, folder, *files, "--slice", "layout")
    assert status == 1 and f"--slice layout: no row of {references} has such a column" in output
    status, output = project.run(*command, tmp_path / "absent.jsonl", *files)
    assert status == 1 and "absent.jsonl: no such file" in output
