"""The doctor sees each ill, names its remedy, and its exit code is honest."""

import copy
import hashlib
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import draw_line

from ocrtune.checks.clone import MOST_IN_GIT, check_cache, check_documents, check_git, check_keys, check_pushed, check_remote
from ocrtune.checks.machine import check_cluster, check_disk, check_packages, check_readers
from ocrtune.checks.model import GIB, check_files, check_lengths, check_memory, check_prompt, check_targets, count_parameters
from ocrtune.params.students import StudentProfile
from ocrtune.params.train import TrainParams

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PROFILE = StudentProfile.model_validate(PARAMS["students"]["tiny"])
TRAIN = TrainParams.model_validate(PARAMS["train"])


@pytest.fixture
def cache(project) -> Path:
    """Return a DVC cache with one file and one folder of two, and the dvc.lock that names them."""
    folder = Path("cache")

    def put(content: bytes, suffix: str = "") -> str:
        md5 = hashlib.md5(content).hexdigest()
        (folder / "files/md5" / md5[:2]).mkdir(parents=True, exist_ok=True)
        (folder / "files/md5" / md5[:2] / f"{md5[2:]}{suffix}").write_bytes(content)
        return md5 + suffix

    listing = f'[{{"md5": "{put(b"one")}", "relpath": "1"}}, {{"md5": "{put(b"two")}", "relpath": "2"}}]'.encode()
    outs = [{"path": "a", "md5": put(b"alone")}, {"path": "b", "md5": put(listing, ".dir")}]
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"s": {"outs": outs}}}))
    return folder


def test_a_whole_cache_is_fine(cache):
    (finding,) = check_cache(Path("dvc.lock"), cache)
    assert (finding.level, finding.text) == ("fine", "4 files, all whole")


def test_damaged_and_absent_files_are_told_apart_and_named(cache):
    md5 = hashlib.md5(b"two").hexdigest()
    (cache / "files/md5" / md5[:2] / md5[2:]).write_bytes(b"twp")
    md5 = hashlib.md5(b"alone").hexdigest()
    (cache / "files/md5" / md5[:2] / md5[2:]).unlink()
    damaged, absent = check_cache(Path("dvc.lock"), cache)
    assert (damaged.level, absent.level) == ("wrong", "note")
    assert "b/2" in damaged.text
    assert "dvc repro --pull" in damaged.remedy
    assert "the first of a" in absent.text
    assert [finding.level for finding in check_cache(Path("dvc.lock"), cache, frozenset({"a"}))] == ["wrong"]


def test_a_damaged_list_is_damage_and_no_crash(cache):
    listing = next(cache.rglob("*.dir"))
    listing.write_bytes(b"[")
    (finding,) = check_cache(Path("dvc.lock"), cache)
    assert finding.level == "wrong"
    assert str(listing) in finding.text


def test_remotes(project):
    assert check_git(Path()).level == "wrong"
    subprocess.run("git init -q && dvc init -q && git -c user.name=t -c user.email=t@example.org commit -qm x", shell=True, check=True)
    assert check_git(Path()).level == "fine"
    assert check_remote(Path()).level == "note"
    Path("there").mkdir()
    subprocess.run(["dvc", "remote", "add", "-q", "-d", "team", "there"], check=True)
    assert check_remote(Path()).level == "fine"
    subprocess.run(["dvc", "remote", "modify", "team", "url", "/not/mounted/x"], check=True)
    assert "/not/mounted" in check_remote(Path()).text
    subprocess.run(["dvc", "remote", "modify", "team", "url", "webdav://127.0.0.1:1/x"], check=True)
    finding = check_remote(Path())
    assert finding.level == "wrong"
    assert "team can't be reached" in finding.text


def test_keys_that_are_not_set_are_named_and_never_shown(monkeypatch):
    values = copy.deepcopy(PARAMS)
    values["teacher"] = "api"
    values["teachers"]["api"] |= {"api_key_env": "OCR_KEY", "base_url": "https://example.org/v1"}
    monkeypatch.delenv("OCR_KEY", raising=False)
    (finding,) = check_keys(values)
    assert (finding.level, finding.text) == ("wrong", "teachers.api: $OCR_KEY is not set")
    values["teachers"]["api"]["base_url"] = "http://localhost:8000/v1"
    assert check_keys(values)[0].level == "note"
    monkeypatch.setenv("OCR_KEY", "secret")
    (finding,) = check_keys(values)
    assert finding.level == "fine"
    assert "secret" not in str(finding)


