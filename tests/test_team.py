"""docs/team.md is true: a lead and a member do what it says, block by block, and nobody pays twice.

Each block of the page runs as it stands, but for the names of places that only a real team has.
"""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
from team import Person, make_small_project, stages_run

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/team.md"


def blocks() -> list[tuple[str, str, str]]:
    """Return (section's title, who, script) for each block of commands on the page."""
    found, title = [], ""
    for part in re.finditer(r"^## ([^\n]+)$|^```bash (\w+)\n(.+?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        title = part[1] or title
        if part[2]:
            found.append((title, part[2], part[3]))
    return found


@pytest.fixture(scope="module")
def people(tmp_path_factory, built_student):
    """Return the lead, in a project that never ran, and the member, without a clone; and the places that the page names."""
    root = tmp_path_factory.mktemp("team")
    lead, member = (Person(root / who, root / f"home_{who}") for who in ("lead", "member"))
    lead.folder.mkdir()
    member.folder.mkdir()
    make_small_project(lead.folder, built_student)
    places = {"./run ": "", "git@example.org:team/documents.git": str(root / "origin.git"), "/mnt/team/ocrtune": str(root / "remote"),
              "/srv/ocrtune/cache": str(root / "cache"), "~/scans": str(root / "scans"), "/tmp/tuned": str(root / "tuned")}
    (root / "scans").mkdir()
    shutil.copy(sorted((ROOT / "data/site/notices").glob("*.pdf"))[0], root / "scans/letter.pdf")
    lead.run(f"git init -q && dvc init -q && git add -A && git commit -qm begin && git init -q --bare {root}/origin.git"
             f" && git remote add origin {root}/origin.git")
    return lead, member, places


def run_block(people, number: int) -> str:
    """Run the block of that number and return what it printed."""
    lead, member, places = people
    _, who, script = blocks()[number]
    for name, place in places.items():
        script = script.replace(name, place)
    person = {"lead": lead, "member": member}[who]
    output = person.run(script)
    if "\ncd documents" in script:
        person.folder /= "documents"
    return output


def test_the_page_has_these_blocks():
    assert [(title[:1], who) for title, who, _ in blocks()] == [
        ("1", "lead"), ("2", "member"), ("3", "member"), ("4", "member"), ("4", "lead"), ("4", "lead"), ("5", "member"), ("6", "lead"),
        ("6", "lead"), ("7", "lead"), ("8", "lead")]
    assert len(re.findall("^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == 2 * len(blocks())


def test_1_the_lead_runs_everything_once(people):
    assert len(stages_run(run_block(people, 0))) == 9


def test_2_a_member_runs_nothing(people):
    _, member, _ = people
    assert stages_run(run_block(people, 1)) == []
    assert member.run("git status --short") == ""
    assert "up to date" in member.run("dvc status")


def test_3_a_new_document_costs_its_own_pages(people):
    _, member, _ = people
    before = (member.folder / "data/pages/pages.jsonl").read_text().count("\n")
    output = run_block(people, 2)
    pages = [json.loads(line) for line in (member.folder / "data/pages/pages.jsonl").read_text().splitlines()]
    new = sum(page["doc_id"].startswith("letter") for page in pages)
    assert 0 < new == len(pages) - before
    # The text layer costs nothing and is read again; a model's readings come from the rows that the lead pushed.
    test = [json.loads(line)["page_id"] for line in (member.folder / "data/splits/test.jsonl").read_text().splitlines()]
    total, read = map(int, re.search(r"base: (\d+) pages, \d+ in the store, (\d+) to read", output).groups())
    assert total == len(test)
    assert read == sum(page_id.startswith("letter") for page_id in test)
    assert re.search(r"base on clean print: (\d+) pages, \1 in the store, 0 to read", output)  # its readings came along, too


def test_4_an_experiment_comes_back_to_the_lead(people):
    lead, _, _ = people
    assert stages_run(run_block(people, 3)) == ["compare"]
    output = run_block(people, 4)
    assert "fewer-draws" in output
    assert stages_run(output) == []
    assert json.loads(lead.run("dvc params diff --json HEAD"))["params.yaml"]["compare.draws"]["new"] == 100
    run_block(people, 5)
    assert "try/fewer-draws" in lead.run("git ls-remote origin")


def test_5_two_changes_at_once_are_both_there(people):
    lead, member, _ = people
    change = "sed -i 's/{0}/{1}/' params.yaml && dvc repro && git commit -qam {2} && dvc push --run-cache"
    lead.run("git checkout -q params.yaml metrics dvc.lock && git pull -q && dvc repro --pull && "
             + change.format("worst: 8", "worst: 7", "fewer") + " && git push -q")
    member.run(change.format("seed: 0$", "seed: 1", "seeds").replace("seed: 0$", "confidence: 0.95").replace("seed: 1", "confidence: 0.9"))
    output = run_block(people, 6)
    assert stages_run(output) == ["compare"]
    text = (member.folder / "params.yaml").read_text()
    assert "worst: 7" in text
    assert "confidence: 0.9\n" in text
    assert "<<<" not in (member.folder / "dvc.lock").read_text()
    lead.run("git pull -q")
    assert stages_run(lead.run("dvc repro --pull")) == []


def test_6_a_machine_for_all_holds_each_file_once(people):
    lead, _, places = people
    cache = Path(places["/srv/ocrtune/cache"])
    cache.mkdir(mode=0o2775)
    run_block(people, 7)
    assert stages_run(lead.run("dvc repro --pull")) == []
    image = next((lead.folder / "data/pages/images").glob("*.png"))
    assert image.is_symlink()
    assert image.resolve().is_relative_to(cache)
    assert image.resolve().stat().st_mode & 0o222 == 0, "a link into everybody's cache must not be writable"
    assert next(cache.glob("files/md5/??")).stat().st_mode & 0o070 == 0o070, "the group must be able to add files"


def test_6_queued_experiments_run_side_by_side(people):
    lead, _, _ = people
    run_block(people, 8)
    end = time.monotonic() + 900
    while (status := lead.run("dvc queue status")).count("Success") < 2:
        assert "Failed" not in status, lead.run("dvc queue logs draws-200; dvc queue logs draws-300", ok=None)
        assert time.monotonic() < end, status
        time.sleep(2)
    lead.run("dvc queue stop", ok=None)
    assert {"draws-200", "draws-300"} <= set(lead.run("dvc exp list --name-only").split())


def test_7_weights_that_git_does_not_keep_travel_with_the_rest(people):
    lead, _, places = people
    lead.run("git checkout -q . && git pull -q --rebase && mkdir -p models/base/qwen3-vl && echo card > models/base/qwen3-vl/README.md"
             " && git add -f models/base/qwen3-vl && git commit -qm card && echo weights > models/base/qwen3-vl/model.safetensors")
    run_block(people, 9)
    assert lead.run("git status --short models") == ""
    Path(places["/tmp/tuned"]).parent.joinpath("third").mkdir()
    third = Person(Path(places["/tmp/tuned"]).parent / "third", Path(places["/tmp/tuned"]).parent / "home_third")
    third.clone(Path(places["git@example.org:team/documents.git"]))
    third.run("dvc pull models/base/qwen3-vl.dvc")
    assert (third.folder / "models/base/qwen3-vl/model.safetensors").read_text() == "weights\n"


def test_8_a_version_is_fetched_by_name(people):
    lead, _, places = people
    run_block(people, 10)
    assert "tuned@v1.0.0" in lead.run("git ls-remote --tags origin")
    assert (Path(places["/tmp/tuned"]) / "model.safetensors").is_file()
    assert "fine-tuned" in (Path(places["/tmp/tuned"]) / "README.md").read_text(encoding="utf-8")
