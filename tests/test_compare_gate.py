"""The gate of compare: worse models, slices, forgetting and leaks don't pass; transitions between states."""

import pytest
from compared import NO_GATE, OUTPUTS, Scored

from ocrtune.rows import write_rows


def test_the_gate_fails_after_writing(tmp_path):
    scored = Scored(tmp_path)
    scored.add("base", 0.1)
    scored.add("tuned", 0.4, canary=0.1)
    failures = scored.compare()
    assert [line.partition(":")[0] for line in failures] == ["max_cer_increase", "max_canary_increase"]
    assert "allowed is +0.0200" in failures[1] and "+0.0800" in failures[1]
    assert "Fine-tuning raised" in scored.report and "**not passed**" in scored.report


def test_a_bound_that_was_not_measured_does_not_pass(tmp_path):
    scored = Scored(tmp_path)
    scored.add("base", 0.5, canary=None)
    scored.add("tuned", 0.1, canary=None)
    assert scored.compare() == ["max_canary_increase: nothing was measured, allowed is +0.0200"]
    assert "increase" not in scored.figures["canary"]
    assert scored.compare(gate=NO_GATE | {"max_cer_increase": 0.0}) == []


def test_slices_are_tested_together_and_the_gate_looks_at_the_worst(tmp_path):
    scored = Scored(tmp_path, num_documents=12)
    for row in scored.rows:
        row["slice_kind"] = "scan | <b>" if int(row["doc_id"][3:5]) < 6 else "print"
        row["slice_always"] = "one"
    bad = {row["page_id"]: scored.misread(row["text"], 0.6) for row in scored.rows if row["slice_kind"] == "print"}
    scored.add("base", 0.3)
    scored.add("tuned", 0.0, bad)
    assert scored.compare(gate=NO_GATE | {"max_slice_increase": 0.05})[0].startswith("max_slice_increase (kind print): +0.")
    slices = scored.figures["slices"]
    assert slices.keys() == {"kind print", "kind scan | <b>"}  # a column of one value is no slice
    assert slices["kind print"]["agreement_cer"] > 0.05 > 0 > slices["kind scan | <b>"]["agreement_cer"]
    assert all(test["p_holm"] == pytest.approx(2 * min(one["p_value"] for one in slices.values()), abs=1e-5) for test in slices.values())
    assert "scan &#124; &#60;b&#62;" in scored.report and "scan | &lt;b&gt;" in scored.page


def test_transitions_between_states(tmp_path):
    scored = Scored(tmp_path)
    loop, pages = "and so " * 30, scored.pages
    scored.add("base", 0.1, {pages[0]: loop, pages[1]: loop, pages[2]: ""}, reasons={pages[2]: "error"})
    scored.add("tuned", 0.1, {pages[3]: loop, pages[4]: "x"}, reasons={pages[4]: "length"})
    scored.compare(gate=NO_GATE)
    assert scored.figures["transitions"] == {"failed_to_fine": 1, "fine_to_loop": 1, "fine_to_truncated": 1, "loop_to_fine": 2}
    assert "From fine to a failure: 1 to loop, 1 to truncated. From a failure to fine: 1 from failed, 2 from loop." in scored.report


def test_no_failure_is_said_too(scored):
    scored.compare()
    assert scored.figures["transitions"] == {"fine_to_loop": 0, "loop_to_fine": 0}
    assert "No line failed" in scored.report and "No line failed" in scored.page


def test_a_slice_of_few_documents_has_no_interval(tmp_path):
    scored = Scored(tmp_path, num_documents=9)
    for row in scored.rows:
        row["slice_kind"] = "few" if int(row["doc_id"][3:5]) < 4 else "enough"
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    rows = {line.split(" | ")[1]: line.split(" | ") for line in scored.report.splitlines() if line.startswith("| kind |")}
    assert rows["few"][3] == "4" and rows["few"][-2] == "-" and " to " in rows["enough"][-2]
    assert "Fewer than 5 documents get no interval" in scored.report


def test_of_many_slices_the_largest_stand_alone(tmp_path):
    scored = Scored(tmp_path, num_documents=60, lines=1)
    for place, row in enumerate(scored.rows):
        row["slice_kind"] = "common" if place < 10 else f"rare{place}"
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    slices = scored.figures["slices"]
    assert len(slices) == 40 and sum(test["num_pages"] for test in slices.values()) == 60
    assert slices["kind common"]["num_pages"] == 10 and slices["kind (others)"]["num_pages"] == 12


