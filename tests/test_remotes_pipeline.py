"""The whole pipeline over SSH, S3 and WebDAV: a lead and a member do what docs/team.md says, and nobody pays twice.

tests/test_team.py does the same over a folder. A server's tests are done in their order: each starts where the last one ended.
"""

import shutil

import pytest
import yaml
from remote_servers import own_part, serving
from team import REMOTE, Team, add_letter, begin_small_project, bring_experiment, stages_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory, built_student):
    """Return the folder of a project in which all stages have run: with git, and all that they wrote in DVC's cache."""
    person = begin_small_project(tmp_path_factory.mktemp("finished"), built_student)
    person.run("git init -q && dvc init -q && git add -A && git commit -qm begin && dvc repro && git add -A && git commit -qm ran")
    return person.folder


@pytest.fixture(scope="module", params=["ssh", "s3", "webdav"])
def team(request, tmp_path_factory, finished):
    """Return a team whose lead has a copy of that project, and whose remote is a server of one kind."""
    root = tmp_path_factory.mktemp(request.param)
    with serving(request.param, root) as (setup, environment, _):
        team = Team(root, **environment)
        shutil.copytree(finished, team.lead.folder, symlinks=True)
        team.lead.run(f"git init -q --bare {team.origin} && git remote add origin {team.origin}")
        if request.param == "ssh":  # the key lies where ssh looks for it, as the page says; test_remotes.py has DVC's own setting
            for home in (team.lead.home, team.member.home):
                (home / ".ssh").mkdir()
                shutil.copy(root / "user", home / ".ssh/id_ed25519")
        commands = [command for command in setup.split(" && ") if command not in own_part(setup)]
        team.places = {"./run ": "", REMOTE: "\n".join(commands)} | team.places
        yield team


def test_1_the_lead_pushes_what_ran_before(team):
    assert stages_run(team.run_block(0)) == []


def test_2_a_member_runs_nothing(team):
    member = team.member
    assert stages_run(team.run_block(1)) == []
    assert not (member.folder / ".readings").exists()
    assert member.run("git status --short") == ""
    assert "up to date" in member.run("dvc status")
    # The run cache came along: it knows what made all this, where no lock does. DVC keeps none of compare, two of whose files are git's.
    lock = yaml.safe_load((member.folder / "dvc.lock").read_text())["stages"]
    assert stages_run(member.run("rm dvc.lock && dvc repro --pull evaluate@base evaluate@tuned")) == []
    restored = yaml.safe_load((member.folder / "dvc.lock").read_text())["stages"]
    assert restored == {name: stage for name, stage in lock.items() if name != "compare"}
    member.run("git checkout -q dvc.lock")


def test_3_a_new_document_costs_its_own_pages(team):
    add_letter(team)


def test_4_an_experiment_comes_back_to_the_lead(team):
    assert "fewer-draws" in bring_experiment(team)
