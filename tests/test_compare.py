"""Compare, from evaluate's files to verdict and metrics."""

import csv
import hashlib
import json
import re
from pathlib import Path

import pytest
from compared import NO_GATE, OUTPUTS, PICTURES, TABLES, Scored

from ocrtune.rows import read_rows, write_json, write_rows


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under a folder."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_writes_its_outputs_alone_and_twice_the_same(scored, capsys):
    before = digests(scored.folder)
    assert scored.compare() == []
    first = digests(scored.folder)
    assert first.keys() - before.keys() == {*(f"metrics/{name}" for name in OUTPUTS), *(
        f"metrics/plots/{name}.png" for name in PICTURES), *(f"metrics/tables/{name}.csv" for name in TABLES)}
    assert before.items() <= first.items()  # inputs untouched
    scored.compare()
    assert digests(scored.folder) == first
    assert "compare: 30 in, 30 out, 0 refused" in capsys.readouterr().out


def test_verdict_says_what_the_counts_say(scored):
    scored.compare()
    figures, verdict = scored.figures, scored.report.splitlines()[2]
    cers = []
    for name in ("base", "tuned"):
        rows = list(csv.DictReader((scored.folder / f"metrics/evaluate/{name}.csv").open()))
        cers.append(sum(int(row[key]) for row in rows for key in ("substitutions", "insertions", "deletions"))
                    / sum(int(row["reference_chars"]) for row in rows))
    assert [figures["base"]["agreement_cer"], figures["tuned"]["agreement_cer"]] == pytest.approx(cers, abs=1e-6)
    assert figures["difference"]["agreement_cer"] == pytest.approx(cers[1] - cers[0], abs=1e-6)
    assert figures["difference"]["agreement_cer_relative"] == pytest.approx(cers[1] / cers[0] - 1, abs=1e-6)
    low, middle, high = (figures["difference"][f"agreement_cer{end}"] for end in ("_low", "", "_high"))
    assert low <= middle <= high < 0
    assert 0 < figures["difference"]["smallest_effect"] < 0.5 and "cer" not in figures["difference"]
    assert verdict.startswith(f"**Fine-tuning lowered the character error rate against the teacher's labels from {100 * cers[0]:.1f} % to")
    assert verdict.endswith("over 6 documents, 30 lines).**")
    assert figures["difference"]["document_wins"] == 6 and figures["canary"]["increase"] == 0.01


def test_metrics_name_their_rules_and_are_numbers_else(scored):
    scored.add("tesseract", 0.2, canary=None)
    scored.compare()

    def flatten(value) -> list:
        return [number for part in value.values() for number in flatten(part)] if isinstance(value, dict) else [value]

    rules = {"normalizer": "nfc_ws@1", "unit": "codepoint", "structure": False, "split": "test", "top_k": None, "origins": {"teacher": 30}}
    assert scored.figures.items() >= rules.items()
    flat = flatten({name: value for name, value in scored.figures.items() if name not in rules})
    assert flat and all(type(number) in (int, float) for number in flat)
    assert 0 < scored.figures["tesseract"]["mean_ned"] < 1
    quote = ("Measured on the split `test` (all of it): 30 lines of 6 documents, 1,035 characters; references: 30 `teacher`; "
             "normalizer `nfc_ws@1`, unit `codepoint`.")
    assert scored.report.splitlines()[4] == quote and "Measured on the split <code>test</code>" in scored.page


def test_figures_of_tables_and_order_are_in_the_metrics_too(scored):
    for name, teds in (("base", 0.5), ("tuned", 0.75)):
        path = scored.folder / f"metrics/evaluate/{name}.json"
        found = {"structure": True, "teds": teds, "teds_structure": 0.9, "reading_order": 0.1}
        write_json(path, json.loads(path.read_text()) | found)
    scored.compare()
    assert scored.figures["structure"] is True and scored.figures["tuned"].items() >= {"teds": 0.75, "reading_order": 0.1}.items()
    assert "| tables: TEDS | 50.0 % | 75.0 % | +25.0 |" in scored.report and "tables and order of blocks." in scored.report


def test_csv_has_a_row_a_page_and_a_column_a_reader(scored):
    scored.add("tesseract", 0.2)
    scored.compare()
    rows = list(csv.DictReader((scored.folder / "metrics/compare.csv").open()))
    assert [row["page_id"] for row in rows] == scored.pages
    assert list(rows[0]) == ["page_id", "doc_id", "origin", "reference_chars", *(f"{name}_agreement_cer" for name in scored.readers)]
    assert (scored.folder / "metrics/plots/readers.png").is_file()
    assert "| `tesseract` |" in scored.report


def test_readers_of_params_alone(scored):
    scored.add("tesseract", 0.2)
    scored.add("other", 0.2)
    scored.compare(readers=["other"])
    assert "other" in scored.figures and "tesseract" not in scored.figures


