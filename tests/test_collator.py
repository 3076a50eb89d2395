"""A batch asks as the reader asks, and learns the answer and its end alone."""

import pytest
import torch
from conftest import draw_line

from ocrtune.models.vlm import encode_pages, load_model, load_processor, open_image
from ocrtune.params.students import StudentProfile
from ocrtune.pretraining.student import BOS, EOS, IMAGE, PAD, encode
from ocrtune.training.collator import AnswerCollator

PROFILE = StudentProfile(prompts={"ocr": ""})
TEXTS = ["ab", "a longer answer, 12", ""]
WIDTHS = [64, 240, 112]


@pytest.fixture
def rows(tmp_path) -> list[dict]:
    for text, width in zip(TEXTS, WIDTHS, strict=True):
        draw_line(tmp_path / f"{width}.png", text, width)
    return [{"image": f"{width}.png", "text": text} for text, width in zip(TEXTS, WIDTHS, strict=True)]


@pytest.fixture
def collator(built_student, tmp_path) -> AnswerCollator:
    return AnswerCollator(load_processor(built_student, PROFILE), PROFILE.prompt, tmp_path, EOS)


def test_the_answer_and_its_end_are_labelled_and_nothing_else(collator, rows):
    batch = collator(rows)
    for text, width, tokens, labels, mask in zip(
            TEXTS, WIDTHS, batch["input_ids"].tolist(), batch["labels"].tolist(), batch["attention_mask"].tolist(), strict=True):
        prompt = [IMAGE] * (32 // 16 * width // 16)
        answer = [*encode(text), EOS]
        used = sum(mask)
        assert mask == [1] * used + [0] * (len(mask) - used)
        assert [token for token in tokens[:used] if token == IMAGE] == prompt
        assert tokens[used - len(answer) - 1] == BOS  # the template's last word before the answer
        assert tokens[used - len(answer) : used] == answer
        assert tokens[used:] == [PAD] * (len(mask) - used)
        assert labels == [-100] * (used - len(answer)) + answer + [-100] * (len(mask) - used)


def test_no_column_is_padding_alone(collator, rows):
    assert collator(rows)["attention_mask"].sum(0).min() > 0
    assert collator(rows)["attention_mask"][1].all()  # the widest and longest


def test_a_batch_equals_its_rows(collator, rows):
    batch = collator(rows)
    for index, row in enumerate(rows):
        alone = collator([row])
        used = alone["input_ids"].shape[1]
        for name in ("input_ids", "labels", "attention_mask"):
            assert torch.equal(batch[name][index, :used], alone[name][0]), name
            assert (batch[name][index, used:] == {"input_ids": PAD, "labels": -100, "attention_mask": 0}[name]).all()


def test_a_batch_scores_each_row_as_it_is_scored_alone(collator, rows, built_student):
    model = load_model(built_student, PROFILE)

    def losses(chosen):
        batch = collator(chosen)
        labels = batch.pop("labels")
        with torch.inference_mode():
            logits = model(**batch).logits
        return torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], reduction="none").sum(1)

    torch.testing.assert_close(losses(rows), torch.cat([losses([row]) for row in rows]), rtol=1e-4, atol=1e-4)


def test_prompts_are_those_that_generate_gets(collator, rows, tmp_path):
    batch = collator(rows)
    asked = encode_pages(collator.processor, [open_image(tmp_path / row["image"]) for row in rows], PROFILE.prompt)
    assert torch.equal(batch["pixel_values"], asked["pixel_values"])
    for index in range(len(rows)):
        prompt = asked["input_ids"][index][asked["attention_mask"][index] == 1]
        known = (batch["labels"][index] == -100) & (batch["attention_mask"][index] == 1)
        assert torch.equal(batch["input_ids"][index][known], prompt)
    assert asked["attention_mask"][:, -1].all()  # generate continues from the last column: padding leads


def test_a_prompts_words_come_before_the_answer(built_student, rows, tmp_path):
    """The student's own template takes no words; one that does gets them in training as in reading."""
    processor = load_processor(built_student, PROFILE)
    processor.chat_template = (
        "{% for m in messages %}{% for p in m.content %}{{ '<|image|>' if p.type == 'image' else p.text }}{% endfor %}<bos>{% endfor %}")
    batch = AnswerCollator(processor, "Read:", tmp_path, EOS)(rows[:1])
    words = [*encode("Read:"), BOS, *encode("ab"), EOS]
    assert batch["input_ids"][0, -len(words) :].tolist() == words
    assert batch["labels"][0, -len(words) :].tolist() == [-100] * 6 + [*encode("ab"), EOS]


def test_an_image_that_does_not_open_is_named(collator, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    with pytest.raises(ValueError, match=r"torn\.png: not an image that opens"):
        collator([{"image": "torn.png", "text": "x"}])
