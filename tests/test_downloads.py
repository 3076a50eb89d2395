"""A student's files come from one commit of its repository, data alone, whole or not at all, and only once."""

from pathlib import Path

import pytest
from hub import COMMIT, Hub

from ocrtune.models.downloads import check_commit, take
from ocrtune.params.students import StudentProfile

FETCH = """
import sys
from pathlib import Path
from ocrtune.models.downloads import fetch_student
from ocrtune.params.load import report_errors
from ocrtune.params.students import StudentProfile

with report_errors():
    fetch_student(Path(sys.argv[1]), StudentProfile(prompts={"ocr": ""}, repository="own/model", revision=sys.argv[2],
                                                    trust_remote_code=len(sys.argv) > 3))
"""
FOLDER = Path("models/base/guest")
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 4000, "tokenizer.json": b"[]", "chat_template.jinja": b"x",
         "LICENSE": b"MIT"}
OTHERS = {"pytorch_model.bin": b"pickle", "modeling_guest.py": b"print('run')", "README.md": b"theirs", "notes.pdf": b"%PDF"}


@pytest.fixture
def repository(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    for name, content in (FILES | OTHERS).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def hub(repository, monkeypatch, tmp_path_factory, request):
    """Start a hub, and make it the one that our processes ask."""
    hub = Hub(repository, **getattr(request, "param", {}))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield hub
    hub.close()


def fetch(project, revision=COMMIT, folder=FOLDER, *trust) -> tuple[int, str]:
    return project.run("-c", FETCH, folder, revision, *trust)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_data_files_come_and_no_other(project, hub):
    FOLDER.mkdir(parents=True)
    (FOLDER / "README.md").write_bytes(b"ours")
    status, output = fetch(project)
    assert (status, f"fetching own/model at {COMMIT}" in output) == (0, True)
    assert contents(FOLDER) == FILES | {"README.md": b"ours", "SOURCE": f"own/model\n{COMMIT}\n".encode()}
    assert not any(".bin" in asked or ".py" in asked for asked in hub.asked)
    assert not list(Path(".downloads").iterdir())
    asked = len(hub.asked)
    assert fetch(project) == (0, "")
    assert len(hub.asked) == asked  # what is there is never asked for again


def test_a_branch_is_named_by_its_commit(project, hub):
    status, output = fetch(project, "main")
    assert status == 0
    assert f"own/model at main is commit {COMMIT}; set students.guest.revision to it, for a branch may move" in output
    assert not any("/resolve/main/" in asked for asked in hub.asked)


def test_code_comes_where_it_is_trusted_alone(project, hub):
    assert fetch(project, COMMIT, FOLDER, "trust")[0] == 0
    assert (FOLDER / "modeling_guest.py").is_file()
    profile = StudentProfile(prompts={"ocr": ""}, trust_remote_code=True, revision="f" * 40)
    with pytest.raises(ValueError, match=f"came from commit {COMMIT}, its profile trusts the code of ffff"):
        check_commit(FOLDER, profile)
    check_commit(FOLDER, profile.model_copy(update={"revision": COMMIT}))


@pytest.mark.parametrize("hub", [{"breaks": 100_000}], indirect=True)
def test_a_connection_that_ends_early_leaves_no_torn_file(project, hub):
    assert fetch(project)[0] == 0
    assert (FOLDER / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_what_a_broken_off_fetch_has_is_kept(project, hub, repository):
    hub.lost = {"model.safetensors"}
    status, output = fetch(project)
    assert (status, "error: models/base/guest: own/model at" in output) == (1, True)
    assert not (FOLDER / "config.json").exists()
    hub.lost, before = set(), len(hub.asked)
    there = {path.name for path in Path(".downloads").glob("*/*") if path.is_file()}
    assert fetch(project)[0] == 0
    asked_again = {asked.rsplit("/", 1)[1] for asked in hub.asked[before:] if asked.startswith("GET") and "/resolve/" in asked}
    assert asked_again == FILES.keys() - there
    assert "model.safetensors" in asked_again


@pytest.mark.parametrize("hub", [{"token": "hf_secret"}], indirect=True)
def test_a_private_model_wants_its_token_and_the_token_is_never_shown(project, hub, monkeypatch):
    status, output = fetch(project)
    assert status == 1
    assert f"own/model at {COMMIT} can't be fetched without HF_TOKEN, which private models want: the hub answered 401" in output
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    status, output = fetch(project)
    assert (status, "with the HF_TOKEN given" in output, "hf_wrong" in output) == (1, True, False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    status, output = fetch(project)
    assert (status, "hf_secret" in output) == (0, False)
    assert all(b"hf_secret" not in content for content in contents(FOLDER).values())


@pytest.mark.parametrize("hub", [{"token": "x", "gated": True}], indirect=True)
def test_a_gated_model_says_what_to_do(project, hub):
    status, output = fetch(project)
    assert (status, "wants an account that accepted its terms: put its token into HF_TOKEN" in output) == (1, True)


def test_an_unknown_revision_is_told(project, hub):
    status, output = fetch(project, "f" * 40)
    assert (status, "the hub answered 404" in output) == (1, True)
    assert "Traceback" not in output


def test_offline_says_what_to_put_there(project, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, output = fetch(project)
    assert (status, "go online, or put the model's files there" in output) == (1, True)
    assert hub.asked == []


def test_no_hub_in_reach_is_told(project, hub, monkeypatch):
    hub.close()
    status, output = fetch(project)
    assert (status, "can't be reached (ConnectError)" in output) == (1, True)


def test_a_folder_elsewhere_is_never_filled(project, hub):
    assert fetch(project, COMMIT, Path("models/merged")) == (0, "")
    assert hub.asked == []


def test_an_experiments_workspace_takes_the_main_ones_files(project, hub, monkeypatch, tmp_path_factory):
    main = tmp_path_factory.mktemp("main")
    (main / FOLDER).mkdir(parents=True)
    for name, content in FILES.items():
        (main / FOLDER / name).write_bytes(content)
    monkeypatch.setenv("DVC_ROOT", str(main))
    assert fetch(project) == (0, "")
    assert contents(FOLDER) == FILES
    assert hub.asked == []


def test_config_json_comes_last(tmp_path):
    source, order = tmp_path / "source", []
    source.mkdir()
    for name in ("config.json", "a.json", "z.safetensors"):
        (source / name).write_bytes(b"")
    take(source, tmp_path / "folder", lambda path, to: order.append(path.name) or path.rename(to))
    assert order == ["a.json", "z.safetensors", "config.json"]
