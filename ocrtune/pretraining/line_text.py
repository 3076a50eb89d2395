"""Write random lines of text to render: words of many languages, names, numbers, prices, dates, noise.

Words come from the spelling dictionaries of the operating system (`hunspell-*` packages), so that
every language brings the diacritics it really uses; a share of lines is random characters, so that
the model learns to read and not to guess.
"""

import random
import re
from collections.abc import Iterable
from pathlib import Path

DICTIONARIES = Path("/usr/share/hunspell")
# Debian package: licence of its words, as Debian 12 states it.
PACKAGES = {
    "hunspell-en-us": "SCOWL's own (as is, with notice)",
    "hunspell-de-de": "GPL-2+",
    "hunspell-fr-classical": "MPL-2.0",
    "hunspell-vi": "GPL-2",
    "hunspell-es": "GPL-3+, LGPL-3+ or MPL-1.1+",
    "hunspell-it": "GPL-3",
    "hunspell-pt-pt": "GPL-2, LGPL-2.1 or MPL-1.1",
    "hunspell-pl": "GPL, LGPL, MPL, Apache-2.0 or CC-SA-1.0",
    "hunspell-cs": "GPL-2",
    "hunspell-ro": "GPL-2, LGPL-2.1 or MPL-1.1",
    "hunspell-hu": "GPL-3+, LGPL-3+ or MPL-2.0+",
    "hunspell-sv": "LGPL-3",
    "hunspell-da": "LGPL-2.1, GPL-2 or MPL-1.1",
    "hunspell-hr": "LGPL or SISSL",
    "hunspell-nl": "BSD-2-Clause or CC-BY-3.0",
    "hunspell-lv": "LGPL-2.1+",
    "hunspell-tr": "MPL-2.0",
    "hunspell-is": "CC-BY-SA-3.0",
    "hunspell-lt": "BSD-3-Clause",
}
# Language: (dictionary, weight). Vietnamese weighs more, for it has the most marks to tell apart.
LANGUAGES = {
    "en": ("en_US", 26), "de": ("de_DE", 9), "fr": ("fr", 9), "vi": ("vi_VN", 15), "es": ("es_ES", 6), "it": ("it_IT", 4),
    "pt": ("pt_PT", 4), "pl": ("pl_PL", 4), "cs": ("cs_CZ", 4), "ro": ("ro_RO", 3), "hu": ("hu_HU", 3),
    "sv": ("sv_SE", 3), "da": ("da_DK", 2), "hr": ("hr_HR", 2), "nl": ("nl", 2), "lv": ("lv_LV", 2),
    "tr": ("tr_TR", 2), "is": ("is_IS", 2), "lt": ("lt_LT", 2),
}

ASCII = [chr(code) for code in range(33, 127)]
LATIN = ([chr(code) for code in range(0xA1, 0x180) if code not in (0xAD, 0x149, 0x13F, 0x140)]
         + list("ȘșȚțƠơƯưẞ") + [chr(code) for code in range(0x1EA0, 0x1EFA)])
MARKS = list("‘’‚“”„†‡•…‰‹›⁄€™−–—№⸗")
CHARACTERS = [" ", *ASCII, *LATIN, *MARKS]
ENDINGS = ["", "", "", "", "", ",", ",", ".", ".", ";", ":", "!", "?", "-", "'s"]
QUOTES = ['""', "''", "“”", "‘’", "„“", "«»", "()", "()", "[]"]


def load_words(language: str) -> list[str]:
    """Return the words of a language's dictionary, 1 to 14 letters, without flags."""
    name = LANGUAGES[language][0]
    affix = (DICTIONARIES / f"{name}.aff").read_bytes()
    encoding = re.search(rb"^SET\s+(\S+)", affix, re.MULTILINE)
    codec = encoding[1].decode().replace("ISO8859", "iso8859") if encoding else "latin-1"
    lines = (DICTIONARIES / f"{name}.dic").read_text(encoding=codec, errors="ignore").splitlines()[1:]
    return fit_words(line.split("/")[0].split("\t")[0] for line in lines)


