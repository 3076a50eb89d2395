"""Compare, from evaluate's files to verdict, metrics, pictures and report."""

import csv
import hashlib
import json
import random
import re
from pathlib import Path

import pytest
from lxml import html
from PIL import Image

from ocrtune.params.compare import CompareParams
from ocrtune.rows import RowError, read_rows, write_json, write_rows
from ocrtune.scores import score_page
from ocrtune.scores_csv import SCORE_COLUMNS, write_scores_csv
from ocrtune.summaries import name_rates, summarize
from stages.compare import Inputs, Outputs, compare, find_unit

PARAMS = {"baseline": "base", "candidate": "tuned", "readers": None, "draws": 500, "confidence": 0.95, "seed": 0, "worst": 3,
          "gate": {"max_cer_increase": 0.0, "max_slice_increase": None, "max_canary_increase": 0.02}}
WORDS = "der Brief ſoll an die Gemeinde zu Oſtern zwanzig Thaler und fünf Groſchen zahlen".split()
OUTPUTS = ("compare.json", "compare.csv", "compare.md", "compare.html")
PICTURES = ("cer_distribution", "confusions", "documents", "scatter")
TABLES = ("confusions", "distribution", "documents")
NO_GATE = {"max_cer_increase": None, "max_slice_increase": None, "max_canary_increase": None}


class Scored:
    """A folder as evaluate leaves it, of readers that misread at given rates."""

    def __init__(self, folder: Path, num_documents: int = 6, lines: int = 5, seed: int = 0):
        self.folder, self.random, self.readers = folder, random.Random(seed), []
        self.pages = [f"doc{number:02d}-{number:08x}_p1_l{line:03d}" for number in range(num_documents) for line in range(1, lines + 1)]
        self.rows = [{"page_id": page_id, "doc_id": page_id.partition("_")[0], "image": f"../pages/images/{page_id}.png",
                      "text": " ".join(self.random.choices(WORDS, k=6)), "origin": "teacher"} for page_id in self.pages]
        write_rows(folder / "data/pages/pages.jsonl", [{"page_id": page_id, "line": 1} for page_id in self.pages])
        write_rows(folder / "data/splits/test.jsonl", self.rows)

    def misread(self, text: str, rate: float) -> str:
        """Return a text with about this share of its characters wrong."""
        return "".join("#" if self.random.random() < rate else char for char in text)

    def add(self, name: str, rate: float, texts: dict | None = None, canary: float | None = 0.02, normalizer: str = "nfc_ws@1",
            reasons: dict | None = None) -> None:
        """Add a reader that misreads at a rate, or reads the given texts; `reasons`: finish_reason of some pages."""
        self.readers = [*dict.fromkeys([*self.readers, name])]
        texts = {row["page_id"]: self.misread(row["text"], rate) for row in self.rows} | (texts or {})
        rows = [{"page_id": row["page_id"], "doc_id": row["doc_id"], "origin": row["origin"],
                 **score_page(row["text"], texts[row["page_id"]], normalizer), "finish_reason": (reasons or {}).get(row["page_id"], "stop"),
                 **{name: value for name, value in row.items() if name.startswith("slice_")}} for row in self.rows]
        write_rows(self.folder / f"data/predictions/{name}.jsonl", [
            {"page_id": page_id, "text": text, "key": "k", "finish_reason": "stop"} for page_id, text in texts.items()])
        write_scores_csv(self.folder / f"metrics/evaluate/{name}.csv", rows)
        remembered = {"num_lines": 0 if canary is None else 9, "cer": canary or 0.0}
        write_json(self.folder / f"metrics/evaluate/{name}.json",
                   {"reader": name, "normalizer": normalizer, "unit": "codepoint", "structure": False, "split": "test", "top_k": None,
                    **name_rates(summarize(rows), {row["origin"] for row in rows}), "canary": remembered})

    def compare(self, **changes) -> list[str]:
        """Run the stage and return the gate's failures."""
        data, metrics = self.folder / "data", self.folder / "metrics"
        inputs = Inputs(data / "pages", data / "splits", data / "predictions", metrics / "evaluate", metrics / "train")
        outputs = Outputs(*(metrics / name for name in OUTPUTS), metrics / "plots", metrics / "tables")
        return compare(inputs, outputs, CompareParams.model_validate(PARAMS | changes),
                       {"readers": dict.fromkeys(self.readers), "split": "test", "top_k": None})

    @property
    def report(self) -> str:
        """The report's text."""
        return (self.folder / "metrics/compare.md").read_text(encoding="utf-8")

    @property
    def page(self) -> str:
        """The report as HTML."""
        return (self.folder / "metrics/compare.html").read_text(encoding="utf-8")

    @property
    def figures(self) -> dict:
        """The metrics."""
        return json.loads((self.folder / "metrics/compare.json").read_text())