@pytest.fixture
def leaky(tmp_path) -> Scored:
    """Return scores of documents of which train holds one in other pages' name, and val one as it is."""
    scored = Scored(tmp_path, num_documents=12, lines=12)
    for row in scored.rows:
        row["text"] += " " + " ".join(f"{row['page_id'][3:5]}{number}" for number in scored.random.sample(range(900), 8))
    write_rows(tmp_path / "data/splits/test.jsonl", scored.rows)
    scored.add("base", 0.5)
    scored.add("tuned", 0.0)
    copies = [row | {"page_id": "x" + row["page_id"], "doc_id": "copy", "text": row["text"].upper()}
              for row in scored.rows if row["doc_id"].startswith("doc03")]
    write_rows(tmp_path / "data/splits/train.jsonl", copies[1:])
    write_rows(tmp_path / "data/splits/val.jsonl", [scored.rows[0]])
    return scored


def test_a_test_set_that_was_learnt_from_does_not_pass(leaky):
    (failure,) = leaky.compare()
    same, copy = leaky.rows[0]["doc_id"], next(row["doc_id"] for row in leaky.rows if row["doc_id"].startswith("doc03"))
    assert failure.startswith(f"max_likeness: 2 tested documents the student learnt from: {same} is 100 % the same as {same} of val, "
                              f"{copy} is 9")
    assert " % the same as copy of train; allowed is 60 %" in failure
    assert f"`max_likeness`: **not passed**, 2 tested documents the student learnt from: {same}" in leaky.report
    assert leaky.figures["likeness"] == 1
    assert leaky.compare(gate=NO_GATE) == [] and "likeness" not in leaky.figures


def test_a_bound_that_allows_the_likeness_lets_copies_pass_but_not_the_document_itself(leaky):
    (failure,) = leaky.compare(gate=NO_GATE | {"max_likeness": 0.97})
    assert "1 tested document the student learnt from" in failure and "copy" not in failure
    write_rows(leaky.folder / "data/splits/val.jsonl", [])
    assert leaky.compare(gate=NO_GATE | {"max_likeness": 0.97}) == []
    assert "`max_likeness`: passed, no tested document is over 97.0 % the same as one of train or val" in leaky.report


@pytest.mark.parametrize(("split", "why"), [("train", "which the student learnt from"),
                                            ("val", "by which the student's weights were chosen")])
def test_scores_on_what_was_learnt_are_called_so(scored, split, why):
    write_rows(scored.folder / f"data/splits/{split}.jsonl", scored.rows)
    assert scored.compare(split=split) == []  # no leak: it is known
    assert scored.report.splitlines()[2].startswith(f"**On {split}, {why}: Fine-tuning lowered")
    assert f"`max_likeness`: not judged, these are the documents of {split}, {why}" in scored.report
    assert "<li class=open>" in scored.page and "tile good" not in scored.page
    assert scored.figures["learnt"] == split and "likeness" not in scored.figures
    assert [line.partition(":")[0] for line in scored.compare(split="test")] == ["max_likeness"]  # the same documents under another name
    assert "learnt" not in scored.figures


def test_command_exits_1_when_the_gate_fails(project, monkeypatch):
    scored = Scored(project.folder)
    scored.add("base", 0.1)
    scored.add("tuned", 0.4)
    arguments = ("data/pages", "data/splits", "data/splits/train.jsonl", "data/splits/val.jsonl", "data/predictions", "metrics/evaluate",
                 "metrics/train", *(f"metrics/{name}" for name in OUTPUTS), "metrics/plots", "metrics/tables")
    status, output = project.run("-m", "stages.compare", *arguments)
    assert status == 1 and "compare.gate in params.yaml does not pass; see metrics/compare.md" in output and "Traceback" not in output
    assert scored.figures["gate"] == {"passed": 0} and "gate.fails" not in output
    monkeypatch.setenv("DVC_EXP_NAME", "worse")
    status, output = project.run("-m", "stages.compare", *arguments)
    assert status == 1 and "the same again with -S compare.gate.fails=false runs compare alone" in output
    project.params["compare"]["gate"]["fails"] = False
    project.save()
    status, output = project.run("-m", "stages.compare", *arguments)
    assert status == 0 and "warning: compare.gate in params.yaml does not pass" in output and "max_cer_increase: +0." in output
    assert scored.figures["gate"] == {"passed": 0} and "**not passed**" in scored.report
    scored.add("tuned", 0.01)
    status, output = project.run("-m", "stages.compare", *arguments)
    assert status == 0 and "Fine-tuning lowered" in output and scored.figures["gate"] == {"passed": 1}
