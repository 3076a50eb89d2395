"""Each profile says how it is served, and merge writes it down."""

import re
import shlex

import pytest
import yaml
from conftest import ROOT

from ocrtune.params.students import StudentProfile
from ocrtune.serving.vllm import note_on_serving, serve_command, served_name, write_compose

STUDENTS = {name: StudentProfile(**told) for name, told in
            yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["students"].items()}
SERVED = [name for name, profile in STUDENTS.items() if profile.vllm is not None]


@pytest.mark.parametrize("name", SERVED)
def test_a_compose_file_starts_vllm_on_the_folder_that_it_lies_in(name, tmp_path):
    write_compose(tmp_path / "compose.yaml", name, STUDENTS[name])
    service = yaml.safe_load((tmp_path / "compose.yaml").read_text())["services"]["vllm"]
    assert service["volumes"] == [".:/model:ro"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["command"][0] == "/model"
    command = shlex.split(serve_command(name, STUDENTS[name], "models/merged"))
    assert command[:3] == ["vllm", "serve", "models/merged"]
    assert command[3:] == service["command"][1:]  # the same flags either way
    assert "compose.yaml" in note_on_serving(name, STUDENTS[name])


@pytest.mark.parametrize("name", [name for name in STUDENTS if name not in SERVED])
def test_what_vllm_has_no_class_for_our_own_server_takes(name, tmp_path):
    write_compose(tmp_path / "compose.yaml", name, STUDENTS[name])
    assert not (tmp_path / "compose.yaml").exists()
    assert serve_command(name, STUDENTS[name], "models/merged") == "./run python -m tools.serve models/merged"
    assert "vLLM has no class" in note_on_serving(name, STUDENTS[name])


def test_what_two_trainings_made_goes_by_two_names(tmp_path):
    names = set()
    for folder in (tmp_path / "base", tmp_path / "merged"):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        names.add(served_name(folder))
    for weights in ("one", "two"):
        (tmp_path / "merged/inference.json").write_text('{"student": "glm-ocr"}')
        (tmp_path / "merged/model.safetensors").write_text(weights)
        names.add(served_name(tmp_path / "merged"))
    marked = {name for name in names if re.fullmatch("glm-ocr-[0-9a-f]{8}", name)}
    assert names - marked == {"base", "merged"} and len(marked) == 2


def test_those_without_a_class_in_vllm_are_the_ones_that_the_page_names():
    assert STUDENTS.keys() - SERVED == {"deepseek-ocr-2", "got-ocr2", "tiny"}