@pytest.fixture
def scored(tmp_path) -> Scored:
    """Return a folder with base and tuned."""
    scored = Scored(tmp_path)
    scored.add("base", 0.5)
    scored.add("tuned", 0.04, canary=0.03)
    return scored


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


def test_metrics_are_numbers_alone(scored):
    scored.add("tesseract", 0.2, canary=None)
    scored.compare()

    def flatten(value) -> list:
        return [number for part in value.values() for number in flatten(part)] if isinstance(value, dict) else [value]

    flat = flatten(scored.figures)
    assert flat and all(type(number) in (int, float) for number in flat)


def test_csv_has_a_row_a_page_and_a_column_a_reader(scored):
    scored.add("tesseract", 0.2)
    scored.compare()
    rows = list(csv.DictReader((scored.folder / "metrics/compare.csv").open()))
    assert [row["page_id"] for row in rows] == scored.pages
    assert list(rows[0]) == ["page_id", "doc_id", "origin", "reference_chars", "base_cer", "tuned_cer", "tesseract_cer"]
    assert (scored.folder / "metrics/plots/readers.png").is_file()
    assert "| `tesseract` |" in scored.report


def test_readers_of_params_alone(scored):
    scored.add("tesseract", 0.2)
    scored.add("other", 0.2)
    scored.compare(readers=["other"])
    assert "other" in scored.figures and "tesseract" not in scored.figures


def test_each_further_reader_is_paired_with_the_baseline(scored):
    scored.add("tesseract", 0.1)
    scored.add("twin", 0.0, {row["page_id"]: row["text"] for row in read_rows(scored.folder / "data/predictions/base.jsonl")})
    scored.compare()
    further, base = scored.figures["further"], scored.figures["base"]["agreement_cer"]
    assert list(further) == ["tesseract", "twin"]
    better, same = further.values()
    assert better["agreement_cer"] == pytest.approx(scored.figures["tesseract"]["agreement_cer"] - base, abs=1e-6)
    assert better["agreement_cer_low"] < better["agreement_cer"] < better["agreement_cer_high"] < 0
    assert (better["p_value"], better["p_holm"], better["document_wins"]) == (2 / 2**6, 2 * 2 / 2**6, 6)
    assert (same["agreement_cer"], same["p_holm"], same["page_ties"]) == (0, 1, 30)
    assert "## Further readers" in scored.report and "<h2>Further readers</h2>" in scored.page
    assert "| `twin` | " in scored.report


def test_pictures_hold_no_clock_and_no_version(scored):
    scored.compare()
    for path in (scored.folder / "metrics/plots").glob("*.png"):
        with Image.open(path) as image:
            assert image.width > 500 and set(image.info) <= {"dpi"}


def test_links_lead_to_files(scored):
    for page_id in scored.pages:
        path = scored.folder / "data/pages/images" / f"{page_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(path)
    scored.compare()
    links = re.findall(r'(?:src="|\]\()([^")]+)', scored.report)
    assert len(links) > 6
    assert all((scored.folder / "metrics" / link).is_file() and not link.startswith("/") for link in links)


def test_a_hostile_prediction_breaks_nothing(scored):
    hostile = "</td></table>\n\n# big | a | b\n```\n<script>alert(1)</script> ![x](y) **\0\ud800"
    scored.add("tuned", 0.0, {scored.pages[3]: hostile})
    scored.compare()
    assert set(re.findall(r"<(/?\w+)", scored.report)) == {"b", "/b", "del", "/del", "img"}
    assert "```" not in scored.report and "\n# big" not in scored.report and "](y)" not in scored.report
    assert "## Lines that got worse" in scored.report


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
    assert "Every line is read perfectly." in scored.report and "What is taken for what" not in scored.report


def test_one_document_gives_no_interval(tmp_path):
    scored = Scored(tmp_path, num_documents=1)
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    assert "agreement_cer_low" not in scored.figures["difference"] and "one document alone" in scored.report


def test_many_documents_are_scattered_and_folded(tmp_path):
    scored = Scored(tmp_path, num_documents=50, lines=1)
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    assert "<summary>50 documents, worst first</summary>" in scored.report


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


def test_gold_alone_is_a_plain_cer(tmp_path):
    scored = Scored(tmp_path)
    for row in scored.rows:
        row["origin"] = "gold"
    write_rows(tmp_path / "data/splits/test.jsonl", scored.rows)
    scored.add("base", 0.5)
    scored.add("tuned", 0.1)
    scored.compare()
    assert "lowered the character error rate from" in scored.report and "teacher" not in scored.report


