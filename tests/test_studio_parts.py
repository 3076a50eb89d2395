"""The studio's parts that need no browser: how lists are chosen, how params.yaml is edited."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from ocrtune.labels.gold import put_gold, read_gold, take_back
from ocrtune.readers.prompts import Prompt
from ocrtune.rows import RowError, write_rows
from ocrtune.studio.curves import draw_curve, find_curves
from ocrtune.studio.git_state import GitError
from ocrtune.studio.gold_commits import commit_gold
from ocrtune.studio.last_verdict import measure_gate, say_gate, say_verdict
from ocrtune.studio.marked_edits import mark
from ocrtune.studio.paging import ROWS, place
from ocrtune.studio.pictures import Gallery
from ocrtune.studio.pipeline_state import describe_change, flatten, read_figures
from ocrtune.studio.project import Project
from ocrtune.studio.result_files import list_files
from ocrtune.studio.result_sets import Result, load_results
from ocrtune.studio.review_order import find_task, judge_page, leave_out_checked, list_tasks
from ocrtune.studio.selection import ORDERS, PERFECT, Query, choose, list_kinds, name_score, pool
from ocrtune.studio.side_by_side import choose_rows, join
from ocrtune.studio.task_edits import delete_task, save_task
from ocrtune.studio.trial import BASE, find_profile, open_profile
from tests.conftest import ROOT, draw_line, page_row

PARAMS = Path(__file__).parents[1] / "params.yaml"


def test_marked_edits_are_text():
    reference, prediction = mark("a <b>bold</b> door", "a <b>bald</b> <script>doors\u202e")
    assert "<script>" not in prediction
    assert "⟨U+202E⟩" in prediction
    assert '<mark class="was" data-edit="1">o</mark>' in reference
    assert '<mark class="changed" data-edit="1" title="reference: o">a</mark>' in prediction
    assert mark("two\nlines", "two lines") == ("two\nlines", "two lines")  # as the scores see it
    assert mark("abc", "") == ('<mark class="was" data-edit="0">abc</mark>',
                               '<del class="missing" data-edit="0" title="reference: abc">abc</del>')


def result(page_id: str, edits: int = 0, doc_id: str = "d", prediction: str = "text", **others) -> Result:
    counts = {"substitutions": edits, "insertions": 0, "deletions": 0, "reference_chars": 10, "prediction_chars": 10,
              "char_matches": 10 - edits}
    return Result(page_id, doc_id, None, "reference", prediction, counts, **others)


def test_choose_filters_and_sorts():
    results = [result("a", 1), result("b", 5, "e", "Straße"), result("c", 0, verdicts=("cut off",), slices={"origin": "gold"}),
               Result("d", "d", None, None, "no reference", {})]

    def ids(**query) -> str:
        return "".join(found.page_id for found in choose(results, Query(**query)))

    assert [ids(order=order) for order in ORDERS] == ["bacd", "cabd", "bacd", "bacd", "abcd"]
    assert (ids(search="STRASSE"), ids(document="e"), ids(verdict="cut off")) == ("b", "b", "c")
    assert (ids(verdict=PERFECT), ids(kind="origin: gold")) == ("c", "c")
    assert (ids(low=5), ids(low=5, high=20), ids(search="nowhere")) == ("ba", "a", "")
    assert list_kinds([*results, result("e", slices={"origin": "teacher"})]) == ["any", "origin: gold", "origin: teacher"]
    assert pool(results)["cer"] == 6 / 30


def test_place_walks_through_parts():
    ids = [str(number) for number in range(120)]
    assert place(ids, "49", 0, 1) == ("50", ROWS)
    assert place(ids, "0", 0, -1) == ("0", 0)
    assert place(ids, None, 500, 0) == ("119", 100)
    assert place([], "a", 0, 0) == (None, 0)


def test_join_takes_shared_pages_and_orders_by_gain():
    before, after = [result("a", 5), result("b", 1), result("c", 3)], [result("b", 4), result("a", 1, prediction="other"), result("z")]
    rows, left_out = join([before, after])
    assert ([row.page_id for row in rows], left_out) == (["a", "b"], 2)
    assert [row.page_id for row in choose_rows(rows, "losses, biggest first", "any", "any", "")] == ["b", "a"]
    assert [row.page_id for row in choose_rows(rows, "document and page", "different texts", "any", "")] == ["a"]


def test_fifty_thousand_pages_stay_quick():
    results = [result(f"p{number:05}", number % 11) for number in range(50_000)]
    begin = time.process_time()
    sorted(results, key=lambda one: (one.cer, one.page_id))
    sorting = time.process_time() - begin
    begin = time.process_time()
    found = choose(results, Query(search="text", low=10))
    place([one.page_id for one in found], "p00010", 0, 1)
    assert time.process_time() - begin < 30 * sorting + 0.05  # a few passes over the list, whatever the machine


def test_what_was_worked_out_is_kept_while_nothing_changes(tmp_path):
    project, rows, worked = Project(tmp_path), [result("a")], []

    def work() -> str:
        worked.append(1)
        return "found"

    for words in ("", "", "x"):
        assert project.keep_while("found", (rows, words), work) == "found"
    assert len(worked) == 2  # 50,000 rows are not joined, counted and sorted at each key


def test_results_of_other_systems_are_read(tmp_path):
    folder = tmp_path / "old"
    draw_line(folder / "one.png", "one")
    samples = [{"image_path": "one.png", "label": "one", "prediction": "ane", "cer_score": 0.3},
               {"image_path": "/etc/passwd", "label": "", "prediction": ""}]
    (folder / "report.json").write_text(json.dumps({"overall_cer": 0.1, "samples": samples}))
    (folder / "figures.json").write_text('{"cer": 0.1}')
    project = Project(tmp_path, [folder])
    assert list(list_files(project)) == ["old/report.json"]
    (folder / "long.jsonl").write_text(json.dumps({"image": "one.png", "reference": "a page " * 2000, "prediction": "a page"}) + "\n")
    assert list(list_files(project)) == ["old/long.jsonl", "old/report.json"]
    one, two = load_results(project, folder / "report.json")
    assert (one.page_id, one.reference, one.cer) == ("one", "one", 1 / 3)
    assert Gallery([folder]).hang(one.image)
    assert Gallery([folder]).hang(two.image) is None
    (folder / "report.json").write_text('{"samples": 1}')
    with pytest.raises(RowError, match="expected a list"):
        load_results(project, folder / "report.json")


def test_a_set_of_ones_own_brings_its_references_and_pictures(tmp_path):
    (tmp_path / "params.yaml").write_text("evaluate: {folder: own, split: scans}\n")
    draw_line(tmp_path / "own/a.png", "a")
    write_rows(tmp_path / "own/scans.jsonl", [{"page_id": "a", "doc_id": "d", "image": "a.png", "text": "abcd"}])
    write_rows(tmp_path / "data/predictions/x.jsonl", [{"page_id": "a", "text": "abed", "finish_reason": "length"}])
    project = Project(tmp_path)
    (found,) = load_results(project, list_files(project)["x"])
    assert (found.reference, found.cer, found.verdicts, found.slices) == ("abcd", 1 / 4, ("cut off",), {"split": "scans"})
    assert Gallery([tmp_path / "own"]).hang(found.image)


def test_review_order_puts_doubt_before_length(tmp_path):
    page = {"page_id": "a", "sha256": "1", "text_layer": None}

    def worth(text: str, readings: dict[str, str] | None = None, **label) -> float:
        others = {name: {"text": other} for name, other in (readings or {}).items()}
        return judge_page(page, {"text": text, **label}, None, None, others).worth

    assert worth("a long line that nobody doubts") == 0
    assert worth("barn door", {"x": "bam door"}) > worth("barn door", {"x": "barn door"}) == 0
    assert worth("barn door", {"base": "#####", "x": "barn door"}) == 0  # one poor reader is no doubt
    assert worth("barn door", verdicts=["loop"]) > worth("barn door", {"x": "bam door"})
    assert worth("barn door", confidence=0.5) > worth("barn door", confidence=0.9) > 0
    assert judge_page(page, None, {"reason": "no text layer"}, None, {}).reasons == ("no label: no text layer",)

    rows = [page_row(tmp_path / "data/pages", "d", number, f"line {number}") for number in (1, 2, 3)]
    write_rows(tmp_path / "data/pages/pages.jsonl", rows)
    write_rows(tmp_path / "data/gold.jsonl", [{"page_id": "d_p1", "sha256": rows[0]["sha256"], "text": "line 1"}])
    labels = [{"page_id": f"d_p{number}", "text": "line 3", "teacher": "text-layer"} for number in (1, 2, 3)]
    write_rows(tmp_path / "data/labels/labels.jsonl", labels)
    project = Project(tmp_path)
    tasks = list_tasks(project, {"x": {row["page_id"]: {"text": row["text_layer"]} for row in rows}})
    tasks = leave_out_checked(tasks, project.gold())
    assert [(task.page_id, task.worth > 0) for task in tasks] == [("d_p2", True), ("d_p3", False)]  # d_p1 is checked
    assert find_task(project, "d_p1").others == {"label": "line 3"}
    write_rows(tmp_path / "data/labels/labels.jsonl", labels[1:])
    assert find_task(Project(tmp_path), "d_p1").others == {}  # nothing that would differ from its text


@pytest.fixture
def committed(tmp_path, monkeypatch) -> Project:
    """Return a project whose gold of two rows git holds, with a file of somebody's staged beside it."""
    for name, value in {"NAME": "Toni", "EMAIL": "toni@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    project = Project(tmp_path / "täam/sub")
    for name in ("a", "b"):
        put_gold(project.gold_file, name, name, "old", None)
    ask_git(project, "init", "-q", "..")
    ask_git(project, "add", "data/gold.jsonl")
    ask_git(project, "commit", "-qm", "first")
    (project.root / "staged.txt").write_text("somebody's")
    ask_git(project, "add", "staged.txt")
    return project


def ask_git(project: Project, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=project.root, check=True, capture_output=True, encoding="utf-8").stdout.strip()


def test_git_names_each_reviewer_for_their_own_rows(committed):
    path, gold = committed.gold_file, read_gold(committed.gold_file)
    put_gold(path, "a", "a", "anna's", gold["a"], "anna")
    put_gold(path, "台", "c", "臺北", None, "ben")
    put_gold(path, "d", "d", None, None, "anna")
    put_gold(path, "e", "e", "taken back", None, "ben")
    take_back(path, "ben")
    write_rows(path, [row for row in read_gold(path).values() if row["page_id"] != "b"])  # by hand
    before = path.read_bytes()
    assert len(commit_gold(committed, "ben")) == 2
    assert path.read_bytes() == before
    assert ask_git(committed, "log", "-2", "--format=%an <%ae> %cn: %s") == (
        "ben <ben@studio> Toni: Gold: 2 rows checked\nanna <anna@studio> Toni: Gold: 2 rows checked")
    assert [line[0] + line.split('"')[3] for line in ask_git(committed, "show", "-U0", "--format=", "HEAD").splitlines()
            if line[:2] in ("+{", "-{")] == ["-b", "+台"]
    assert ask_git(committed, "status", "--short", "--untracked-files=no") == "A  staged.txt"
    assert commit_gold(committed, "ben") == []
    assert take_back(path, "anna")["page_id"] == "d"  # what git holds can still be taken back
    assert [title.split(" ", 1)[1] for title in commit_gold(committed, None)] == ["Toni: Gold: 1 row checked"]


def test_gold_is_not_committed_into_a_merge(committed):
    put_gold(committed.gold_file, "c", "c", "anna's", None, "anna")
    put_gold(committed.gold_file, "d", "d", "ben's", None, "ben")
    head = ask_git(committed, "rev-parse", "HEAD")
    (Path(ask_git(committed, "rev-parse", "--absolute-git-dir")) / "MERGE_HEAD").write_text(head + "\n")
    with pytest.raises(GitError, match="merge"):
        commit_gold(committed, "anna")
    assert ask_git(committed, "rev-parse", "HEAD") == head


@pytest.fixture
def params(tmp_path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_bytes(PARAMS.read_bytes())
    return path


def test_tasks_are_edited_and_the_rest_keeps_each_byte(params):
    before = params.read_text(encoding="utf-8")
    text = before.replace("  medical_report:", "  # for the hospital\n  medical_report:  # two wards")
    params.write_text(text, encoding="utf-8")
    save_task(params, "invoice", "A clerk.", "Read: every #item, and\nthe total", is_new=False)
    save_task(params, "receipt", "", "yes", is_new=True)
    after = params.read_text(encoding="utf-8")
    values = yaml.safe_load(after)
    assert values["prompts"]["invoice"] == {"system": "A clerk.", "user": "Read: every #item, and\nthe total"}
    assert values["prompts"]["receipt"] == {"user": "yes"}
    assert "# for the hospital" in after
    assert "# two wards" in after
    begin, end = before.index("prompts:"), before.index("\nteacher_label:")
    assert (after[:begin], after[after.index("\nteacher_label:"):]) == (before[:begin], before[end:])
    delete_task(params, "receipt")
    assert "receipt" not in params.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "is_new", "message"), [
    ("ocr", True, "own task"), ("document", False, "own task"), ("two words", True, "a letter, then"), ("invoice", True, "already"),
    ("absent", False, "no such task"), ("../x", True, "a letter, then")])
