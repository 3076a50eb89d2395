"""Engines read what they can, and one bad image is one failed page."""

import shutil
from importlib.util import find_spec

import pytest
from conftest import draw_line

import ocrtune.readers.engines  # noqa: F401 - in time: a test below leaves no path to import from
from ocrtune.params.teachers import RapidOcr, Tesseract, TextLayer
from ocrtune.readers.open import open_reader
from ocrtune.reading import Page, Reading

with_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="no tesseract here")
with_rapidocr = pytest.mark.skipif(find_spec("rapidocr") is None or find_spec("onnxruntime") is None, reason="no RapidOCR here")
WORDS = ["Dear Sir", "and so", "yours"]


def read(reader, pages) -> dict[str, Reading]:
    readings = list(reader.read(pages))
    assert sorted(page.page_id for page, _ in readings) == sorted(page.page_id for page in pages)
    return {page.page_id: reading for page, reading in readings}


@pytest.fixture
def pages(tmp_path) -> list[Page]:
    """Return pages of one line each; then one that is blank, one that is torn, one that is no image and one that is gone."""
    names = [*WORDS, "", "torn", "none", "gone"]
    pages = []
    for number, words in enumerate(names):
        image = tmp_path / f"{number}.png"
        digest = draw_line(image, words, 200)
        pages.append(Page(words or "blank", image, digest))
    pages[-3].image.write_bytes(pages[-3].image.read_bytes()[:60])
    pages[-2].image.write_bytes(b"no image")
    pages[-1].image.unlink()
    return pages


def test_the_text_layer_is_taken_as_it_is():
    rows = [Page("a", None, "", "words"), Page("b", None, "", ""), Page("c", None, "", None)]
    assert read(open_reader(TextLayer()), rows) == {"a": Reading("words"), "b": Reading(""), "c": Reading("", "none")}


@pytest.mark.parametrize(("profile", "message"), [
    (RapidOcr(), "RapidOCR is not installed; run `./run uv pip install rapidocr onnxruntime`"),
    (Tesseract(), "no `tesseract` on the path; install it")])
def test_an_engine_that_is_not_there_says_how_to_get_it(profile, message, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ValueError, match=message):
        open_reader(profile)


def check_bad_pages(readings: dict[str, Reading], output: str) -> None:
    assert [name for name, reading in readings.items() if reading.finish_reason == "error"] == ["torn", "none", "gone"]
    for name in ("torn", "none", "gone"):
        assert readings[name].problem
        assert f"{name}: not read: {readings[name].problem}\n" in output
    assert readings["blank"].finish_reason == "stop"  # what it says is another matter: Tesseract reads "Be" there


@with_tesseract
@pytest.mark.parametrize("workers", [1, 3])
def test_tesseract_reads_and_bad_images_fail_alone(pages, capfd, workers):
    readings = read(open_reader(Tesseract(page_segmentation=7, workers=workers)), pages)
    readings = {page.page_id: readings[page.page_id] for page in pages}
    assert [readings[words].text for words in WORDS] == WORDS
    check_bad_pages(readings, capfd.readouterr().out)


@with_tesseract
def test_tesseract_is_known_by_version_packs_and_settings():
    identity = open_reader(Tesseract(page_segmentation=7)).identity
    assert identity["version"].startswith("tesseract ")
    assert len(identity["packs"]) == 1 and len(identity["packs"][0]) == 64
    assert open_reader(Tesseract(page_segmentation=7, workers=5)).identity == identity
    assert open_reader(Tesseract(page_segmentation=3)).identity != identity


@with_tesseract
def test_a_language_pack_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"no language pack xyz; there are: .*eng.*; install it \(Debian: apt install tesseract-ocr-xyz\)"):
        open_reader(Tesseract(language="eng+xyz"))


def test_tesseract_is_asked_as_the_profile_says(monkeypatch, tmp_path, capfd):
    """A program of that name stands in: what we check is the command line, the pipes and the exit status."""
    program, packs = tmp_path / "bin" / "tesseract", tmp_path / "packs"
    program.parent.mkdir()
    packs.mkdir()
    (packs / "eng.traineddata").write_bytes(b"a")
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "tesseract 5.3" && exit\n'
                       f'[ "$1" = --list-langs ] && echo "List of available languages in \\"{packs}\\" (1):" && echo eng && exit\n'
                       'size=$(wc -c)\n[ $size -gt 9000 ] && { echo "too\nlarge" >&2; exit 1; }\necho "$* $size $OMP_THREAD_LIMIT"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    digest = draw_line(tmp_path / "a.png", "a")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes() + bytes(9000))
    reader = open_reader(Tesseract(page_segmentation=7))
    assert (reader.identity["version"], reader.identity["language"], reader.identity["page_segmentation"]) == ("tesseract 5.3", "eng", 7)
    (packs / "eng.traineddata").write_bytes(b"b")
    assert open_reader(Tesseract(page_segmentation=7)).identity != reader.identity
    readings = read(reader, [Page("a", tmp_path / "a.png", digest), Page("b", tmp_path / "b.png", "0")])
    assert readings["a"] == Reading(f"- - -l eng --psm 7 {(tmp_path / 'a.png').stat().st_size} 1")
    assert readings["b"] == Reading("", "error", "too large")
    assert "b: not read: too large" in capfd.readouterr().out


@with_rapidocr
def test_rapidocr_reads_and_bad_images_fail_alone(pages, capfd):
    readings = read(open_reader(RapidOcr()), pages)
    check_bad_pages(readings, capfd.readouterr().out)
    assert readings["yours"].text == "yours"
