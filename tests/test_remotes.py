"""A project goes through each kind of remote: real servers on loopback, one clone that pushes, one that runs nothing.

The project is one stage that needs no model: what travels is what DVC keeps, whatever made it.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from remote_servers import SERVERS, FrailWire, own_part, serving
from team import Person, stages_run

DVC_YAML = """
stages:
  draw:
    cmd: python draw.py
    deps: [draw.py]
    outs: [pages]
"""
DRAW = """
import pathlib, random
folder = pathlib.Path("pages")
folder.mkdir(exist_ok=True)
for number in range(12):
    (folder / f"{number}.png").write_bytes(random.Random(number).randbytes(200_000))
"""


@pytest.fixture
def remote(request, tmp_path):
    """Return (commands that set the remote up, environment, port) of a running server of the kind asked for."""
    with serving(request.param, tmp_path) as served:
        yield served


def begin(root: Path, setup: str, environment: dict) -> Person:
    """Return somebody with a project that has run, a remote, and a plain git repository to share code through."""
    lead = Person(root / "lead", root / "home", **environment)
    lead.folder.mkdir()
    (lead.folder / "dvc.yaml").write_text(DVC_YAML)
    (lead.folder / "draw.py").write_text(DRAW)
    lead.run(f"git init -q && git init -q --bare {root}/origin.git && git remote add origin {root}/origin.git && dvc init -q && {setup}"
             " && dvc repro -q && git add -A && git commit -qm begin && git push -q")
    return lead


def join(root: Path, setup: str, environment: dict, name: str = "member") -> Person:
    """Return somebody with a fresh clone; secrets in .dvc/config.local are everyone's own."""
    member = Person(root, root / f"home_{name}", **environment).clone(root / "origin.git", name)
    member.run(" && ".join(own_part(setup)))
    return member


def pages(person: Person) -> dict[str, bytes]:
    """Return the pages in somebody's clone."""
    return {path.name: path.read_bytes() for path in (person.folder / "pages").iterdir()}


@pytest.mark.parametrize("remote", SERVERS, indirect=True)
def test_what_one_pushes_another_need_not_run(remote, tmp_path):
    setup, environment, _ = remote
    lead = begin(tmp_path, setup, environment)
    lead.run("dvc push -q --run-cache")
    member = join(tmp_path, setup, environment)
    assert stages_run(member.run("dvc repro --pull")) == []
    assert member.run("git status --short") == ""
    assert pages(member) == pages(lead)
    assert len(pages(member)) == 12


@pytest.mark.parametrize("remote", SERVERS, indirect=True)
def test_two_pushes_at_once_lose_nothing_and_the_run_cache_travels(remote, tmp_path):
    setup, environment, _ = remote
    lead = begin(tmp_path, setup, environment)
    lead.run("dvc push -q --run-cache")
    member = join(tmp_path, setup, environment)
    member.run("dvc repro -q --pull")
    workers = {100: lead, 106: member}  # each draws twelve pages, of which six are the other's, too
    for first, person in workers.items():
        person.run(f"sed -i 's/range(12)/range({first}, {first + 12})/' draw.py && dvc repro -q && git checkout -qb from-{first}"
                   " && git commit -qam other")
    start = threading.Barrier(2)

    def push(person: Person) -> None:
        start.wait()
        person.run("dvc push --run-cache && git push -q")

    with ThreadPoolExecutor() as pool:
        list(pool.map(push, workers.values()))
    third = join(tmp_path, setup, environment, "third")
    for first, person in workers.items():
        # Without the lock, nothing but the run cache knows what this code has drawn.
        assert stages_run(third.run(f"git checkout -qf from-{first} && rm dvc.lock && dvc repro --pull")) == []
        assert third.run("git status --short") == ""
        assert pages(third) == pages(person)
        assert pages(third).keys() == {f"{number}.png" for number in range(first, first + 12)}


@pytest.mark.parametrize("remote", SERVERS, indirect=True)
def test_an_experiment_comes_back_to_the_lead(remote, tmp_path):
    setup, environment, _ = remote
    lead = begin(tmp_path, setup, environment)
    lead.run("dvc push -q --run-cache")
    member = join(tmp_path, setup, environment)
    member.run("dvc repro -q --pull && sed -i 's/range(12)/range(13)/' draw.py")
    assert stages_run(member.run("dvc exp run --name more")) == ["draw"]
    member.run("dvc exp push origin more")
    lead.run("dvc exp pull origin more && dvc exp apply more")
    assert stages_run(lead.run("dvc repro --pull")) == []
    assert pages(lead) == pages(member)
    assert len(pages(lead)) == 13


@pytest.mark.parametrize("remote", ["ssh", "s3", "webdav"], indirect=True)
def test_a_push_that_was_cut_off_is_repaired_by_pushing_again(remote, tmp_path):
    setup, environment, port = remote
    wire = FrailWire(port, 700_000)
    setup = setup.replace(f"127.0.0.1:{port}", f"127.0.0.1:{wire.port}")
    # This WebDAV server keeps the half of a file whose upload broke off, under its full name: only a hash tells on arrival.
    is_webdav = "webdav" in setup
    setup += " && dvc remote modify team verify true" if is_webdav else ""
    lead = begin(tmp_path, setup, environment)
    lead.run("AWS_MAX_ATTEMPTS=1 dvc push --run-cache", ok=False)
    assert wire.sent > 700_000
    wire.budget = None
    lead.run("dvc push --run-cache")
    member = join(tmp_path, setup, environment)
    ran = stages_run(member.run("dvc repro --pull"))
    assert ran == [] or (is_webdav and ran == ["draw"])
    assert pages(member) == pages(lead)
    wire.listener.close()