def test_a_task_that_can_not_be_saved_changes_nothing(params, name, is_new, message):
    before = params.read_bytes()
    with pytest.raises(RowError, match=message):
        save_task(params, name, "", "words", is_new)
    with pytest.raises(RowError, match="missing"):
        save_task(params, "new", "", " ", is_new=True)
    assert params.read_bytes() == before


def test_curves_while_the_last_line_is_being_written(tmp_path):
    path = tmp_path / "plots/metrics/eval/cer.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("step\tcer\n1\t0.5\n2\t0.25\n3\t")
    assert find_curves(tmp_path) == {"eval/cer": [(1, 0.5), (2, 0.25)]}
    assert "0.25" in draw_curve("eval/cer", [(1, 0.5), (2, 0.25)])
    assert "nan" not in draw_curve("flat", [(1, 0.5)])


def test_status_of_dvc_in_words():
    assert describe_change({"changed deps": {"data/gold.jsonl": "modified", "params.yaml": {"split.test": "modified"}}}) == [
        "data/gold.jsonl: modified", "params.yaml: split.test"]
    assert describe_change("changed command") == ["changed command"]
    assert flatten({"a": {"b": 1}, "c": 2}) == {"a.b": 1, "c": 2}


def test_a_score_against_a_teacher_is_never_called_plain_cer(tmp_path):
    change = {"cer": -0.3, "cer_low": -0.4, "cer_high": -0.2}
    found = {"num_pages": 9, "num_documents": 2, "base": {"cer": 0.5, "char_f1": 0.6}, "tuned": {"cer": 0.2, "char_f1": 0.9},
             "difference": change}
    of_teacher = {name: {f"agreement_{key}" if key.startswith("cer") else key: value for key, value in part.items()}
                  if isinstance(part, dict) else part for name, part in found.items()}
    (tmp_path / "metrics").mkdir()
    (tmp_path / "params.yaml").write_text("compare: {baseline: base, candidate: tuned}\n")
    for figures, words in ((found, "CER 50.0 %"), (of_teacher, "CER against the teacher's labels 50.0 %")):
        text = json.dumps(figures)
        assert read_figures(text) == {"base": (0.5, 0.6), "tuned": (0.2, 0.9)}
        (tmp_path / "metrics/compare.json").write_text(text)
        assert "<b>tuned reads better than base" in say_verdict(Project(tmp_path)) and f": {words}" in say_verdict(Project(tmp_path))
    (tmp_path / "metrics/compare.json").write_text(json.dumps(found | {"learnt": "train"}))
    known = say_verdict(Project(tmp_path))
    assert "<b>On train, which the student learnt from:</b> <b>tuned reads better" in known and "notice good" not in known
    made = [Result("a", "a", None, "ab", "ab", {}, slices={"origin": origin}) for origin in ("gold", "teacher")]
    assert (name_score(made[:1]), name_score(made)) == ("CER", "CER against labels")


