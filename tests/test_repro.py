"""The pipeline end to end, through DVC, on six documents: what runs, what does not, and what it costs.

One project folder serves the tests of this file, in their order: each starts where the last one ended.
"""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from clean_environment import clean_environment

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("letters", "receipts", "minutes")
STAGES = ["crawl", "pdf2img", "teacher_label", "split", "train", "merge", "evaluate@base", "evaluate@tuned", "compare"]


def make_project(folder: Path) -> None:
    """Copy what git would clone, with six documents, a short canary and a training of four steps."""
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", "uv.lock", "models/base/tiny", "stages", "ocrtune"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for kind in DOCUMENTS:
        (folder / "data/site" / kind).mkdir(parents=True)
        for document in sorted((ROOT / "data/site" / kind).glob("*.pdf"))[:2]:
            shutil.copy(document, folder / "data/site" / kind)
    (folder / "data/gold.jsonl").touch()
    for name in ("canary", "rehearsal"):
        shutil.copytree(ROOT / "data" / name, folder / "data" / name, dirs_exist_ok=True)
    rows = (ROOT / "data/canary/canary.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:4]
    (folder / "data/canary/canary.jsonl").write_text("".join(rows), encoding="utf-8")
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["split"] |= {"test": 0.3, "val": 0.1}
    params["train"] |= {"epochs": None, "max_steps": 4, "per_device_batch_size": 4, "save_steps": 2, "logging_steps": 1}
    params["students"]["tiny"]["max_new_tokens"] = 24
    gate = dict.fromkeys(("max_cer_increase", "max_canary_increase", "max_slice_increase"))
    params["compare"] |= {"draws": 200, "gate": gate | {"max_likeness": 0.6}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


class Project:
    """A DVC project in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = clean_environment() | {
            "HF_HUB_OFFLINE": "1", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
            "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org"}

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def commit(self) -> None:
        self.run("git", "add", "-A", ".")
        self.run("git", "commit", "-qm", "state")

    def repro(self, *arguments: str) -> tuple[list[str], str]:
        """Return which stages ran, in order, and all that was printed."""
        output = self.run("dvc", "repro", *arguments)
        return re.findall(r"Running stage '([^']+)'", output), output


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    project = Project(folder)
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    project.commit()
    return project


def test_a_fresh_clone_runs_all_stages(project):
    ran, _ = project.repro()
    assert sorted(ran) == sorted(STAGES)
    assert ran.index("train") < ran.index("merge") < ran.index("evaluate@tuned") < ran.index("compare")
    report = (project.folder / "metrics/compare.md").read_text(encoding="utf-8")
    assert "CER" in report
    project.commit()


def read_rows(project, file: str) -> list[dict]:
    return [json.loads(line) for line in (project.folder / file).read_text(encoding="utf-8").splitlines()]


def test_law_1_one_writer_a_file(project):
    outs = [out["path"] for stage in yaml.safe_load((project.folder / "dvc.lock").read_text())["stages"].values() for out in stage["outs"]]
    assert len(outs) == len(set(outs))
    assert not [(one, two) for one in outs for two in outs if two.startswith(f"{one}/")]


def test_law_2_every_row_comes_out_or_is_refused(project):
    documents, pages = read_rows(project, "data/documents/documents.jsonl"), read_rows(project, "data/pages/pages.jsonl")
    assert len(documents) == 6
    refused = {row["doc_id"] for row in read_rows(project, "data/pages/refused.jsonl")}
    assert {row["doc_id"] for row in documents} == {row["doc_id"] for row in pages} | refused
    labels, unlabelled = read_rows(project, "data/labels/labels.jsonl"), read_rows(project, "data/labels/refused.jsonl")
    assert sorted(row["page_id"] for row in pages) == sorted(row["page_id"] for row in labels + unlabelled)


def test_law_3_and_4_every_test_page_is_scored_by_its_id(project):
    test = [row["page_id"] for row in read_rows(project, "data/splits/test.jsonl")]
    assert len(test) == len(set(test)) > 0
    for reader in ("base", "tuned"):
        assert [row["page_id"] for row in read_rows(project, f"data/predictions/{reader}.jsonl")] == test
        with (project.folder / f"metrics/evaluate/{reader}.csv").open() as file:
            assert [row["page_id"] for row in csv.DictReader(file)] == test


def test_law_5_a_document_is_in_one_split(project):
    documents = [{row["doc_id"] for row in read_rows(project, f"data/splits/{name}.jsonl")} for name in ("train", "val", "test")]
    assert sum(map(len, documents)) == len(set.union(*documents))


def test_law_7_paths_are_relative_to_their_file(project):
    files = [("data/documents/documents.jsonl", "file"), ("data/pages/pages.jsonl", "image"), ("data/splits/train.jsonl", "image")]
    for file, column in files:
        for row in read_rows(project, file):
            assert not Path(row[column]).is_absolute()
            assert (project.folder / file).parent.joinpath(row[column]).is_file()


def test_law_8_counts_are_pooled_then_divided(project):
    summary = json.loads((project.folder / "metrics/evaluate/tuned.json").read_text())
    with (project.folder / "metrics/evaluate/tuned.csv").open() as file:
        rows = list(csv.DictReader(file))
    edits = sum(int(row[name]) for row in rows for name in ("substitutions", "insertions", "deletions"))
    assert summary["cer"] == pytest.approx(edits / sum(int(row["reference_chars"]) for row in rows), abs=1e-6)


def test_law_9_a_score_against_labels_is_not_called_plain_cer(project):
    assert {row["origin"] for row in read_rows(project, "data/splits/test.jsonl")} == {"text_layer"}
    assert "against the documents' own text layers" in (project.folder / "metrics/compare.md").read_text(encoding="utf-8")


def test_law_10_bad_parameters_are_all_named_and_stop_the_stage(project):
    params = (project.folder / "params.yaml").read_text(encoding="utf-8")
    broken = params.replace("dpi: 200", "dpi: many").replace("max_depth: 10", "max_dept: 10")
    (project.folder / "params.yaml").write_text(broken, encoding="utf-8")
    done = subprocess.run(["dvc", "repro"], cwd=project.folder, env=project.environment, capture_output=True, text=True)
    (project.folder / "params.yaml").write_text(params, encoding="utf-8")
    assert done.returncode != 0
    assert all(name in done.stdout + done.stderr for name in ("pdf2img.dpi", "crawl.max_dept", "crawl.max_depth"))


def test_no_change_runs_nothing(project):
    assert project.repro()[0] == []
    assert "Data and pipelines are up to date" in project.run("dvc", "status")


def test_law_6_same_input_gives_the_same_lock(project):
    before = (project.folder / "dvc.lock").read_text(encoding="utf-8")
    shutil.rmtree(project.folder / ".readings")
    ran, _ = project.repro("-f")
    assert sorted(ran) == sorted(STAGES)
    assert (project.folder / "dvc.lock").read_text(encoding="utf-8") == before


def test_a_comment_in_compare_runs_compare_alone(project):
    with (project.folder / "stages/compare.py").open("a") as file:
        file.write("# a comment\n")
    assert project.repro()[0] == ["compare"]
    project.commit()


def test_an_experiment_changes_what_hangs_on_its_parameter_alone(project):
    output = project.run("dvc", "exp", "run", "-n", "small", "-S", "train.lora.r=8")
    assert re.findall(r"Running stage '([^']+)'", output) == ["train", "merge", "evaluate@tuned", "compare"]
    shown = json.loads(project.run("dvc", "exp", "show", "--json"))
    text = json.dumps(shown)
    assert "small" in text
    assert "metrics/compare.json" in text
    assert '"cer"' in text
    assert "metrics/compare.json" in project.run("dvc", "metrics", "diff", "--all")
    project.commit()


def test_a_new_document_costs_its_own_pages(project):
    labelled = (project.folder / "data/pages/pages.jsonl").read_text().count("\n")
    new = sorted((ROOT / "data/site/notices").glob("*.pdf"))[0]
    shutil.copy(new, project.folder / "data/site/letters")
    ran, output = project.repro("split")
    assert ran == ["crawl", "pdf2img", "teacher_label", "split"]
    total, known, read = map(int, re.search(r"teacher text-layer: (\d+) pages, (\d+) in the store, (\d+) to read", output).groups())
    assert known == labelled
    assert 0 < read == total - known
    pages = [json.loads(line) for line in (project.folder / "data/pages/pages.jsonl").read_text().splitlines()]
    assert read == sum(page["doc_id"].startswith(new.stem) for page in pages)