def fit_words(words: Iterable[str]) -> list[str]:
    """Return the words that can stand in a line: letters of `CHARACTERS`, hyphens inside, at most 14."""
    known = set(CHARACTERS)
    stripped = (word.strip() for word in words)
    return [word for word in stripped if 0 < len(word) <= 14 and word.replace("-", "").isalpha() and set(word) <= known]


def random_number(rng: random.Random) -> str:
    """Return a number as documents write them: plain, price, share, date, time or reference."""
    kind = rng.random()
    if kind < 0.35:
        return str(rng.randrange(10 ** rng.randint(1, 6)))
    if kind < 0.6:
        amount = f"{rng.random() * 10 ** rng.randint(1, 5):,.2f}"
        return rng.choice(["$", "£", "€", "", "", "No. "]) + amount + rng.choice(["", "", "%", " €", " kg"])
    if kind < 0.8:
        mark = rng.choice("/-. ")
        return f"{rng.randint(1, 31)}{mark}{rng.randint(1, 12):02d}{mark}{rng.randint(1700, 2040)}"
    if kind < 0.9:
        return f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}"
    return "".join(rng.choice("ABCDEFGHKLMNPRSTUVXYZ0123456789-/") for _ in range(rng.randint(3, 9)))


class LineWriter:
    """Writes random lines in the languages it was given words of."""

    def __init__(self, words: dict[str, list[str]], weights: dict[str, int]):
        self.words, self.weights = words, weights

    @classmethod
    def from_dictionaries(cls) -> "LineWriter":
        """Return a writer of all installed languages; without any, an error that names the packages."""
        found = {name: weight for name, (file, weight) in LANGUAGES.items() if (DICTIONARIES / f"{file}.dic").is_file()}
        if not found:
            raise FileNotFoundError(f"{DICTIONARIES}: no dictionaries; apt install {' '.join(PACKAGES)}, or give words of your own")
        return cls({name: load_words(name) for name in found}, found)

    def word(self, rng: random.Random, language: str) -> str:
        """Return a word with the capitals, ending and quotes that running text has."""
        words = self.words[language]
        word = words[rng.randrange(len(words))]
        case = rng.random()
        if case < 0.10:
            word = word.upper()
        elif case < 0.30:
            word = word[:1].upper() + word[1:]
        elif case < 0.60:
            word = word.lower()
        word += rng.choice(ENDINGS)
        if rng.random() < 0.05:
            left, right = rng.choice(QUOTES)
            word = f"{left}{word}{right}"
        return word

    def draw_language(self, rng: random.Random) -> str:
        """Return a language, the heavier ones oftener."""
        return rng.choices(list(self.weights), list(self.weights.values()))[0]

    def prose(self, rng: random.Random, characters: frozenset[str], length: int, language: str | None = None) -> str:
        """Return about `length` characters of words, numbers and marks in one language (None: any), all in `characters`."""
        language = language or self.draw_language(rng)
        pieces, size = [], 0
        while size < length:
            draw = rng.random()
            piece = self.word(rng, language) if draw < 0.88 else random_number(rng) if draw < 0.97 else rng.choice([*MARKS, "&", "+", "="])
            pieces.append(piece)
            size += len(piece) + 1
        text = " ".join(pieces)
        if rng.random() < 0.06:
            text = re.sub(r"s(?=\w)", "ſ", text)
        text = "".join(character for character in text if character in characters)[:length]
        return " ".join(text.split()) or rng.choice("AaEeNn0123456789")

    def line(self, rng: random.Random, characters: frozenset[str], min_chars: int, max_chars: int) -> str:
        """Return a line of at most `max_chars` characters, all of them in `characters` (what a typeface can draw)."""
        length = rng.randint(min_chars, max_chars)
        kind = rng.random()
        if kind < 0.20:
            alphabet = CHARACTERS[1:] if kind < 0.12 else ASCII
            return random_characters(rng, [character for character in alphabet if character in characters], length)
        return self.prose(rng, characters, length)


def random_characters(rng: random.Random, alphabet: list[str], length: int) -> str:
    """Return characters without sense, which can be read but not guessed."""
    text = "".join(rng.choice(alphabet) if rng.random() < 0.85 else " " for _ in range(length))
    return " ".join(text.split()) or rng.choice(alphabet)
