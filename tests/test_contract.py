"""A model is asked as it was trained to be asked, or not at all."""

import pytest

from ocrtune.models.contract import CONTRACT, check_contract, contract_of
from ocrtune.models.vlm import load_processor
from ocrtune.params.students import StudentProfile
from ocrtune.rows import write_json

PROFILE = StudentProfile(prompts={"ocr": ""}, max_new_tokens=12)


def test_the_contract_is_held(built_student, tmp_path):
    write_json(tmp_path / CONTRACT, contract_of(PROFILE, load_processor(built_student, PROFILE)))
    check_contract(tmp_path, PROFILE)
    check_contract(tmp_path, PROFILE.model_copy(update={"batch_size": 1, "dtype": "bfloat16"}))  # no question of what is asked
    for change in ({"max_new_tokens": 13}, {"image": {"longest_edge": 640}}, {"postprocess": "deepseek-ocr"}):
        with pytest.raises(ValueError, match="trained with"):
            check_contract(tmp_path, PROFILE.model_copy(update=change))


def test_a_base_has_no_contract_and_a_damaged_one_is_told(tmp_path):
    check_contract(tmp_path, PROFILE)
    (tmp_path / CONTRACT).write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        check_contract(tmp_path, PROFILE)
