"""The student's recipe learns, goes on where it was, and the shipped weights read what the model card promises."""

import json
from pathlib import Path

import matplotlib
import pytest
from PIL import Image
from rapidfuzz.distance import Levenshtein

from ocrtune.pretraining.line_text import CHARACTERS, LineWriter, fit_words
from ocrtune.pretraining.training import Chunks, Pretraining, length_limit
from ocrtune.pretraining.typefaces import typefaces_in

ROOT = Path(__file__).parents[1]
FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
WRITER = LineWriter({"en": fit_words("the quick brown fox jumps over a lazy dog while seven wizards box".split())}, {"en": 1})


@pytest.fixture(scope="module")
def chunks():
    families = [family for name, family in typefaces_in(FONTS).items() if name.startswith("DejaVu Sans")]
    return Chunks(0, 192, seed=1, growth=0.25, budget=3000, families=families, writer=WRITER, size=64)


def test_lines_grow_from_ten_characters_to_full_length():
    assert length_limit(0, 1000, 0.5) == 10
    assert length_limit(999, 1000, 0.5) == 88


def test_a_chunk_is_a_function_of_its_number(chunks):
    again = [batch[0].tolist() for batch in chunks[2][1]]
    assert [batch[0].tolist() for batch in chunks[2][1]] == again
    assert [batch[0].tolist() for batch in chunks[1][1]] != again


def test_targets_stand_under_their_characters(chunks):
    for pixels, ids, labels, alignment in chunks[0][1]:
        assert alignment.shape == (len(pixels), pixels.shape[2] // 4)
        for row in range(len(pixels)):
            answer = [token for token in labels[row].tolist() if token != -100]
            assert answer[:-1] == [token for token in ids[row, 1:].tolist() if token][: len(answer) - 1]
            placed = [token for token in alignment[row].tolist() if token]
            assert len(placed) <= len(answer) - 1
            if len(placed) == len(answer) - 1:  # none fell into another's column
                assert placed == answer[:-1]


def test_the_loss_falls_and_a_checkpoint_goes_on(chunks, tmp_path):
    training = Pretraining(tmp_path, "cpu", seed=0, matrix_lr=3e-3, other_lr=2e-3, bf16=False)
    losses = [sum(training.train_step(batch, 0.3)) for number in range(3) for batch in chunks[number][1]]
    assert sum(losses[-3:]) / 3 < 0.75 * sum(losses[:3]) / 3
    training.save()
    batch = chunks[0][1][0]
    resumed = Pretraining(tmp_path, "cpu", seed=5, matrix_lr=3e-3, other_lr=2e-3, bf16=False)
    assert resumed.resume()
    assert resumed.train_step(batch, 0.5) == training.train_step(batch, 0.5)
    assert (tmp_path / "model/model.safetensors").is_file()


@pytest.mark.parametrize(("folder", "promised"), [("data/canary", 0.03), ("tests/lines/seen", 0.03), ("tests/lines/unseen", 0.08),
                                                   ("tests/lines/long", 0.03)])
def test_shipped_weights_read_as_promised(folder, promised):
    from ocrtune.models.vlm import generate_texts, load_model, load_processor
    from ocrtune.params.students import StudentProfile

    profile = StudentProfile(prompts={"ocr": ""}, max_new_tokens=100)
    model, processor = (load(ROOT / "models/base/tiny", profile) for load in (load_model, load_processor))
    rows = [json.loads(line) for line in next((ROOT / folder).glob("*.jsonl")).read_text(encoding="utf-8").splitlines()]
    images = [Image.open(ROOT / folder / row["image"]).convert("RGB") for row in rows]
    order = sorted(range(len(rows)), key=lambda index: images[index].width)
    edits = 0
    for start in range(0, len(order), 16):
        batch = order[start : start + 16]
        for index, (text, _) in zip(batch, generate_texts(model, processor, [images[i] for i in batch], profile), strict=True):
            edits += Levenshtein.distance(text, rows[index]["text"])
    assert edits / sum(len(row["text"]) for row in rows) <= promised


def test_characters_are_single_and_known_once():
    assert len(CHARACTERS) == len(set(CHARACTERS))
    assert all(len(character) == 1 for character in CHARACTERS)
