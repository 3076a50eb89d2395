"""Turn a model's raw answer into the document's text: named, versioned, and applied after the store, which keeps answers raw.

DeepSeek-OCR marks what it reads: `<|ref|>label<|/ref|><|det|>[[x, y, x, y]]<|/det|>` stands before each block, x and y from
0 to 999. Where a server drops special tokens, `label[[x, y, x, y]]` is left, alone on its line. A text without any of these
comes back unchanged, byte for byte.
"""

import re
from collections.abc import Callable

TAG = re.compile(r"<\|/?[\w-]{1,40}\|>|<｜[\w▁]{1,40}｜>")  # no blanks inside: F# writes `f <| x |> g`
BOX = r"\[\s*\d{1,3}(?:\s*,\s*\d{1,3}){3}\s*\]"
BOXES = rf"\[\s*{BOX}(?:\s*,\s*{BOX})*\s*\]"
REF = re.compile(r"<\|ref\|>(?:(?!<\|/?(?:ref|det)\|>).)*<\|/ref\|>", re.DOTALL)
OUTER_REF = re.compile(r"<\|ref\|>(?:(?!<\|/?(?:ref|det)\|>).)*<\|/ref\|>")  # on one line: around a nested one it may be text
DET = re.compile(rf"<\|det\|>(?:[\s\d\[\],.]*<\|/det\|>|\s*{BOXES}|\s*\[[\s\d\[\],]*\Z)")  # closed; not closed; cut off
BARE = re.compile(rf"^[ \t]*(?:[a-z]+(?:_[a-z]+)*)?{BOXES}[ \t]*$", re.MULTILINE)
DEEPEST = 8  # refs in one another; a model that loops may open thousands
MARK = "\udfff"  # where something was taken out: a lone surrogate, which no text holds
WHITE = " \t\r\n"


def keep(text: str) -> str:
    """Return the text as it is."""
    return text


def strip_tags(text: str) -> str:
    """Return the text without tags; what stands between two tags stays."""
    return TAG.sub("", text)


def strip_layout(text: str) -> str:
    """Return the text without labels, coordinates and tags, and without the blank lines that these leave behind.

    What can't be told from the document's own text stays: after an unclosed `<|ref|>` the tag alone goes.

    >>> strip_layout("<|ref|>sub_title<|/ref|><|det|>[[47, 315, 152, 333]]<|/det|>\\n## Cover Letter")
    '## Cover Letter'
    """
    marked = REF.sub(MARK, text)
    for _ in range(DEEPEST):
        before, marked = marked, OUTER_REF.sub(MARK, marked)
        if marked == before:
            break
    for pattern in (DET, BARE, TAG):
        marked = pattern.sub(MARK, marked)
    return close_gaps(marked.split(MARK))


def close_gaps(parts: list[str]) -> str:
    """Return the parts of a text between which something was taken out, joined as if it had never been there."""
    chunks, white = [parts[0]], []
    for part in parts[1:]:
        body = part.lstrip(WHITE)
        white.append(part[: len(part) - len(body)])
        if body:
            before = chunks[-1]
            chunks[-1] = before.rstrip(WHITE)
            white.insert(0, before[len(chunks[-1]) :])
            chunks += [bridge(white) if any(chunks) else indent(white[-1]), body]
            white = []
    if white:  # the text ends in what was taken out
        chunks[-1] = chunks[-1].rstrip(WHITE)
    return "".join(chunks)


def bridge(white: list[str]) -> str:
    """Return what parts two texts: the most line breaks of the gaps between them; all blanks where they stand on one line."""
    breaks = max(gap.count("\n") for gap in white)
    return "\n" * breaks + indent(white[-1]) if breaks else "".join(white)


def indent(gap: str) -> str:
    """Return the blanks before a line's first word."""
    return gap.rpartition("\n")[2] if "\n" in gap else ""


PROCESSORS: dict[str, tuple[int, Callable[[str], str]]] = {
    "default": (1, keep),
    "deepseek-ocr": (1, strip_tags),
    "deepseek-document": (2, strip_layout),
}
VERSIONS = {name: version for name, (version, _) in PROCESSORS.items()}  # raise one when its rules change


def postprocess(name: str, text: str) -> str:
    """Return the text of a raw answer after the post-processing of that name; an unknown one is a `ValueError`."""
    if name not in PROCESSORS:
        raise ValueError(f"postprocess {name!r}: unknown; there are: {', '.join(PROCESSORS)}")
    return PROCESSORS[name][1](text)
