"""params.yaml is checked whole before anything runs, and every problem is named at once."""

import copy
from pathlib import Path

import pytest
import yaml

from ocrtune.params.load import ParamsError, load_section, problems, read_params, report_errors, schemas
from ocrtune.params.split import SplitParams
from ocrtune.params.students import StudentProfile

SHIPPED = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def values() -> dict:
    return copy.deepcopy(SHIPPED)


def test_shipped_params_are_valid_and_whole():
    assert problems(SHIPPED) == []
    assert SHIPPED.keys() == schemas().keys()
    assert {"tiny", "deepseek-ocr", "deepseek-ocr-2", "gemma-3"} <= SHIPPED["students"].keys()
    assert {"text-layer", "api"} <= SHIPPED["teachers"].keys()


def test_all_problems_are_named_at_once_with_what_is_allowed(values):
    values["splitt"] = {}
    values["split"]["tets"] = 0.1
    values["train"]["lora"]["alhpa"] = 4
    values["train"]["seed"] = "7"
    values["train"]["mode"] = "eyes"
    values["train"]["learning_rate"] = "1e-4"
    values["merge"]["num_pages"] = 0
    del values["merge"]["tolerance"]
    values["students"]["tiny"]["promt"] = ""
    values["teachers"]["api"]["modle_name"] = "x"
    values["teachers"]["api"]["request"]["timeout"] = -1.0
    values["teachers"]["tesseract"]["page_segmentation"] = 14
    values["evaluate"]["readers"]["tuned"]["reader"]["typo"] = 1
    values["teacher"], values["student"] = "nobody", "huge"
    values["compare"]["baseline"] = "bass"
    found = problems(values)
    for line in (
        "splitt: unknown section; allowed: ",
        "split.tets: unknown; allowed here: max_likeness, salt, test, val",
        "train.lora.alhpa: unknown; allowed here: alpha, dropout, experts, r",
        "train.seed: '7': ",
        "train.mode: 'eyes': input should be 'vision', 'llm' or 'both'",
        "train.learning_rate: '1e-4': input should be a valid number",
        "merge.num_pages: 0: input should be greater than or equal to 1",
        "merge.tolerance: missing",
        "students.tiny.promt: unknown; allowed here: batch_size, dtype, ",
        "teachers.api.modle_name: unknown; allowed here: api_key_env, base_url, ",
        "teachers.api.request.timeout: -1.0: input should be greater than 0",
        "teachers.tesseract.page_segmentation: 14: ",
        "evaluate.readers.tuned.reader.typo: unknown; allowed here: type",
        "teacher: 'nobody': no such profile; teachers has: api, local, rapidocr, service, tesseract, text-layer",
        "student: 'huge': no such profile; students has: ",
        "compare.baseline: 'bass': no such profile; evaluate.readers has: base, tuned",
    ):
        assert sum(problem.startswith(line) for problem in found) == 1, (line, found)
    assert len(found) == 16


def test_1e_4_is_a_number_as_dvc_writes_it(values, project):
    text = yaml.safe_dump(values).replace("learning_rate: 0.002", "learning_rate: 1e-4")
    assert "1e-4" in text
    Path("params.yaml").write_text(text)
    assert read_params()["train"]["learning_rate"] == 1e-4
    load_section("split", SplitParams)


