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


def test_characters_that_the_model_cant_write_are_named_and_their_examples_refused(processor, rows, tmp_path):
    rows[0]["text"], rows[1]["text"], rows[2]["text"] = "Ελλ", "n\u0303 a", "a\u2605 \u0440\u0301"
    fit = fit_examples(rows, tmp_path, processor, "", 1000, "fail")
    assert [row["page_id"] for row in fit.kept] == ["l2"]
    assert fit.kept[0]["tokens"] == processor.tokenizer("ñ a")["input_ids"]  # composed: it can say that
    assert [row["reason"].partition(": ")[2] for row in fit.refused] == ["Ε λ", "U+0301 р ★"]
    assert "can't write these characters: Ε λ U+0301 р ★, in 2 of 3 examples" in fit.report(1000)
    fit = fit_examples(rows[:1], tmp_path, processor, "", 1000, "fail")
    assert fit.report(1000) == "no examples; 0 cut short, 1 refused; the model can't write these characters: Ε λ, in 1 of 1 examples"


def test_lines_wider_than_the_model_sees_are_counted(built_student, tmp_path):
    rows = [{"page_id": str(width), "image": f"{width}.png", "text": "abc"} for width in (1280, 1300)]
    for row in rows:
        draw_line(tmp_path / row["image"], "abc", int(row["page_id"]))
    profile = StudentProfile(prompts={"ocr": ""}, image={"min_height": 32})
    assert fit_examples(rows, tmp_path, load_processor(built_student, profile), "", 1000, "fail").num_wide == 1
    assert fit_examples(rows, tmp_path, load_processor(built_student, PROFILE), "", 1000, "fail").num_wide == 0  # not meant for lines