def test_empty_references_and_failed_pages(tmp_path):
    scored = Scored(tmp_path)
    scored.rows[0]["text"] = ""
    write_rows(tmp_path / "data/splits/test.jsonl", scored.rows)
    scored.add("base", 0.5, {scored.pages[0]: "made up", scored.pages[1]: ""})
    scored.add("tuned", 0.0, {scored.pages[2]: ""})
    scored.compare()
    assert "*(empty)*" in scored.report and "*(nothing)*" in scored.report


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


def drop_page(path: Path, page_id: str) -> None:
    """Delete a page's line from a file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if page_id not in line]
    path.write_text("".join(lines), encoding="utf-8")


def count_one_page_less(path: Path) -> None:
    """Make a reader's metrics agree with a scores file that lost a page."""
    figures = json.loads(path.read_text())
    rows = list(csv.DictReader(path.with_suffix(".csv").open()))
    edits, chars = (sum(int(row[key]) for row in rows for key in keys) for keys in (SCORE_COLUMNS[5:8], SCORE_COLUMNS[3:4]))
    path.write_text(json.dumps(figures | {"num_pages": len(rows), "agreement_cer": edits / chars}))


def test_pages_that_one_reader_lacks_are_named(scored):
    page_id, scores = scored.pages[7], scored.folder / "metrics/evaluate"
    drop_page(scores / "tuned.csv", page_id)
    with pytest.raises(RowError, match=r"tuned.json: does not sum up tuned.csv \(30 pages there, 29 here\)"):
        scored.compare()
    count_one_page_less(scores / "tuned.json")
    with pytest.raises(RowError, match=f"base has pages that tuned lacks: {page_id};"):
        scored.compare()
    drop_page(scores / "base.csv", page_id)
    count_one_page_less(scores / "base.json")
    with pytest.raises(RowError, match=f"test.jsonl: not the pages that base was scored on: {page_id};"):
        scored.compare()


def test_other_normalizer_is_refused(scored):
    scored.add("tuned", 0.1, normalizer="raw")
    with pytest.raises(RowError, match="base is scored with normalizer nfc_ws@1, tuned with raw"):
        scored.compare()


def test_predictions_that_are_not_the_scored_ones_are_refused(scored):
    path = scored.folder / "data/predictions/tuned.jsonl"
    rows = read_rows(path)
    write_rows(path, [row | {"text": row["text"] + "!"} if row["page_id"] == scored.pages[4] else row for row in rows])
    with pytest.raises(RowError, match=f"texts and scores of tuned disagree on {scored.pages[4]};"):
        scored.compare()
    write_rows(path, rows[1:])
    with pytest.raises(RowError, match=f"tuned.jsonl: no prediction of {scored.pages[0]};"):
        scored.compare()


@pytest.mark.parametrize(("breakage", "message"), [
    (lambda folder: (folder / "metrics/evaluate/tuned.json").unlink(), "no scores of tuned; scored are: base"),
    (lambda folder: (folder / "metrics/evaluate/tuned.csv").unlink(), "tuned.csv: no such file"),
    (lambda folder: (folder / "metrics/evaluate/tuned.json").write_text("{"), "tuned.json: not JSON"),
    (lambda folder: (folder / "metrics/evaluate/tuned.json").write_text("[]"), "tuned.json: not the metrics of a reader"),
    (lambda folder: (folder / "data/predictions/base.jsonl").unlink(), "base.jsonl: no such file"),
    (lambda folder: (folder / "data/splits/test.jsonl").write_text("{}\n"), "test.jsonl:1: not a row: missing page_id"),
])
def test_broken_input_is_named(scored, breakage, message):
    breakage(scored.folder)
    with pytest.raises(RowError, match=re.escape(message)):
        scored.compare()


def test_a_reader_must_not_bear_a_key_of_the_metrics(scored):
    scored.add("canary", 0.1)
    with pytest.raises(RowError, match="can't be called 'canary'"):
        scored.compare()


def test_a_reader_that_params_no_longer_name_is_left_aside(scored, capsys):
    scored.add("tesseract", 0.2)
    scored.readers.remove("tesseract")
    scored.compare()
    assert "left aside: tesseract, scored once" in capsys.readouterr().out
    assert "tesseract" not in scored.report + scored.page and "tesseract" not in scored.figures
    with pytest.raises(RowError, match=r"compare names tesseract, which evaluate\.readers lacks; it has: base, tuned"):
        scored.compare(readers=["tesseract"])


@pytest.mark.parametrize(("rule", "value"), [("unit", "grapheme"), ("split", "val"), ("top_k", 5), ("structure", True)])
def test_other_rules_are_refused(scored, rule, value):
    path = scored.folder / "metrics/evaluate/tuned.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {rule: value}))
    with pytest.raises(RowError, match=f"base is scored with {rule} .*, tuned with {value}; rerun evaluate for both"):
        scored.compare()


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


