"""docs/team.md is true: a lead and a member do what it says, block by block, and nobody pays twice.

Each block of the page runs as it stands, but for the names of places that only a real team has.
"""

import re
import time
from pathlib import Path

import pytest
from team import PAGE, Person, Team, add_letter, blocks, bring_experiment, make_small_project, stages_run


@pytest.fixture(scope="module")
def team(tmp_path_factory, built_student):
    """Return a team whose project never ran."""
    team = Team(tmp_path_factory.mktemp("team"))
    team.lead.folder.mkdir()
    make_small_project(team.lead.folder, built_student)
    team.lead.run(f"git init -q && dvc init -q && git add -A && git commit -qm begin && git init -q --bare {team.origin}"
                  f" && git remote add origin {team.origin}")
    return team


def test_the_page_has_these_blocks():
    assert [(title[:1], who) for title, who, _ in blocks()] == [
        ("1", "lead"), ("2", "member"), ("3", "member"), ("4", "member"), ("4", "lead"), ("4", "lead"), ("5", "member"), ("6", "lead"),
        ("6", "lead"), ("7", "lead"), ("8", "lead")]
    assert len(re.findall("^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == 2 * len(blocks())


def test_1_the_lead_runs_everything_once(team):
    assert len(stages_run(team.run_block(0))) == 9


def test_2_a_member_runs_nothing(team):
    member = team.member
    assert stages_run(team.run_block(1)) == []
    assert member.run("git status --short") == ""
    assert "up to date" in member.run("dvc status")


def test_3_a_new_document_costs_its_own_pages(team):
    add_letter(team)


def test_4_an_experiment_comes_back_to_the_lead(team):
    assert "fewer-draws" in bring_experiment(team)
    team.run_block(5)
    assert "try/fewer-draws" in team.lead.run("git ls-remote origin")


def test_5_two_changes_at_once_are_both_there(team):
    lead, member = team.lead, team.member
    change = "sed -i 's/{0}/{1}/' params.yaml && dvc repro && git commit -qam {2} && dvc push --run-cache"
    lead.run("git checkout -q params.yaml metrics dvc.lock && git pull -q && dvc repro --pull && "
             + change.format("worst: 8", "worst: 7", "fewer") + " && git push -q")
    member.run(change.format("confidence: 0.9$", "confidence: 0.8", "surer"))
    output = team.run_block(6)
    assert stages_run(output) == ["compare"]
    text = (member.folder / "params.yaml").read_text()
    assert "worst: 7" in text
    assert "confidence: 0.8\n" in text
    assert "<<<" not in (member.folder / "dvc.lock").read_text()
    lead.run("git pull -q")
    assert stages_run(lead.run("dvc repro --pull")) == []


def test_6_a_machine_for_all_holds_each_file_once(team):
    lead, places = team.lead, team.places
    cache = Path(places["/srv/ocrtune/cache"])
    cache.mkdir(mode=0o2775)
    team.run_block(7)
    assert stages_run(lead.run("dvc repro --pull")) == []
    image = next((lead.folder / "data/pages/images").glob("*.png"))
    assert image.is_symlink()
    assert image.resolve().is_relative_to(cache)
    assert image.resolve().stat().st_mode & 0o222 == 0, "a link into everybody's cache must not be writable"
    assert next(cache.glob("files/md5/??")).stat().st_mode & 0o070 == 0o070, "the group must be able to add files"


def test_6_queued_experiments_run_side_by_side(team):
    lead = team.lead
    team.run_block(8)
    end = time.monotonic() + 900
    while (status := lead.run("dvc queue status")).count("Success") < 2:
        assert "Failed" not in status, lead.run("dvc queue logs draws-200; dvc queue logs draws-300", ok=None)
        assert time.monotonic() < end, status
        time.sleep(2)
    lead.run("dvc queue stop", ok=None)
    assert {"draws-200", "draws-300"} <= set(lead.run("dvc exp list --name-only").split())


def test_7_weights_that_git_does_not_keep_travel_with_the_rest(team):
    lead, places = team.lead, team.places
    lead.run("git checkout -q . && git pull -q --rebase && mkdir -p models/base/qwen3-vl && echo card > models/base/qwen3-vl/README.md"
             " && git add -f models/base/qwen3-vl && git commit -qm card && echo weights > models/base/qwen3-vl/model.safetensors")
    team.run_block(9)
    assert lead.run("git status --short models") == ""
    Path(places["/tmp/tuned"]).parent.joinpath("third").mkdir()
    third = Person(Path(places["/tmp/tuned"]).parent / "third", Path(places["/tmp/tuned"]).parent / "home_third")
    third.clone(Path(places["git@example.org:team/documents.git"]))
    third.run("dvc pull models/base/qwen3-vl.dvc")
    assert (third.folder / "models/base/qwen3-vl/model.safetensors").read_text() == "weights\n"


def test_8_a_version_is_fetched_by_name(team):
    lead, places = team.lead, team.places
    team.run_block(10)
    assert "tuned@v1.0.0" in lead.run("git ls-remote --tags origin")
    assert (Path(places["/tmp/tuned"]) / "model.safetensors").is_file()
    assert "fine-tuned" in (Path(places["/tmp/tuned"]) / "README.md").read_text(encoding="utf-8")
