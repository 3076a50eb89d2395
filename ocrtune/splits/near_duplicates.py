"""Find documents of different splits that say nearly the same, or show nearly the same picture: leaks.

Texts: sets of runs of words (shingles) and their Jaccard similarity; candidates come from MinHash in bands, and each is
checked exactly. Sources: A. Z. Broder, "On the resemblance and containment of documents", 1997; bands: J. Leskovec,
A. Rajaraman and J. Ullman, "Mining of Massive Datasets", chapter 3. Pictures: see `ocrtune.splits.image_hashes`.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ocrtune.splits.image_hashes import find_alike, hash_image
from ocrtune.texts.normalizers import find_normalizer
from ocrtune.texts.words import find_words

SHINGLE_WORDS = 4
# Shorter documents share phrases without being copies; they are counted, not compared.
MIN_SHINGLES = 12
BANDS, ROWS = 42, 3  # finds 99.99 % of pairs with a similarity of 0.6, 84 % with 0.35
SEED = 0
ORDER = ("test", "val", "train")  # of two alike the first keeps its place


class Twin(NamedTuple):
    """Two documents that are nearly alike: the one that keeps its place, the other, how alike from 0 to 1, and in what."""

    doc_id: str
    split: str
    other_id: str
    other_split: str
    likeness: float
    by: str


def hash_word(word: str, known: dict[str, int]) -> int:
    """Return 64 bits of a word, the same on any machine."""
    if word not in known:
        known[word] = int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())
    return known[word]


def list_shingles(words: list[str], known: dict[str, int]) -> np.ndarray:
    """Return the hashes of all runs of `SHINGLE_WORDS` words, each once, sorted; `known` remembers hashes of words."""
    if len(words) < SHINGLE_WORDS:
        return np.empty(0, dtype=np.uint64)
    codes = np.array([hash_word(word, known) for word in words], dtype=np.uint64)
    count = len(codes) - SHINGLE_WORDS + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for shift in range(SHINGLE_WORDS):
        mixed = (mixed ^ codes[shift:shift + count]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


def sign(shingles: np.ndarray) -> np.ndarray:
    """Return the MinHash signature of a set of shingles: `BANDS` x `ROWS` minima under so many orders."""
    factors = np.random.default_rng(SEED).integers(0, 2**63, size=(2, BANDS * ROWS), dtype=np.uint64)
    signature = np.full(BANDS * ROWS, np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, len(shingles), 4096):
        mixed = shingles[start:start + 4096, None] * (factors[0] | np.uint64(1)) + factors[1]
        signature = np.minimum(signature, (mixed ^ (mixed >> np.uint64(31))).min(axis=0))
    return signature


def jaccard(one: np.ndarray, two: np.ndarray) -> float:
    """Return the share of shingles that both have among those that either has."""
    both = len(np.intersect1d(one, two, assume_unique=True))
    return both / (len(one) + len(two) - both) if both else 0.0


def join_documents(rows: Iterable[dict]) -> dict[str, str]:
    """Return the text of each document, its pages or lines in the order of their ids."""
    texts: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row["page_id"]):
        texts.setdefault(row["doc_id"], []).append(row["text"])
    return {doc_id: "\n".join(parts) for doc_id, parts in texts.items()}


def shingle_documents(splits: dict[str, list[dict]]) -> tuple[dict, dict]:
    """Return the shingles of each document by (doc_id, split), and the texts of those too short for it, without case and punctuation."""
    normalize, known = find_normalizer("alnum").normalize, {}
    shingles, short = {}, {}
    for name, rows in splits.items():
        for doc_id, text in join_documents(rows).items():
            text = normalize(text)
            found = list_shingles(find_words(text), known)
            if len(found) >= MIN_SHINGLES:
                shingles[doc_id, name] = found
            else:
                short[doc_id, name] = text
    return shingles, short


def pair_texts(shingles: dict[tuple[str, str], np.ndarray], least: float) -> list[Twin]:
    """Return pairs of shingled documents of different splits that are at least so alike, most alike first."""
    twins = []
    for one, two in pair_by_bands({key: sign(found) for key, found in shingles.items()}):
        likeness = jaccard(shingles[one], shingles[two])
        if likeness >= least:
            twins.append(make_twin(one, two, likeness, "text"))
    return sort_twins(twins)


def sort_twins(twins: list[Twin]) -> list[Twin]:
    """Return the most alike first."""
    return sorted(twins, key=lambda twin: (-twin.likeness, twin.doc_id, twin.other_id))


def find_text_twins(splits: dict[str, list[dict]], least: float) -> list[Twin]:
    """Return pairs of documents of different splits whose texts are at least so alike, most alike first.

    Case, punctuation and markup make no difference. Documents of fewer than `MIN_SHINGLES` runs of words are left out.
    """
    return pair_texts(shingle_documents(splits)[0], least)


def find_twins(splits: dict[str, list[dict]], folder: Path, least: float) -> list[Twin]:
    """Return pairs of documents of different splits that say nearly the same, most alike first.

    Of short ones, single lines mostly, the same words prove nothing: they are twins where their texts are the same and
    this share of their pictures is alike as well. No other picture is opened.
    """
    shingles, short = shingle_documents(splits)
    where: dict[str, set[str]] = {}
    for (_, name), text in short.items():
        where.setdefault(text, set()).add(name)
    suspects = {name: [row for row in rows if len(where.get(short.get((row["doc_id"], name)), ())) > 1] for name, rows in splits.items()}
    alike = [twin._replace(by="text and image") for twin in find_image_twins(suspects, folder, least)
             if short[twin.doc_id, twin.split] == short[twin.other_id, twin.other_split]]
    return sort_twins(pair_texts(shingles, least) + alike)


def find_image_twins(splits: dict[str, list[dict]], folder: Path, least: float) -> list[Twin]:
    """Return pairs of documents of different splits of which at least this share of the smaller one's images is alike.

    Image paths are as seen from `folder`. Images that can't be read, and nearly blank ones, count for nothing.
    """
    hashes: dict[str, dict[str, tuple[str, int]]] = {}
    documents, sizes = {}, {}
    for name, rows in splits.items():
        hashes[name] = {}
        for row in rows:
            documents[row["page_id"]] = key = row["doc_id"], name
            sizes[key] = sizes.get(key, 0) + 1
            found = hash_image(folder / row["image"])
            if found:
                hashes[name][row["page_id"]] = found
    alike: dict[tuple, tuple[set, set]] = {}
    for one, two in itertools.combinations(splits, 2):
        for page, other, _ in find_alike(hashes[one], hashes[two]):
            pages, others = alike.setdefault((documents[page], documents[other]), (set(), set()))
            pages.add(page)
            others.add(other)
    twins = []
    for (one, two), pages in alike.items():
        share = min(map(len, pages)) / min(sizes[one], sizes[two])
        if share >= least and one[0] != two[0]:
            twins.append(make_twin(one, two, share, "image"))
    return sort_twins(twins)


def make_twin(one: tuple[str, str], two: tuple[str, str], likeness: float, by: str) -> Twin:
    """Return a pair of (doc_id, split), the one first that keeps its place."""
    first, second = sorted((one, two), key=lambda key: (ORDER.index(key[1]) if key[1] in ORDER else len(ORDER), key))
    return Twin(*first, *second, round(likeness, 4), by)


def pair_by_bands(signatures: dict[tuple[str, str], np.ndarray]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Yield pairs of different splits that are equal in a band, each pair once."""
    buckets: dict[tuple[int, bytes], list[tuple[str, str]]] = {}
    for key, signature in signatures.items():
        for band in range(BANDS):
            buckets.setdefault((band, signature[band * ROWS:(band + 1) * ROWS].tobytes()), []).append(key)
    seen = set()
    for keys in buckets.values():
        for place, one in enumerate(keys):
            for two in keys[place + 1:]:
                if one[1] != two[1] and one[0] != two[0] and (one, two) not in seen:
                    seen.add((one, two))
                    yield one, two
