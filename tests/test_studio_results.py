"""Which results the studio lists and by what names, how it scores and compares them, and what it says of what is missing."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from ocrtune.rows import RowError, write_rows
from ocrtune.studio.compare import find_readers, judge
from ocrtune.studio.findings import measure_finding, say_finding
from ocrtune.studio.fragments import page_views
from ocrtune.studio.pictures import Gallery
from ocrtune.studio.project import Project
from ocrtune.studio.result_files import list_files, name_pages
from ocrtune.studio.result_sets import Result, load_results
from ocrtune.studio.revisions import list_sources, load_source
from ocrtune.studio.side_by_side import join
from tests.conftest import draw_line


def write_predictions(path: Path, **texts: str) -> Path:
    write_rows(path, [{"page_id": page_id, "text": text, "finish_reason": "stop"} for page_id, text in texts.items()])
    return path


def test_a_file_has_one_name_and_a_name_one_file(tmp_path):
    own = write_predictions(tmp_path / "data/predictions/base.jsonl", a="x")
    write_predictions(tmp_path / "data/predictions/tuned.jsonl", a="x")
    others = [write_predictions(tmp_path / f"{place}/predictions/base.jsonl", a="x") for place in ("x", "y")]
    link = tmp_path / "x/linked.jsonl"
    link.symlink_to(own)
    project = Project(tmp_path, [own, tmp_path / "data/predictions/../predictions/tuned.jsonl", *others, others[0].parent, link])
    assert list_files(project) == {"base": own, "tuned": own.with_name("tuned.jsonl"), "x/predictions/base.jsonl": others[0],
                                   "y/predictions/base.jsonl": others[1], "x/linked.jsonl": link}
    files = own, own.with_name("tuned.jsonl")
    assert find_readers(project, list_sources(project), {}, files) == ["base", "tuned"]
    assert find_readers(project, list_sources(project), {}, (others[1], own)) == ["y/predictions/base.jsonl", "base"]
    assert find_readers(project, list_sources(project), {"reader1": "tuned", "reader2": "gone"}, files) == ["tuned"]


def test_pictures_of_one_name_are_two_pages():
    rows = [{"image": "imgs/a/1.png"}, {"image": "imgs/b/1.png"}, {"image": "imgs/b/2.png"}, {"page_id": "p"}, {}]
    assert name_pages(rows, "x.jsonl") == ["a/1.png", "b/1.png", "2", "p", "row 5"]
    with pytest.raises(RowError, match=r"x.jsonl:6: p is in row 4 already"):
        name_pages([*rows, {"page_id": "p"}], "x.jsonl")


def test_pictures_beside_a_given_file_are_shown_and_others_say_how(tmp_path):
    (tmp_path / "project").mkdir()
    draw_line(tmp_path / "one.png", "one")
    draw_line(tmp_path / "project/secret.png", "secret")
    path = tmp_path / "results/base.jsonl"
    write_rows(path, [{"page_id": name, "image": name, "reference": "one", "prediction": "one"} for name in ("../one.png", "two.png")])
    project, gallery = Project(tmp_path / "project", [path]), Gallery([path.parent])
    outside, missing = (page_views(project, gallery, None, result.image, None)[0] for result in load_results(project, path))
    assert "lies outside the folders of the results. Start the studio with --eval_dir" in outside
    assert "two.png: no such picture. Start the studio with --eval_dir" in missing
    assert "no page of data/pages has this id" in page_views(project, gallery, None, None, None)[0]
    assert "./run dvc repro" in page_views(project, gallery, None, project.root / "data/pages/gone.png", None)[0]


def test_all_results_are_scored_by_the_rules_of_params(tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text("evaluate: {normalizer: alnum, unit: codepoint}\n")
    foreign = tmp_path / "foreign.jsonl"
    write_rows(foreign, [{"page_id": "a", "reference": "Café, 1!", "prediction": "café 1"}])
    write_rows(tmp_path / "data/splits/test.jsonl", [{"page_id": "a", "doc_id": "d", "image": "a.png", "text": "AB!", "origin": "gold"}])
    own = write_predictions(tmp_path / "data/predictions/base.jsonl", a="ab")
    scores = tmp_path / "metrics/evaluate/base.csv"
    scores.parent.mkdir(parents=True)
    scores.write_text("page_id,substitutions,insertions,deletions,reference_chars,prediction_chars,char_matches,slice_kind\n"
                      "a,2,0,1,3,2,0,letter\n")
    scores.with_suffix(".json").write_text(json.dumps({"normalizer": "nfc_ws@1", "unit": "codepoint"}))
    project = Project(tmp_path, [foreign])
    assert [load_results(project, path)[0].cer for path in (foreign, own)] == [0, 0]
    assert load_results(project, own)[0].slices["kind"] == "letter"
    params.write_text("evaluate: {normalizer: nfc_ws}\n")
    assert [load_results(project, path)[0].cer for path in (foreign, own)] == [3 / 8, 1.0]  # the latter as evaluate counted


def result(page_id: str, doc_id: str, edits: int) -> Result:
    return Result(page_id, doc_id, None, "r", "p", {"substitutions": edits, "insertions": 0, "deletions": 0, "reference_chars": 10,
                                                   "prediction_chars": 10, "char_matches": 10 - edits})


@pytest.mark.parametrize(("documents", "after", "said"), [
    ("abcdefgh", [1] * 8, "<b>y reads better than x</b>: CER 50.0 % → 10.0 % (-40.0 points, 95 % interval -40.0 to -40.0 points; "
                          "8 documents, 8 pages)."),
    ("abcdefgh", [9] * 8, "<b>y reads worse than x</b>"),
    ("abcdefgh", [1, 9] * 4, "<b>y reads about as well as x</b>"),
    ("aaaaaaaa", [1] * 8, "y reads the only document better than x</b>: CER 50.0 % → 10.0 % (-40.0 points; 1 document, 8 pages)."),
    ([""] * 8, [1] * 8, "y reads these pages better than x</b>: CER 50.0 % → 10.0 % (-40.0 points; 8 pages; how far that holds"),
])
def test_the_verdict_is_on_the_readers_that_are_chosen(tmp_path, documents, after, said):
    readers = [[result(f"p{at}", document, edits) for at, (document, edits) in enumerate(zip(documents, side, strict=True))]
               for side in ([5] * 8, after)]
    rows, _ = join(readers)
    assert said in say_finding(measure_finding(("x", "y"), [row.results for row in rows], {"draws": 200}))
    (tmp_path / "params.yaml").write_text("compare: {baseline: base, candidate: tuned, draws: 200}\n")
    project = Project(tmp_path)
    assert said in judge(project, ["x", "between", "y"], rows)
    assert "stage compare has not run" in judge(project, ["base", "tuned"], rows)


def test_a_missing_or_broken_file_is_named_as_seen_from_the_project(tmp_path):
    project = Project(tmp_path)
    with pytest.raises(RowError, match=r"^data/pages/pages.jsonl: no such file"):
        project.pages()
    broken = write_predictions(tmp_path / "data/predictions/base.jsonl", a="x")
    broken.write_text("{\n")
    with pytest.raises(RowError, match=r"^data/predictions/base.jsonl:1: not JSON"):
        load_results(project, broken)


def test_a_revision_that_is_not_in_the_cache_is_known_and_says_where_it_may_be(tmp_path):
    def run(*words: str) -> None:
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)

    run("git", "init", "-q")
    run("dvc", "init", "-q")
    content = '{"page_id": "a", "text": "cached", "finish_reason": "stop"}\n'
    for number, md5 in enumerate(("a" * 32, "b" * 32)):
        out = {"path": "data/predictions/base.jsonl", "hash": "md5", "md5": md5, "size": len(content)}
        (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"read": {"cmd": "read", "outs": [out]}}}))
        (tmp_path / "dvc.yaml").write_text("stages: {read: {cmd: read, outs: [data/predictions/base.jsonl]}}\n")
        run("git", "add", "-A")
        run("git", "-c", "user.name=n", "-c", "user.email=n@example.org", "commit", "-qm", f"run {number}")
    (tmp_path / ".dvc/config.local").write_text(f"[cache]\n    dir = {tmp_path / 'elsewhere'}\n")
    cached = tmp_path / "elsewhere/files/md5/aa" / ("a" * 30)
    cached.parent.mkdir(parents=True)
    cached.write_text(content)
    project = Project(tmp_path)
    newest, oldest = sources = list_sources(project)
    assert [source.is_here(project.root) for source in sources.values()] == [False, True]
    assert [found.prediction for found in load_source(project, oldest, sources[oldest])] == ["cached"]
    assert find_readers(project, sources, {}, (None, None)) == [oldest]  # the other is offered, not opened
    with pytest.raises(RowError, match=r"run 1: its predictions are neither .* ./run dvc fetch --all-commits data/predictions/base.jsonl$"):
        load_source(project, newest, sources[newest])