@pytest.mark.parametrize(("gate", "said"), [
    ({}, "No gate is set"),
    ({"max_cer_increase": 0.0}, "The gate passes</b>: all pages."),
    ({"max_cer_increase": 0.0, "max_slice_increase": 0.02}, "pass</b>: the slice that fared worst (kind b): +5.0 points, at most +2.0"),
    ({"max_cer_increase": -0.9}, "does not pass</b>: all pages: -30.0 points, at most -90.0 allowed (max_cer_increase)"),
    ({"max_canary_increase": 0.02}, "clean print: nothing was measured"),
    ({"max_likeness": 0.6}, "a tested document is 97.0 % the same as one that was learnt from, at most 60.0 % allowed (max_likeness)"),
])
def test_the_verdict_tells_whether_the_gate_passes(gate, said):
    found = {"difference": {"agreement_cer": -0.3}, "slices": {"kind a": {"agreement_cer": -0.4}, "kind b": {"agreement_cer": 0.05}}}
    found["likeness"] = 0.97
    unset = dict.fromkeys(("max_cer_increase", "max_slice_increase", "max_canary_increase", "max_likeness"))
    assert said in say_gate(measure_gate(found, unset | gate))
    known = say_gate(measure_gate({"difference": {"cer": -0.3}, "learnt": "val"}, unset | {"max_likeness": 0.6}))
    assert known == "<b>The gate passes</b>: no leaks (not judged)."


@pytest.mark.parametrize(("change", "said"), [(0.13, "tuned reads the only document worse than base"), (0.0, "as well as base"),
                                              (-0.13, "tuned reads the only document better than base")])
def test_one_document_makes_a_verdict_on_itself_alone(tmp_path, change, said):
    shutil.copy(PARAMS, tmp_path)
    (tmp_path / "metrics").mkdir()
    found = {"base": {"cer": 0.2}, "tuned": {"cer": 0.2 + change}, "difference": {"cer": change}, "num_documents": 1, "num_pages": 136}
    (tmp_path / "metrics/compare.json").write_text(json.dumps(found))
    told = say_verdict(Project(tmp_path))
    assert said in told and "; 1 document, 136 pages" in told and "about as well" not in told


def test_a_model_on_this_machine_is_tried_with_all_the_words():
    """As `tools.infer` and a local teacher ask it: who it is to be stands before what it is to do."""
    profile = find_profile(Project(ROOT), BASE)
    assert open_profile(profile.model_dump_json(), True, Prompt("Be exact.", "Read.")).profile.prompt == "Be exact.\nRead."
