"""Leaks between splits are found, by text and by picture; what merely resembles is not."""

import json
import random

import pytest
from conftest import page_row
from hypothesis import given, settings, strategies
from PIL import Image

from ocrtune.rows import write_rows
from ocrtune.splits.image_hashes import MOST_BITS, find_alike, hash_image
from ocrtune.splits.near_duplicates import find_image_twins, find_text_twins, find_twins, jaccard, list_shingles
from ocrtune.splits.statistics import describe_drift, describe_split, divergence, largest_gap, name_script

WORDS = [f"word{number}" for number in range(400)]


def write(seed: int, count: int = 120) -> str:
    """Return a text of random words."""
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def row(doc_id: str, text: str, page: int = 1, **columns) -> dict:
    return {"page_id": f"{doc_id}_p{page}", "doc_id": doc_id, "text": text, "image": "", "origin": "gold"} | columns


def test_shingles_are_runs_of_words_each_once():
    assert len(list_shingles("a b c d e a b c d".split(), {})) == 5  # abcd bcde cdea deab eabc abcd
    assert len(list_shingles("a b c".split(), {})) == 0
    assert list_shingles("a b c d".split(), {})[0] != list_shingles("d c b a".split(), {})[0]


def test_shingles_are_the_same_on_any_machine():
    assert list_shingles("a b c d".split(), {}).tolist() == [2791846715852628013]


@given(strategies.lists(strategies.sampled_from("abc"), max_size=12), strategies.lists(strategies.sampled_from("abc"), max_size=12))
@settings(deadline=None)
def test_jaccard_counts_shingles(one, two):
    sets = [{tuple(words[place:place + 4]) for place in range(len(words) - 3)} for words in (one, two)]
    expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1]) if sets[0] | sets[1] else 0
    assert jaccard(list_shingles(one, {}), list_shingles(two, {})) == pytest.approx(expected)


def test_a_copy_with_a_few_changes_is_found_whatever_its_case_and_markup():
    text = write(1)
    splits = {"train": [row("copy", f"# {text.upper()}\n\nthe end"), row("other", write(2))], "test": [row("first", text)]}
    (twin,) = find_text_twins(splits, 0.6)
    assert (twin.doc_id, twin.split, twin.other_id, twin.other_split, twin.by) == ("first", "test", "copy", "train", "text")
    assert 0.9 < twin.likeness < 1


@pytest.mark.parametrize("seed", range(5))
def test_copies_at_the_threshold_are_found_and_others_not(seed):
    words = write(seed).split()
    near, far = list(words), list(words)
    near[::20] = ["x"] * len(near[::20])  # 6 changes break 24 of 117 shingles: Jaccard about 0.66
    far[::6] = ["x"] * len(far[::6])
    splits = {"train": [row("near", " ".join(near)), row("far", " ".join(far))], "test": [row("first", " ".join(words))]}
    assert [twin.other_id for twin in find_text_twins(splits, 0.6)] == ["near"]


def test_pages_of_one_document_are_read_together_and_one_split_is_no_leak():
    text = write(3)
    half = len(text) // 2
    lines = [row("lines", text[:half], 1), row("lines", text[half:], 2)]
    assert find_text_twins({"train": lines, "test": [row("whole", text)]}, 0.6)
    assert not find_text_twins({"train": [*lines, row("whole", text)], "test": []}, 0.6)


def test_short_texts_are_not_compared():
    assert not find_text_twins({"train": [row("a", "Yours truly, Rex")], "test": [row("b", "Yours truly, Rex")]}, 0.6)


def texts_of(count: int) -> list[str]:
    """Return lines of unlike words."""
    chosen = random.Random(1)
    return [" ".join("".join(chosen.choices("abcdefghijklmnoprstuvwz", k=chosen.randint(1, 11))) for _ in range(6)) for _ in range(count)]