def test_keys_of_second_opinions_and_of_headers_are_looked_at_too(monkeypatch):
    values = copy.deepcopy(PARAMS)
    for name in ("OPENAI_API_KEY", "OCR_TENANT"):
        monkeypatch.delenv(name, raising=False)
    values["teacher_label"]["second_teacher"] = "api"
    values["teachers"]["api"] = {"type": "api", "base_url": "https://example.org/v1", "model_name": "m", "headers_env": {"X": "OCR_TENANT"}}
    texts = [finding.text for finding in check_keys(values)]
    assert texts == ["teachers.api: $OPENAI_API_KEY is not set", "teachers.api: $OCR_TENANT is not set"]
    values["teacher_label"]["second_teacher"] = None
    assert [finding.level for finding in check_keys(values)] == ["fine"]


def test_a_cluster_that_is_not_there_is_told_at_once(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    assert check_cluster(PARAMS) == []
    (finding,) = check_cluster(PARAMS | {"executor": "ray"})
    assert finding.level == "wrong" and "no cluster at RAY_ADDRESS=127.0.0.1:9" in finding.text and "ray start --head" in finding.remedy
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert check_cluster(PARAMS | {"executor": "ray"}) == []


def test_models_absent_torn_or_unknown_to_git(student, tmp_path):
    assert check_files(tmp_path / "models/base/none", "none", PROFILE).level == "wrong"
    finding = check_files(tmp_path / "models/base/none", "none", PROFILE.model_copy(update={"repository": "a/b", "revision": "c0"}))
    assert (finding.level, "a/b at c0" in finding.text, "HF_TOKEN" in finding.remedy) == ("note", True, True)
    assert check_files(student, "tiny", PROFILE).level == "note"  # no git, no DVC: clones would not have it
    weights = student / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert "torn or damaged" in check_files(student, "tiny", PROFILE).text


def type_it(remedy: str) -> None:
    """Run a remedy as a person would, with `./run` for the environment's commands."""
    done = subprocess.run(remedy.replace("./run ", ""), shell=True, capture_output=True, text=True)
    assert done.returncode == 0, f"{remedy}\n{done.stdout}{done.stderr}"


@pytest.fixture
def clone(project, student, monkeypatch):
    """Return a project in git and DVC whose one out is in a remote; the student's card alone is git's."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(name, "t@example.org")
    (student / "README.md").write_text("# tiny")
    Path("in.txt").write_text("word")
    Path("dvc.yaml").write_text("stages: {copy: {cmd: mkdir out && cp in.txt out/a, deps: [in.txt], outs: [out]}}")
    type_it("git init -q && dvc init -q && dvc remote add -q -d team remote && git add in.txt .dvc dvc.yaml models/base/tiny/README.md && "
            "git commit -qm x && dvc repro -q")
    return project


def test_what_is_not_pushed_is_seen_and_the_remedy_pushes_it(clone):
    (finding,) = check_pushed(Path())
    assert (finding.level, "the first out" in finding.text) == ("note", True)
    type_it(finding.remedy)
    assert check_pushed(Path()) == []


def test_the_remedy_of_a_damaged_cache_mends_it(clone):
    type_it("dvc push -q --run-cache")
    files = [path for path in Path(".dvc/cache/files/md5").rglob("*") if path.is_file()]
    for file in files:
        file.chmod(0o644)
        file.write_text("torn")
    cache = Path(".dvc/cache")
    for _ in range(2):  # the folder's list first, then the files that it names
        (finding, *_) = check_cache(Path("dvc.lock"), cache)
        if finding.level == "wrong":
            type_it(finding.remedy)
    assert [finding.level for finding in check_cache(Path("dvc.lock"), cache)] == ["fine"]


def test_the_remedy_of_a_model_that_git_lacks_gives_it_to_dvc(clone):
    base = Path("models/base/tiny")
    finding = check_files(base, "tiny", PROFILE)
    assert "would train again" in finding.text
    type_it(finding.remedy)
    assert check_files(base, "tiny", PROFILE).level == "fine"
    type_it("dvc push -q")
    (base / "model.safetensors").unlink()
    finding = check_files(base, "tiny", PROFILE)
    assert finding.level == "wrong"
    type_it(finding.remedy)
    assert check_files(base, "tiny", PROFILE).level == "fine"


def test_documents_that_nobody_else_has_are_given_to_dvc(clone):
    folder = Path("my_documents")
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    finding = check_documents(folder)
    assert "neither git nor DVC" in finding.text
    type_it(finding.remedy)
    assert check_documents(folder).level == "fine"
    known = Path("my_documents.dvc").read_text()
    (folder / "b.txt").write_text("two")
    Path("dvc.yaml").write_text("stages: {copy: {cmd: mkdir out && cp my_documents/* out, deps: [my_documents], outs: [out]}}")
    type_it("dvc repro -q")  # takes note of what was added
    assert Path("my_documents.dvc").read_text() != known


def test_documents_that_are_too_much_for_git(clone):
    folder = Path("scans")
    folder.mkdir()
    with (folder / "a.bin").open("wb") as file:
        file.truncate(MOST_IN_GIT + 1)
    type_it("git add scans")
    finding = check_documents(folder)
    assert "100 MiB in git" in finding.text
    type_it(finding.remedy)
    assert check_documents(folder).level == "fine"


@pytest.mark.parametrize("place", ["second teacher", "evaluated reader"])
def test_a_package_that_any_reader_in_use_wants_is_named(monkeypatch, place):
    monkeypatch.setattr("ocrtune.checks.machine.find_spec", lambda name: None)
    values = copy.deepcopy(PARAMS)
    values["teachers"]["local"]["load_in_4bit"] = True
    assert check_packages(values) == []
    if place == "second teacher":
        values["teacher_label"]["second_teacher"] = "local"
    else:
        values["evaluate"]["readers"]["rival"] = {"model": "uv.lock", "reader": values["teachers"]["local"]}
    (finding,) = check_packages(values)
    assert "bitsandbytes is not installed" in finding.text


def test_readers_packages_and_room(project, monkeypatch):
    import torch  # noqa: F401  (below it can't be found any more)

    values = copy.deepcopy(PARAMS)
    assert check_readers(values) == check_packages(values) == []
    monkeypatch.setenv("PATH", "/nowhere")
    values["teacher"] = "tesseract"
    values["teachers"]["api"]["base_url"] = "http://127.0.0.1:9/v1"
    values["evaluate"]["readers"]["rival"] = {"model": "uv.lock", "reader": values["teachers"]["api"]}
    engine, server = check_readers(values)
    assert (engine.level, "no `tesseract` on the path" in engine.text, "apt install" in engine.remedy) == ("wrong", True, True)
    assert (server.level, "evaluate.readers.rival: 127.0.0.1:9 takes no connection" in server.text) == ("note", True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        values["teachers"]["api"]["base_url"] = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        assert len(check_readers(values)) == 1
    values["teacher"] = "local"
    assert "no model in models/base/deepseek-ocr" in check_readers(values)[0].text
    values["train"] |= {"wandb": True, "backend": "unsloth"}
    values["executor"] = "ray"
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for name in ("wandb", "ray", "unsloth"):  # another test of this process may have imported it
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert {"wandb", "ray"} <= {finding.text.split(": ")[1].split()[0] for finding in check_packages(values) if ": " in finding.text}
    assert check_disk(Path(), 0).level in ("fine", "note")
    assert check_disk(Path(), 10**15).level == "note"


def test_memory(student):
    count = count_parameters(student)
    assert 10_000 < count < 1_000_000
    assert check_memory(count, PROFILE, TRAIN, None).level == "fine"
    assert check_memory(3_000_000_000, PROFILE, TRAIN, None).level == "wrong"
    assert check_memory(3_000_000_000, PROFILE, TRAIN, 8 * GIB).level == "wrong"  # 12 GB of float32
    assert check_memory(3_000_000_000, PROFILE.model_copy(update={"dtype": "bfloat16"}), TRAIN, 8 * GIB).level == "fine"
    full = TRAIN.model_copy(update={"method": "full"})
    finding = check_memory(3_000_000_000, PROFILE.model_copy(update={"dtype": "bfloat16"}), full, 8 * GIB)
    assert finding.level == "wrong"
    assert "method: lora" in finding.remedy


def test_prompt_targets_and_lengths(student, tmp_path):
    assert check_prompt(student, PROFILE).level == "fine"
    assert check_targets(student, PROFILE, TRAIN).level == "fine"
    draw_line(tmp_path / "a.png", "Abend")
    rows = [{"page_id": "a", "image": "a.png", "text": "Abend"}, {"page_id": "b", "image": "a.png", "text": "Abend" * 900}]
    assert check_lengths(student, PROFILE, rows[:1], tmp_path, None).level == "fine"
    finding = check_lengths(student, PROFILE, rows, tmp_path, None)
    assert (finding.level, "1 of 2 examples" in finding.text) == ("note", True)
    assert check_lengths(student, PROFILE, rows, tmp_path, 3).level == "wrong"


def test_a_template_without_a_picture_is_seen(student):
    for file in student.glob("*.jinja"):
        file.write_text("no picture")
    assert check_prompt(student, PROFILE).level == "wrong"


@pytest.mark.parametrize(("change", "status"), [(None, 0), ("params", 1), ("model", 1)])
def test_the_exit_code_is_honest(project, student, change, status):
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")
    subprocess.run("git init -q && dvc init -q && git add -A && git -c user.name=t -c user.email=t@example.org commit -qm x",
                   shell=True, check=True)
    if change == "params":
        project.params["split"]["tets"] = 1
        project.save()
    if change == "model":
        (student / "model.safetensors").unlink()
    code, output = project.run("-m", "tools.doctor", "--quick")
    assert code == status, output
    assert f"{1 if status else 0} wrong" in output
