"""Every example is looked at before the first step: what opens, what fits, what is refused and why."""

import pytest
from conftest import draw_line

from ocrtune.models.vlm import encode_pages, load_model, load_processor, open_image
from ocrtune.params.students import StudentProfile
from ocrtune.training.collator import AnswerCollator
from ocrtune.training.examples import example_length, fit_examples, text_limit

PROFILE = StudentProfile(prompts={"ocr": ""})


@pytest.fixture
def processor(built_student):
    return load_processor(built_student, PROFILE)


@pytest.fixture
def rows(tmp_path) -> list[dict]:
    """Draw lines of three widths, with texts of 3, 6 and 9 characters."""
    rows = []
    for number in range(1, 4):
        draw_line(tmp_path / f"{number}.png", "abc" * number, 64 * number)
        rows.append({"page_id": f"l{number}", "image": f"{number}.png", "text": "abc" * number})
    return rows


def test_lengths_are_those_of_the_batch_that_is_trained_on(processor, rows, tmp_path):
    fit = fit_examples(rows, tmp_path, processor, "", 1000, "fail")
    for row in fit.kept:
        assert row["prompt_tokens"] == encode_pages(processor, [open_image(tmp_path / row["image"])], "")["input_ids"].shape[1]
        assert example_length(row) == AnswerCollator(processor, "", tmp_path, 1)([row])["input_ids"].shape[1]
    assert not fit.refused
    assert "3 to 9 of text" in fit.report(1000)


def test_what_is_too_long_is_refused_cut_or_an_error(processor, rows, tmp_path):
    lengths = [example_length(row) for row in fit_examples(rows, tmp_path, processor, "", 1000, "fail").kept]
    assert lengths == sorted(lengths)
    refused = fit_examples(rows, tmp_path, processor, "", lengths[1], "refuse")
    assert [row["page_id"] for row in refused.kept] == ["l1", "l2"]
    assert refused.refused == [{"page_id": "l3", "reason": f"{lengths[2]} tokens, more than {lengths[1]}"}]
    cut = fit_examples(rows, tmp_path, processor, "", lengths[2] - 2, "shorten")
    assert (cut.num_cut, [row["whole"] for row in cut.kept]) == (1, [True, True, False])
    batch = AnswerCollator(processor, "", tmp_path, 1)([cut.kept[2]])
    learnt = batch["labels"][batch["labels"] != -100].tolist()
    assert learnt == processor.tokenizer("abc" * 3, add_special_tokens=False)["input_ids"][:7]  # and no end: the text goes on
    with pytest.raises(ValueError, match=r"l3: \d+ tokens .* of image and prompt\), more than"):
        fit_examples(rows, tmp_path, processor, "", lengths[1], "fail")


def test_an_image_alone_over_the_limit_is_refused_even_if_texts_may_be_cut(processor, rows, tmp_path):
    fit = fit_examples(rows[:1], tmp_path, processor, "", 2, "shorten")
    assert not fit.kept
    assert fit.refused[0]["page_id"] == "l1"


def test_a_torn_image_and_a_text_that_can_be_spelt_by_control_alone_are_refused_by_row(processor, rows, tmp_path):
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[: len(whole) // 2])  # opens, but its pixels end
    rows[1]["text"] = f"а {processor.image_token} б"  # letters that this student does not know: the text would not come back
    fit = fit_examples(rows, tmp_path, processor, "", 1000, "fail")
    assert [row["page_id"] for row in fit.kept] == ["l3"]
    assert {row["page_id"]: row["reason"].split(",")[0].split(":")[0] for row in fit.refused} == {
        "l1": "not an image that opens", "l2": "its text holds <|image|>"}


def test_texts_longer_than_the_student_may_write_are_told(processor, rows, tmp_path):
    fit = fit_examples(rows, tmp_path, processor, "", 1000, "fail")
    assert fit.warn_of_cut_answers(9) == ""
    assert fit.warn_of_cut_answers(5).startswith("2 of 3 texts, of up to 9 tokens, are longer than max_new_tokens (5)")


def test_the_limit_is_the_models(built_student):
    model = load_model(built_student, PROFILE)
    assert text_limit(model) == model.config.text_config.max_position_embeddings