def test_the_page_needs_no_other_file_and_runs_no_script(scored):
    from conftest import draw_line

    hostile = "</dd></table><script>alert(1)</script><img src=x onerror=alert(2)> `code` **bold** \0\ud800\u202e"
    draw_line(scored.folder / f"data/pages/images/{scored.pages[3]}.png", "a line")
    scored.add("tuned", 0.0, {scored.pages[3]: hostile})
    scored.compare(gate=NO_GATE)
    page = html.document_fromstring(scored.page)
    elements = [element for element in page.iter() if isinstance(element.tag, str)]
    assert not {"script", "iframe", "object", "link", "form", "base"} & {element.tag for element in elements}
    names = {name for element in elements for name in element.attrib}
    assert names == {"lang", "charset", "http-equiv", "content", "name", "class", "alt", "src", "title"}
    sources = [element.get("src") for element in page.iter("img")]
    assert all(source.startswith("data:image/") for source in sources)
    assert any(source.startswith("data:image/png;base64,") for source in sources)  # the page that got worse
    text = page.text_content()
    assert "⟨U+202E⟩" in text and "default-src 'none'" in scored.page
    shown = "".join(dd.text_content() for dd in page.iter("dd"))
    assert "<script>" in re.sub(r"␣", " ", shown)  # as text


def test_the_page_holds_what_the_report_holds(scored):
    scored.compare()
    page, report = scored.page, scored.report
    for title in re.findall(r"^## (.*)$", report, re.MULTILINE):
        assert title == "Pictures" or f"<h2>{title}</h2>" in page
    assert report.splitlines()[2].strip("*") in page.replace("&#x27;", "'")
    assert page.count("<figure>") == len(PICTURES) and "<mark title=" in page


def test_the_loss_is_drawn_where_there_was_a_training(scored):
    path = scored.folder / "metrics/train/plots/metrics/loss.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("step\tloss\n5\t2.5\n10\t0.1\n")
    scored.compare()
    assert (scored.folder / "metrics/plots/loss.png").is_file() and "<h2>Training</h2>" in scored.page


def test_tables_for_dvc_plots_agree_with_the_scores(scored):
    scored.compare()
    folder = scored.folder / "metrics/tables"
    bins = list(csv.DictReader((folder / "distribution.csv").open()))
    assert [sum(int(row[name]) for row in bins) for name in ("before", "after")] == [30, 30]
    assert [row["cer"] for row in bins] == sorted(row["cer"] for row in bins) and bins[0]["cer"] == "000 perfect"
    assert len(list(csv.DictReader((folder / "documents.csv").open()))) == 6
    assert int(next(csv.DictReader((folder / "confusions.csv").open()))["before"]) > 0


@pytest.mark.parametrize(("cer", "name"), [(0, "000 perfect"), (0.001, "000 to 005 %"), (0.15, "015 to 020 %"), (0.9999, "095 to 100 %"),
                                           (1, "100 % and more"), (40, "100 % and more")])
def test_bars_of_the_histogram(cer, name):
    from ocrtune.plot_tables import find_bin, name_bin

    assert name_bin(find_bin(cer)) == name


def test_units_by_page_id():
    def unit(page_id, line):
        return find_unit([{"page_id": page_id, "line": line}])

    assert (unit("balance-1_p1", None), unit("b_p1_l001", 1), unit("l_p1_b001", 1)) == ("page", "line", "block")


def test_params_refuse_a_reader_against_itself():
    with pytest.raises(ValueError, match="must differ"):
        CompareParams.model_validate(PARAMS | {"candidate": "base"})


def test_command_exits_1_when_the_gate_fails(project):
    scored = Scored(project.folder)
    scored.add("base", 0.1)
    scored.add("tuned", 0.4)
    arguments = ("data/pages", "data/splits", "data/predictions", "metrics/evaluate", "metrics/train",
                 *(f"metrics/{name}" for name in OUTPUTS), "metrics/plots", "metrics/tables")
    status, output = project.run("-m", "stages.compare", *arguments)
    assert status == 1 and "compare.gate in params.yaml does not pass; see metrics/compare.md" in output and "Traceback" not in output
    scored.add("tuned", 0.01)
    status, output = project.run("-m", "stages.compare", *arguments)
    assert status == 0 and "Fine-tuning lowered" in output


def test_confusion_labels_are_drawable():
    from ocrtune.plots import shorten_name, show

    assert [show(text) for text in ("", " ", "ſ", "台", "\0", "\ud800")] == ["(nothing)", "␣", "ſ", "U+53F0", "U+0000", "U+D800"]
    assert len(shorten_name("x" * 99)) <= 36