def test_each_further_reader_is_paired_with_baseline_and_candidate(scored):
    scored.add("tesseract", 0.1)
    scored.add("twin", 0.0, {row["page_id"]: row["text"] for row in read_rows(scored.folder / "data/predictions/base.jsonl")})
    scored.compare()
    further, base = scored.figures["further"], scored.figures["base"]["agreement_cer"]
    assert list(further) == ["tesseract", "twin"]
    better, same = further.values()
    assert better["agreement_cer"] == pytest.approx(scored.figures["tesseract"]["agreement_cer"] - base, abs=1e-6)
    assert better["agreement_cer_low"] < better["agreement_cer"] < better["agreement_cer_high"] < 0
    assert (better["p_value"], better["p_holm"], better["document_wins"]) == (2 / 2**6, 4 * 2 / 2**6, 6)
    than_tuned = same["from_candidate"]
    assert than_tuned["agreement_cer"] == pytest.approx(-scored.figures["difference"]["agreement_cer"], abs=1e-6)
    assert than_tuned["agreement_cer_low"] == pytest.approx(-scored.figures["difference"]["agreement_cer_high"], abs=1e-6)
    assert (than_tuned["document_losses"], than_tuned["p_value"]) == (6, 2 / 2**6)
    assert (same["agreement_cer"], same["p_holm"], same["page_ties"]) == (0, 1, 30)
    assert "## Further readers" in scored.report and "<h2>Further readers</h2>" in scored.page
    assert "| `twin` | `base` | " in scored.report and "| `twin` | `tuned` | " in scored.report
    assert "adjusted for the number of comparisons" in scored.report


def test_failures_of_further_readers_are_said(scored):
    scored.add("tesseract", 0.1, {page_id: "" for page_id in scored.pages[:3]} | {scored.pages[3]: "and so " * 30})
    scored.compare()
    assert ("No line failed (looped, was cut off, stayed empty or was made up) with `base` or `tuned`. "
            "With `tesseract` 4 lines failed: 3 empty, 1 loop.") in scored.report
    assert "(+0.0 points)" not in scored.report and "Further readers: `tesseract` 2.0 %." in scored.report


def test_no_clear_difference_is_called_so(tmp_path):
    scored = Scored(tmp_path)
    scored.add("base", 0.0, dict.fromkeys(scored.pages[:15], ""))  # each fails on half of the documents
    scored.add("tuned", 0.0, dict.fromkeys(scored.pages[15:], ""))
    scored.compare(gate=NO_GATE)
    assert "made no clear difference to" in scored.report and "No gate is set" in scored.report


def test_same_texts_tie_everywhere(tmp_path):
    scored = Scored(tmp_path)
    scored.add("base", 0.0)
    scored.add("tuned", 0.0)
    assert scored.compare() == []
    assert scored.figures["difference"]["page_ties"] == 30 and scored.figures["difference"]["p_value"] == 1
    assert "can't be estimated" in scored.report and "about 0.0 points" not in scored.report
    assert "smallest_effect" not in scored.figures["difference"]
    assert "Every line is read perfectly." in scored.report and "What is taken for what" not in scored.report


def test_one_document_gives_no_interval(tmp_path):
    scored = Scored(tmp_path, num_documents=1)
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    assert "agreement_cer_low" not in scored.figures["difference"] and "one document alone" in scored.report


def test_gold_and_labels_are_kept_apart(tmp_path):
    scored = Scored(tmp_path)
    for row in scored.rows[:10]:
        row["origin"] = "gold"
    write_rows(tmp_path / "data/splits/test.jsonl", scored.rows)
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    assert "10 are gold (checked by people) and 20 are the teacher's labels" in scored.report
    assert "| against gold (checked by people) |" in scored.report
    slices = scored.figures["slices"]
    assert {"cer", "cer_before", "cer_after"} <= slices["origin gold"].keys()
    assert {"agreement_cer", "agreement_cer_before"} <= slices["origin teacher"].keys()
    assert "| slice |  | lines | documents |" in scored.report


def test_a_score_against_a_teacher_bears_no_plain_name(scored):
    scored.add("tesseract", 0.1)
    scored.compare(gate=NO_GATE)
    plain = re.compile(r"\b(CER|WER)\b(?! against)")
    text, _, clean = scored.report.partition("## Forgetting")  # clean print is gold
    lines = [line for line in text.splitlines() if plain.search(re.sub("CER of 100 % and more|a CER proper", "", line))]
    assert not lines and "WER against labels" in scored.report and not plain.search(clean.partition("## Pictures")[2])


def test_gold_alone_is_a_plain_cer(tmp_path):
    scored = Scored(tmp_path)
    for row in scored.rows:
        row["origin"] = "gold"
    write_rows(tmp_path / "data/splits/test.jsonl", scored.rows)
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    assert "lowered the character error rate from" in scored.report and "teacher" not in scored.report and "labels" not in scored.report


def test_empty_references_and_failed_pages(tmp_path):
    scored = Scored(tmp_path)
    scored.rows[0]["text"] = ""
    write_rows(tmp_path / "data/splits/test.jsonl", scored.rows)
    scored.add("base", 0.5, {scored.pages[0]: "made up", scored.pages[1]: ""})
    scored.add("tuned", 0.0, {scored.pages[2]: ""})
    scored.compare()
    assert "*(empty)*" in scored.report and "*(nothing)*" in scored.report
