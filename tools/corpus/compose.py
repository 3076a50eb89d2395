"""Turn the plain-text stories under `tools/corpus/text/` into documents made of lines.

A content file is a folder of the site; `# slug` starts a document. Within one, the first sign of a
line of the file says what it is:

    = words      the title, centred and larger        > words   set flush right, never wrapped
    - q|u|w|p    an item of an account                $ words   the account's sum, with {total}
    + w | p      a numbered entry of a catalogue      @ key: t  the wording for items or entries

Everything else is a paragraph, wrapped to the document's measure. The words are fixed; only measure,
type size and wear are drawn from a generator seeded with the document's name.
"""

import hashlib
import itertools
import random
import re
import textwrap
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from tools.corpus.accounts import Account

TEXT_FOLDER = Path(__file__).parent / "text"
MIN_LINE_CHARS, MAX_LINE_CHARS = 20, 62
# Shorter lines ("Present:") may repeat by chance; longer ones would let a model recite the test split.
MIN_UNIQUE_CHARS = 15


@dataclass(frozen=True)
class Line:
    """One line of print; `style` is "title", "right" or "body"."""

    text: str
    style: str
    opens_paragraph: bool


@dataclass(frozen=True)
class Document:
    """A composed document; `name` is its path in the site without suffix, pages hold lines in reading order."""

    name: str
    pages: tuple[tuple[Line, ...], ...]

    def texts(self) -> list[str]:
        return [line.text for page in self.pages for line in page]


def seed_of(name: str) -> int:
    """Return a seed that hangs on the name alone, so that a new document changes no old one."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def wrap(text: str, max_chars: int) -> list[str]:
    """Break a paragraph into lines, narrowing the measure until no line is a stub.

    A last line of one word would make a text line too short to learn from. Amounts stay whole.
    """
    text = re.sub(r"(£\d+|\b\d+s\.) (?=\d+[sd]\.)", "\\1\N{NO-BREAK SPACE}", text)
    attempts = []
    for width in range(max_chars, MIN_LINE_CHARS + 5, -1):
        lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
        shortest = min(map(len, lines))
        attempts.append((min(shortest, MIN_LINE_CHARS), width, lines))
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in max(attempts)[2]]


def compose(name: str, source: list[str]) -> Document:
    """Set one document's source lines; errors name the document and the line."""
    chance = random.Random(seed_of(name))
    measure = chance.randint(42, 57)
    max_lines = chance.randint(23, 29)
    wording: dict[str, str] = {}
    account, entries, lines = Account(), 0, []
    for row in source:
        sign, _, rest = row.partition(" ")
        style = {"=": "title", ">": "right"}.get(sign, "body")
        if sign == "@":
            key, _, wording[key] = rest.partition(": ")
            continue
        if sign == "-":
            texts = wrap(account.add(rest, wording["item"]), MAX_LINE_CHARS - 2)
        elif sign == "+":
            entries += 1
            texts = wrap(entry_text(rest, wording["lot"], entries), measure)
        elif sign == "$":
            texts = wrap(rest.format(total=account.total()), measure)
        elif sign in ("=", ">"):
            texts = wrap(rest, measure if sign == "=" else MAX_LINE_CHARS)
        else:
            texts = wrap(row, measure)
        opens = sign not in ("-", ">")
        lines += [Line(text, style, opens and i == 0) for i, text in enumerate(texts)]
    return Document(name, tuple(deal_pages(lines, max_lines)))


def entry_text(row: str, wording: str, number: int) -> str:
    """Word a catalogue entry `what | price`; a blank price leaves no gap."""
    what, _, price = (part.strip() for part in row.rpartition("|"))
    return " ".join(wording.format(n=number, what=what, price=price and price.rstrip(".") + ".").split())


def deal_pages(lines: list[Line], max_lines: int) -> list[tuple[Line, ...]]:
    """Spread lines evenly over as few pages as hold them, so that no page has a lonely line."""
    num_pages = -(-len(lines) // max_lines)
    bounds = [round(i * len(lines) / num_pages) for i in range(num_pages + 1)]
    return [tuple(lines[a:b]) for a, b in itertools.pairwise(bounds)]


def read_documents(folder: Path = TEXT_FOLDER) -> list[Document]:
    """Compose every document of every content file, in the order of file name and place."""
    documents = []
    for path in sorted(folder.glob("*.txt")):
        for block in path.read_text(encoding="utf-8").split("# ")[1:]:
            slug, *source = [row for row in block.splitlines() if row]
            documents.append(compose(f"{path.stem}/{slug}", source))
    check_lines(documents)
    return documents


def check_lines(documents: list[Document]) -> None:
    """Raise ValueError naming every line that is too long or stands in two documents."""
    seen = defaultdict(set)
    faults = []
    for document in documents:
        for text in document.texts():
            seen[text].add(document.name)
            if len(text) > MAX_LINE_CHARS:
                faults.append(f"{document.name}: {len(text)} characters, more than {MAX_LINE_CHARS}: {text!r}")
    faults += [
        f"{' and '.join(sorted(names))}: share the line {text!r}; reword one of them"
        for text, names in seen.items()
        if len(names) > 1 and len(text) >= MIN_UNIQUE_CHARS
    ]
    if faults:
        raise ValueError("the corpus has faulty lines:\n" + "\n".join(faults))