def test_pictures_of_the_same_page_are_alike_and_others_not(tmp_path):
    rows = [page_row(tmp_path, f"d{number}", 1, text, width=600) for number, text in enumerate(texts_of(12))]
    hashes = {row["doc_id"]: hash_image(tmp_path / row["image"]) for row in rows}
    for number, name in enumerate(sorted(hashes)[:4]):
        image = Image.open(tmp_path / f"images/{name}_p1.png")
        path = tmp_path / f"again{number}.jpg"
        image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(path, quality=50)
        found = list(find_alike({"again": hash_image(path)}, hashes))
        assert [(one, two) for one, two, _ in found] == [("again", name)] and found[0][2] <= MOST_BITS


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_images_that_tell_nothing_are_left_out(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    assert hash_image(path) is None
    with pytest.raises(FileNotFoundError):  # taken for blank, two copies would pass for two documents
        hash_image(tmp_path / "absent.png")
    Image.new("L", (300, 300), 250).save(path)
    assert hash_image(path) is None


def test_documents_with_the_same_pictures_are_found(tmp_path):
    pages = [page_row(tmp_path, f"d{number}", page, text, width=600) for number in range(2) for page, text in enumerate(texts_of(4))]
    rows = [row(page["doc_id"], "", page["page"], image=page["image"]) for page in pages]
    (twin,) = find_image_twins({"train": rows[:4], "test": rows[4:7]}, tmp_path, 0.6)
    assert (twin.doc_id, twin.other_id, twin.by, twin.likeness) == ("d1", "d0", "image", 1)


@pytest.mark.parametrize(("char", "script"), [("a", "latin"), ("ſ", "latin"), ("台", "cjk"), ("한", "hangul"), ("ك", "arabic"),
                                              ("1", "other"), ("\ud800", "other")])
def test_scripts(char, script):
    assert name_script(char) == script


def test_statistics_counted_by_hand():
    rows = [row("a", "Abc def"), row("a", "x", 2), row("b", "台北")]
    found = describe_split(rows, {"a": {"doc_id": "a", "url": "https://h.example/x", "media_type": "image/png"}})
    assert [found[name] for name in ("num_pages", "num_documents", "num_chars", "num_words", "num_distinct_chars")] == [3, 2, 10, 5, 10]
    assert found["lengths"]["shortest"] == 1 and found["lengths"]["median"] == 2 and found["lengths"]["longest"] == 7
    assert found["scripts"] == {"latin": round(7 / 9, 4), "cjk": round(2 / 9, 4)}
    assert found["sources"] == {"h.example": 1} and found["media_types"] == {"image/png": 1}


def test_drift():
    from collections import Counter

    assert divergence(Counter("aab"), Counter("aabaab")) == 0 and divergence(Counter("a"), Counter("b")) == pytest.approx(1)
    assert divergence(Counter(), Counter()) == 0 and divergence(Counter("a"), Counter()) == 1
    assert largest_gap([1, 2, 3], [1, 2, 3]) == 0 and largest_gap([1, 1], [5, 6]) == 1 and largest_gap([1, 5], [1, 1]) == 0.5
    drift = describe_drift([row("a", "abc")], [row("b", "abcßß")])
    assert drift["unseen"] == {"ß": 2} and drift["unseen_share"] == 0.4


def test_the_command_fails_on_a_leak(project):
    splits = project.folder / "data/splits"
    for name, text in (("train", write(1)), ("val", write(2)), ("test", write(1) + " and more")):
        write_rows(splits / f"{name}.jsonl", [row(name, text)])
    status, output = project.run("-m", "tools.analyze", splits, "--no-images", "--out", "found.json")
    assert status == 1 and "test (test) and train (train): 9" in output and "Traceback" not in output
    found = json.loads((project.folder / "found.json").read_text())
    assert found["near_duplicates"][0]["by"] == "text" and found["splits"]["test"]["num_words"] == 122
    write_rows(splits / "train.jsonl", [row("train", write(9))])
    status, output = project.run("-m", "tools.analyze", splits)
    assert status == 0 and "| pages | 1 | 1 | 1 |" in output
    write_rows(splits / "val.jsonl", [])
    status, output = project.run("-m", "tools.analyze", splits, "--no-images", "--out", "found.json")
    assert status == 0 and "No rows: val.jsonl; drift from train is not measured" in output
    assert json.loads((project.folder / "found.json").read_text())["drift"].keys() == {"test"}
    (splits / "train.jsonl").unlink()
    status, output = project.run("-m", "tools.analyze", splits, "--no-images")
    assert status == 0 and "No rows: train.jsonl, val.jsonl; no drift is measured" in output and "never shows" not in output
    status, output = project.run("-m", "tools.analyze", project.folder / "nowhere")
    assert status == 1 and "found neither train, val nor test; run split" in output


def test_short_documents_are_twins_by_text_and_picture_together(tmp_path):
    texts = {"same": "Anno 1683", "rescan": "ANNO 1683.", "others": "Anno 1684", "apart": "Anno 1683"}
    rows = {doc_id: page_row(tmp_path, doc_id, 1, text, width=260) for doc_id, text in texts.items()}
    with Image.open(tmp_path / rows["apart"]["image"]) as image:  # the same words in another hand
        image.transpose(Image.Transpose.ROTATE_180).save(tmp_path / rows["apart"]["image"])
    splits = {"train": [rows[name] | {"text": texts[name]} for name in ("rescan", "others", "apart")],
              "test": [rows["same"] | {"text": texts["same"]}]}
    draw = page_row(tmp_path, "rescan", 1, texts["same"], width=260)  # the label differs, the picture does not
    assert draw["image"] == rows["rescan"]["image"]
    (twin,) = find_twins(splits, tmp_path, 0.6)
    assert (twin.doc_id, twin.other_id, twin.likeness, twin.by) == ("same", "rescan", 1, "text and image")
    splits["train"] = [row | {"image": "gone.png"} for row in splits["train"]]
    with pytest.raises(FileNotFoundError):
        find_twins(splits, tmp_path, 0.6)
