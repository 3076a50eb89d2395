"""A student reads each page in batches; what it can't open is an empty answer, and its weights are its identity."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, draw_line
from PIL import Image
from rapidfuzz.distance import Levenshtein

from ocrtune.params.students import StudentProfile
from ocrtune.params.teachers import Local
from ocrtune.readers.open import open_reader
from ocrtune.reading import Page, Reading

SHIPPED = ROOT / "models/base/tiny"

PROFILE = StudentProfile(prompts={"ocr": ""}, max_new_tokens=4, batch_size=3)


def open_student(folder: Path, **change):
    return open_reader(Local(model=str(folder), **PROFILE.model_dump() | change))


@pytest.fixture
def pages(tmp_path) -> list[Page]:
    """Draw lines of two widths, one after the other."""
    images = [tmp_path / f"{number}.png" for number in range(7)]
    return [Page(f"p{number}", image, draw_line(image, str(number) * 3, 64 + 64 * (number % 2))) for number, image in enumerate(images)]


def read(reader, pages) -> dict[str, Reading]:
    readings = list(reader.read(pages))
    assert len(readings) == len(pages)
    return {page.page_id: reading for page, reading in readings}


def test_a_torn_image_alone_fails(student, pages, capfd):
    pages[1].image.write_bytes(pages[1].image.read_bytes()[:60])  # opens, but its pixels end
    pages[2].image.write_bytes(b"no image")
    pages[3].image.unlink()
    readings = read(open_student(student), pages)
    failed = {name: reading for name, reading in readings.items() if reading.finish_reason == "error"}
    assert failed.keys() == {"p1", "p2", "p3"}
    assert all(reading.text == "" and f"{name[1]}.png" in reading.problem for name, reading in failed.items())
    assert readings.keys() == {page.page_id for page in pages}
    output = capfd.readouterr().out
    assert all(f"{name}: not read: " in output for name in ("p1", "p2", "p3"))


def test_an_image_that_breaks_its_batch_fails_alone(student, pages, tmp_path, capfd):
    image = tmp_path / "odd.png"
    Image.new("L", (3, 400), 255).save(image)  # its processor makes a line of it that has no height
    odd = Page("odd", image, "0")
    readings = read(open_student(student, batch_size=8), [*pages, odd])
    assert readings.pop("odd").problem.startswith("ValueError: ")
    assert "odd: not read: ValueError: " in capfd.readouterr().out
    assert readings == read(open_student(student, batch_size=8), pages)


def test_weights_in_four_bits_read(pages):
    reader = open_student(SHIPPED, load_in_4bit=True)  # the small one's widths are no multiples of 32
    assert reader.identity != open_student(SHIPPED).identity
    model, _ = reader.load()
    assert {type(module).__name__ for name, module in model.named_modules() if name.endswith("q_proj")} == {"Linear4bit"}
    assert {page for page, _ in reader.read(pages)} == set(pages)


def test_four_bits_want_bitsandbytes(student, pages, monkeypatch):
    monkeypatch.setattr("ocrtune.models.quantization.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"bitsandbytes is not installed; run `\./run uv sync --locked --inexact --extra quantization`"):
        list(open_student(student, load_in_4bit=True).read(pages))


def test_batches_leave_the_answers(student, pages):
    readings = read(open_student(student), pages)
    assert {reading.finish_reason for reading in readings.values()} <= {"stop", "length"}
    assert len({reading.text for reading in readings.values()}) > 1
    assert read(open_student(student, batch_size=1), pages[::-1]) == readings


def test_answers_come_before_the_last_page_is_drawn(student, pages, monkeypatch):
    monkeypatch.setattr("ocrtune.readers.student.WINDOW", 1)
    drawn = []
    answers = open_student(student, batch_size=2).read(page for page in pages if not drawn.append(page))
    next(answers)
    assert len(drawn) == 2
    assert len(list(answers)) == len(pages) - 1
    assert drawn == pages


def test_a_text_cut_off_is_told(student, pages):
    whole = read(open_student(student, max_new_tokens=60), pages)
    cut = read(open_student(student, max_new_tokens=1), pages)
    assert all(reading.finish_reason == "length" and len(reading.text) <= 1 for reading in cut.values())
    assert all(whole[name].text.startswith(reading.text) for name, reading in cut.items())


def test_its_identity_hangs_on_weights_and_settings(student):
    identities = [open_student(student, **change).identity for change in (
        {}, {"prompts": {"ocr": "x"}}, {"max_new_tokens": 5}, {"dtype": "bfloat16"}, {"image": {"do_resize": False}},
        {"image": {"min_height": 32}})]
    (student / "config.json").write_text((student / "config.json").read_text() + " ")
    identities.append(open_student(student).identity)
    assert len({json.dumps(identity) for identity in identities}) == len(identities)
    assert open_student(student, batch_size=1).identity == identities[-1]


def test_a_student_that_is_not_there_says_what_to_put_there(tmp_path):
    (tmp_path / "models").mkdir()
    with pytest.raises(ValueError, match=r"models: no model here; put config\.json"):
        open_student(tmp_path / "models")
    with pytest.raises(ValueError, match=r"absent: no model here; put config\.json"):
        open_student(tmp_path / "absent")


def test_lines_lower_than_the_student_was_taught_are_scaled_up(tmp_path):
    text = "The quick brown fox jumps over the lazy dog"
    tall, low = tmp_path / "tall.png", tmp_path / "low.png"
    draw_line(tall, text, 480)
    with Image.open(tall) as image:
        image.resize((240, 16), Image.Resampling.BOX).save(low)
    pages = [Page("tall", tall, "0"), Page("low", low, "0")]
    profile = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["students"]["tiny"]
    readings = read(open_student(SHIPPED, **profile), pages)
    assert readings["tall"].text == text
    assert Levenshtein.distance(readings["low"].text, text) <= 2
    alone = read(open_student(SHIPPED, **profile | {"image": {}}), pages)
    assert alone["tall"] == readings["tall"]  # a line as high as it was taught is as it was
    assert Levenshtein.distance(alone["low"].text, text) > 20


def test_lines_wider_than_the_student_sees_are_told(student, tmp_path, capfd):
    wide = tmp_path / "wide.png"
    draw_line(wide, "abc", 1300)
    read(open_student(student, image={"min_height": 32}), [Page("wide", wide, "0")])
    assert "wide and 0 more are wider than 40 times their height" in capfd.readouterr().out


def test_a_height_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"image\.min_height '32': expected a whole number of px"):
        open_student(SHIPPED, image={"min_height": "32"})