@pytest.mark.parametrize(("path", "value", "message"), [
    ("split.val", 0.9, "split: val \\+ test is 1.1"),
    ("split.test", float("nan"), "split.test: nan: "),
    ("train.learning_rate", float("inf"), "train.learning_rate: inf: "),
    ("train.epochs", None, "train: set one of epochs and max_steps"),
    ("train.max_steps", 5, "train: set one of epochs and max_steps"),
    ("train.gradient_checkpointing", 1, "train.gradient_checkpointing: 1: "),
    ("train.lora", None, "train.lora: None: "),
    ("split", None, "split: None: "),
    ("students", [], "students: \\[\\]: "),
    ("students", {}, "student: 'tiny': no such profile"),
    ("students.tiny", 3, "students.tiny: 3: "),
    ("student", 3, "student: 3: "),
    ("teachers.api.type", "apii", "teachers.api: input tag 'apii' found using 'type' does not match any of the expected tags: 'text-"),
    ("teachers.api.base_url", None, "teachers.api.base_url: None: "),
    ("teachers.api.base_url", "localhost:8000", "teachers.api.base_url: 'localhost:8000': expected an address such as http://"),
    ("teachers.api.generation.extra_body", {"model": "x"}, "teachers.api.generation.extra_body: model: set by the profile itself"),
    ("teachers.api.generation.extra_body", {"x": float("nan")}, "teachers.api.generation.extra_body: no JSON: "),
    ("teachers.api.generation.retry_temperatures", [0.5, -1.0], "teachers.api.generation.retry_temperatures.1: -1.0: "),
    ("teachers.service.text_path", "pages[].text", "teachers.service.text_path: 'pages\\[\\].text': 'pages\\[\\].text': no path at"),
    ("teachers.tesseract.language", "deu; rm", "teachers.tesseract.language: "),
    ("evaluate.readers", {"a|b": {"model": "uv.lock", "reader": {"type": "rapidocr"}}}, "evaluate.readers.*: 'a.b': string should match"),
])
def test_impossible_values_are_refused(values, path, value, message):
    *steps, last = path.split(".")
    section = values
    for step in steps:
        section = section[step]
    section[last] = value
    if path == "split.val":
        section["test"] = 0.2
    with pytest.raises(ParamsError, match=message):
        load_section("split", SplitParams, values)


@pytest.mark.parametrize(("path", "value", "message"), [
    ("api.api_key_env", "sk-very-secret", "teachers.api.api_key_env: string should match pattern"),
    ("api.api_key_env", "0123verysecret", "teachers.api.api_key_env: string should match pattern"),
    ("api.headers_env", {"X-Key": "sk-very-secret"}, "teachers.api.headers_env: expected header: NAME_OF_AN_ENVIRONMENT_VARIABLE"),
    ("api.base_url", "https://me:very-secret@host/v1", "teachers.api.base_url: 'https://(hidden)@host/v1': holds a password"),
])
def test_a_key_in_the_wrong_place_is_refused_and_not_shown(values, path, value, message):
    profile, key = path.split(".")
    values["teachers"][profile][key] = value
    (problem,) = problems(values)
    assert problem.startswith(message)
    assert "secret" not in problem


def test_a_missing_section_is_named(values):
    del values["merge"]
    assert problems(values) == ["merge: missing section"]


def test_a_section_inside_a_section_is_loaded(values):
    assert load_section("students.tiny", StudentProfile, values).max_new_tokens == SHIPPED["students"]["tiny"]["max_new_tokens"]


@pytest.mark.parametrize(("text", "message"), [
    (None, "no such file; run from the root"), (b"a: [", "not YAML"), (b"- 1\n", "holds no sections"), (b"", "holds no sections"),
    (b"a: \xff\n", "not YAML"),
])
def test_a_file_that_is_no_params_yaml(project, text, message):
    Path("params.yaml").unlink()
    if text is not None:
        Path("params.yaml").write_bytes(text)
    with pytest.raises(ParamsError, match=message):
        load_section("split", SplitParams)


def test_errors_for_the_user_are_one_message(capsys):
    with pytest.raises(SystemExit) as stop, report_errors():
        load_section("split", SplitParams, {})
    assert stop.value.code == 1
    output = capsys.readouterr()
    assert output.err.startswith("error: params.yaml has problems:\n")
    assert "train: missing section" in output.err
    assert "Traceback" not in output.err


def test_errors_for_the_user_name_files_too(capsys, tmp_path):
    with pytest.raises(SystemExit), report_errors():
        (tmp_path / "absent").read_text()
    assert "absent" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback():
    import statistics

    for call in (lambda: statistics.quantiles([]), lambda: {}["absent"]):
        with pytest.raises((ValueError, KeyError)), report_errors():
            call()
