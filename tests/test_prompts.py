"""A model keeps its own tasks; users add theirs."""

import copy
from pathlib import Path

import pytest
import yaml

from ocrtune.params.load import problems
from ocrtune.params.teachers import Local
from ocrtune.readers.open import open_reader
from ocrtune.readers.prompts import Prompt, find_prompt, own_tasks

ROOT = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
USERS = SHIPPED["prompts"]


def test_a_models_own_task():
    assert find_prompt("ocr", {"ocr": "Free OCR."}, USERS) == Prompt("", "Free OCR.")
    assert find_prompt("ocr", {"ocr": ""}, {}) == Prompt("", "")  # of models that take no words
    assert find_prompt("ocr", {"ocr": Prompt("Be exact.", "Read.")}, {}) == Prompt("Be exact.", "Read.")


def test_a_users_task():
    assert {"invoice", "medical_report"} <= USERS.keys()
    assert find_prompt("invoice", {"ocr": ""}, USERS) == Prompt(**USERS["invoice"])
    assert find_prompt("list", {}, {"list": {"user": "List."}}) == Prompt("", "List.")


def test_an_unknown_task_lists_the_known():
    with pytest.raises(ValueError, match=r"task 'invoce': unknown; there are: ocr \(the model's own\), invoice, medical_report; add"):
        find_prompt("invoce", {"ocr": ""}, USERS)


@pytest.mark.parametrize("task", ["figure", "invoice"])
def test_a_models_own_task_is_locked_whichever_is_asked_for(task):
    with pytest.raises(ValueError, match=r"prompts\.figure: the model's own task"):
        find_prompt(task, {"figure": "Parse the figure."}, USERS | {"figure": {"user": "Draw."}})


def test_a_local_teacher_is_asked_for_a_users_task():
    values = copy.deepcopy(SHIPPED)
    values["teachers"]["local"] |= {"model": str(ROOT / "models/base/tiny"), "task": "medical_report"}
    assert problems(values) == []
    profile = Local(**values["teachers"]["local"])
    assert open_reader(profile, USERS).profile.prompt == f"{USERS['medical_report']['system']}\n{USERS['medical_report']['user']}"
    with pytest.raises(ValueError, match="task 'medical_report': unknown; there are: document"):
        open_reader(profile, {})


def test_a_models_words_hang_on_its_name():
    assert own_tasks("deepseek-ai/DeepSeek-OCR-2") == {"ocr": "Free OCR.", "document": "<|grounding|>Convert the document to markdown."}
    for name, student in SHIPPED["students"].items():
        if "repository" in student:  # the same words, whether its server is asked or it is read here
            assert own_tasks(student["repository"]) == own_tasks(f"{name}-1a2b3c4d") == student["prompts"], name
    assert own_tasks("some-model")["ocr"] == "Extract all text from the image."


@pytest.mark.parametrize(("name", "value", "message"), [
    ("ocr", {"user": "x"}, "prompts: task 'ocr' is each model's own and can't be changed"),
    ("document", {"user": "x"}, "prompts: task 'document' is each"),
    ("list", {"usr": "x"}, "prompts.list.usr: unknown; allowed here: system, user"),
    ("list", {"system": "x"}, "prompts.list.user: missing"),
    ("list", {"user": ""}, "prompts.list.user: ''"),
    ("list", "x", "prompts.list: 'x'"),
])
def test_params_are_checked(name, value, message):
    values = copy.deepcopy(SHIPPED)
    values["prompts"][name] = value
    assert any(problem.startswith(message) for problem in problems(values)), problems(values)
