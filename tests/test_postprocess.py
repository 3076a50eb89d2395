"""Raw answers become text: what a model marks goes, what the document says stays."""

import time

import pytest

from ocrtune.readers.postprocess import VERSIONS, postprocess

BOX = "<|det|>[[47, 315, 152, 333]]<|/det|>"
TITLE = f"<|ref|>sub_title<|/ref|>{BOX}"
PAGE = f"""<|ref|>title<|/ref|>{BOX}
# A Page

<|ref|>image<|/ref|>{BOX}

{TITLE}
## Cover Letter

<|ref|>table<|/ref|><|det|>[[1, 2, 3, 4], [5, 6, 7, 8]]<|/det|>
<table><tr><td>[1]</td></tr></table>
"""


def test_the_names_and_versions():
    assert VERSIONS == {"default": 1, "deepseek-ocr": 1, "deepseek-document": 2}
    with pytest.raises(ValueError, match="'deepseek': unknown; there are: default, deepseek-ocr, deepseek-document"):
        postprocess("deepseek", "")


def test_default_changes_nothing():
    assert postprocess("default", f" {PAGE}\r\n ") == f" {PAGE}\r\n "


@pytest.mark.parametrize(("raw", "text"), [
    ("<|ref|>Total<|/ref|> 5", "Total 5"),
    ("<|grounding|>A\nB<|/x-1|>", "A\nB"),
    ("A<｜end▁of▁sentence｜>", "A"),
    ("f <| x |> g, a<|b, <||>, <| |>, <b>, |>", "f <| x |> g, a<|b, <||>, <| |>, <b>, |>"),
    (f"{BOX} A", "[[47, 315, 152, 333]] A"),
])
def test_deepseek_ocr_strips_tags_alone(raw, text):
    assert postprocess("deepseek-ocr", raw) == text


def test_deepseek_document_as_its_makers_describe_it():
    assert postprocess("deepseek-document", f"{TITLE}\n## Cover Letter") == "## Cover Letter"
    assert postprocess("deepseek-document", PAGE) == "# A Page\n\n## Cover Letter\n\n<table><tr><td>[1]</td></tr></table>\n"


@pytest.mark.parametrize(("raw", "text"), [
    # where it stands
    (f"{TITLE}## A", "## A"), (f"A\n{TITLE}\nB", "A\nB"), (f"A\n\n{TITLE}\nB", "A\n\nB"), (f"A\n\n{TITLE}\n\nB", "A\n\nB"),
    (f"A\n\n\n{TITLE}\nB", "A\n\n\nB"), (f"A {TITLE} B", "A  B"), (f"A{TITLE}B", "AB"), (f"A\n{TITLE}B", "A\nB"),
    (f"A{TITLE}\nB", "A\nB"), (f"A\n{TITLE}", "A"), (f"A\n{TITLE}\n\n", "A"), (f"\n{TITLE}\nA\n", "A\n"), (TITLE, ""),
    (f"{TITLE}\n    code\n  {TITLE}\n    more", "    code\n    more"), (f"{TITLE}\r\nA\r\nB", "A\r\nB"),
    # several, one after another
    (f"{TITLE}{TITLE}\nA", "A"), (f"A\n\n{TITLE}\n\n{TITLE}\n\n\n{TITLE}\nB", "A\n\n\nB"), (f"A{TITLE}\n{TITLE}B", "A\nB"),
    # over several lines
    (f"<|ref|>\nsub\ntitle\n<|/ref|>\n{BOX}\nA", "A"), ("<|det|>[[1,\n2, 3,\n4]]<|/det|>\nA", "A"),
    ("<|det|>[[1, 2, 3, 4],\n [5, 6, 7, 8]]<|/det|>\nA", "A"), ("<|det|>[]<|/det|>A", "A"), ("<|det|>[[0.5, 1, 2, 3]]<|/det|>A", "A"),
    # in one another
    (f"<|ref|>a<|ref|>b<|/ref|>c<|/ref|>{BOX}\nA", "A"),
    ("<|ref|>text\nA\n<|ref|>title<|/ref|>\nB\n<|/ref|>", "text\nA\nB"),  # the outer one may hold the document
    # not closed
    (f"<|ref|>A\n\nB\n{TITLE}\nC", "A\n\nB\nC"), ("A\n<|ref|>B", "A\nB"), ("A <|/ref|>B", "A B"),
    ("<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]]\n2024 was good", "2024 was good"),
    ("<|ref|>text<|/ref|><|det|>[[1, 2, 3, 4]\n2024 was good", "[[1, 2, 3, 4]\n2024 was good"),
    ("A\n<|ref|>text<|/ref|><|det|>[[1, 2, 3", "A"), ("A\n<|ref|>text<|/ref|><|det|>", "A"),
    ("<|det|>A<|/det|>B", "AB"), ("<|det|>[[1, 2]] and A<|/det|>", "[[1, 2]] and A"),
    # without the tags, as servers give it that drop special tokens
    ("sub_title[[47, 315, 152, 333]]\n## A\n\ntext[[1, 2, 3, 4], [5, 6, 7, 8]]\nB", "## A\n\nB"), ("[[47, 315, 152, 333]]\nA", "A"),
    # the document's own
    ("[[1990, 1991, 1992, 1993]]\nA", "[[1990, 1991, 1992, 1993]]\nA"),
    ("see [[1, 2, 3, 4]] there", "see [[1, 2, 3, 4]] there"), ("[[1]]\n[[1, 2]]\n[1, 2, 3, 4]", "[[1]]\n[[1, 2]]\n[1, 2, 3, 4]"),
    ("A[[1, 2, 3, 4]]\nx = [[1, 2, 3, 4]]", "A[[1, 2, 3, 4]]\nx = [[1, 2, 3, 4]]"), ("f <| x |> g", "f <| x |> g"),
    ("  A\n\n\n\nB  \n\n", "  A\n\n\n\nB  \n\n"), ("", ""),
])  # fmt: skip
def test_deepseek_document(raw, text):
    assert postprocess("deepseek-document", raw) == text
    assert postprocess("deepseek-document", text) == text


@pytest.mark.parametrize("piece", [
    "<|ref|>", "<|ref|>a<|/ref|>", "<|det|>", "<|det|>[[1, 2, ", "\n", " ", "a_", "a", "[[", "[[1,2,3,4],", "<|",
])  # fmt: skip
@pytest.mark.parametrize("name", VERSIONS)
def test_a_model_that_loops_costs_no_hour(name, piece):
    short, long = (min(timed(name, piece * many) for _ in range(3)) for many in (20_000, 200_000))
    assert long < 50 * max(short, 0.02)  # ten times the text; were the cost a square, a hundred times and more


def timed(name: str, raw: str) -> float:
    """Return the seconds of the processor that post-processing takes."""
    start = time.process_time()
    postprocess(name, raw)
    return time.process_time() - start
