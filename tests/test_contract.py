"""A model is asked as it was trained to be asked, or not at all."""

import pytest

from ocrtune.models.contract import CONTRACT, asked, check_contract, contract_of
from ocrtune.models.vlm import load_processor
from ocrtune.params.students import StudentProfile
from ocrtune.rows import write_json

PROFILE = StudentProfile(prompts={"ocr": ""}, max_new_tokens=12)


def test_the_contract_is_held(built_student, tmp_path):
    write_json(tmp_path / CONTRACT, contract_of(PROFILE, load_processor(built_student, PROFILE)))
    check_contract(tmp_path, PROFILE)
    check_contract(tmp_path, PROFILE.model_copy(update={"batch_size": 1, "dtype": "bfloat16"}))  # no question of what is asked
    for change in ({"max_new_tokens": 13}, {"image": {"longest_edge": 640}}, {"end": "<bos>"}, {"postprocess": "deepseek-ocr"}):
        with pytest.raises(ValueError, match="trained with"):
            check_contract(tmp_path, PROFILE.model_copy(update=change))


def test_the_template_that_lays_the_roles_is_held_too(student):
    write_json(student / CONTRACT, contract_of(PROFILE, load_processor(student, PROFILE)))
    load_processor(student, PROFILE)
    template = student / "chat_template.jinja"
    template.write_text(template.read_text().replace("<bos>", "Read: <bos>"))
    with pytest.raises(ValueError, match="its chat template is not the one that it was trained with; run the merge stage again"):
        load_processor(student, PROFILE)
    write_json(student / CONTRACT, asked(PROFILE))  # one that does not say
    load_processor(student, PROFILE)


def test_a_contract_from_before_the_end_was_recorded_holds(tmp_path):
    told = asked(PROFILE)
    del told["end"]
    write_json(tmp_path / CONTRACT, told)
    check_contract(tmp_path, PROFILE.model_copy(update={"end": "<eos>"}))


def test_a_base_has_no_contract_and_a_damaged_one_is_told(tmp_path):
    check_contract(tmp_path, PROFILE)
    (tmp_path / CONTRACT).write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        check_contract(tmp_path, PROFILE)
