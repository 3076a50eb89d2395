"""Read files of examples in any of the formats of `ocrtune.formats.example_formats`, or folders of images with a `.gt.txt` each.

What can't be used is refused with its line and reason, and the rest goes on.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ocrtune.formats.example_formats import ARRAYS, ROW_READERS, Example, tell_format
from ocrtune.pages.media_types import sniff_media_type
from ocrtune.pages.source_files import PDF, shown, walk
from ocrtune.rows import index_rows, read_rows

GROUND_TRUTH = "ground-truth"  # x.png and x.gt.txt, as Tesseract, kraken and OCRopus have it
READINGS = "readings"  # labels or predictions of ours: texts by page_id, whose images stand in pages.jsonl
TEXT_SUFFIX = ".gt.txt"
IMAGE_SUFFIXES = (".png", ".bin.png", ".nrm.png", ".tif", ".tiff", ".jpg", ".jpeg", ".webp", ".bmp")
BLANKS = re.compile(r"\s*")
HEAD = 2048  # bytes that tell a file's type

Row = tuple[str, object]  # where it stands, and the row, or the ValueError that says why it is none


@dataclass(frozen=True)
class FoundExample:
    """An example, where it stands, and its image files with the SHA-256 of each."""

    where: str
    example: Example
    files: tuple[Path, ...]
    hashes: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """Where something stands that can't be used, and why: `kind: what exactly`."""

    where: str
    reason: str


def read_lines(path: Path) -> Iterator[Row]:
    """Yield the objects of JSON Lines; blank lines are none."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{shown(path)}:{number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield where, check_object(json.loads(text.rstrip()))
            except UnicodeDecodeError as error:
                yield where, ValueError(f"not UTF-8: byte {error.start + 1} of the line")
            except json.JSONDecodeError as error:
                yield where, ValueError(f"not JSON: {error.msg} at column {error.colno}")
            except RecursionError:
                yield where, ValueError("not JSON: nested too deep")
            except ValueError as error:
                yield where, error


def check_object(row: object) -> dict:
    """Return a row that is a JSON object; any other is a ValueError."""
    if not isinstance(row, dict):
        raise ValueError("JSON array: one object a line is wanted" if isinstance(row, list) else "not a JSON object")
    return row


def read_array(path: Path) -> Iterator[Row]:
    """Yield the elements of a file that is one JSON array, each with the line on which it begins."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        yield f"{shown(path)}:{line}", ValueError(f"not UTF-8: byte {error.start + 1} of the file, of which nothing can be read")
        return
    at, line, counted, is_first = BLANKS.match(text).end() + 1, 1, 0, True
    while True:
        at = BLANKS.match(text, at).end()
        if text[at : at + 1] == "]":
            return
        if not is_first:
            at = BLANKS.match(text, at + (text[at : at + 1] == ",")).end()
        line, counted, is_first = line + text.count("\n", counted, at), at, False
        where = f"{shown(path)}:{line}"
        try:
            row, at = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield where, ValueError(f"not JSON: {error}; nothing after it can be read")
            return
        yield where, row if isinstance(row, dict) else ValueError("not a JSON object")


def is_array(path: Path) -> bool:
    """Say whether a file is one JSON array rather than JSON Lines."""
    with path.open("rb") as file:
        return file.read(HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def detect_format(path: Path) -> str:
    """Return the format of a file or folder by what stands in it; where that can't be told a ValueError."""
    if path.is_dir():
        if any(file.name.endswith(TEXT_SUFFIX) for file in walk(path, None)):
            return GROUND_TRUTH
        raise ValueError(f"{shown(path)}: neither rows (.jsonl, .json) nor {TEXT_SUFFIX} files in this folder")
    rows = read_array(path) if is_array(path) else read_lines(path)
    first = next((row for _, row in rows if isinstance(row, dict)), {})
    name = tell_format(first) or (READINGS if {"page_id", "text"} <= first.keys() else None)
    if name is None:
        raise ValueError(f"{shown(path)}: no format that we know; its first row has {', '.join(first) or 'no keys'}. Say which with --from")
    return name


def resolve(text: str, folders: Iterable[Path]) -> Path:
    """Return the file of an image path, absolute or seen from one of the folders; one that is not there is a ValueError."""
    if re.match(r"[a-z][a-z0-9+.-]+:", text, re.IGNORECASE) and not Path(text).is_file():
        raise ValueError(f"image not a file: {text[:60]}")
    for folder in folders:
        if (folder / text).is_file():
            return folder / text
    raise ValueError(f"missing image: {text}")


def hash_image(file: Path) -> str:
    """Return the SHA-256 of an image file; one that is no image by its first bytes is a ValueError."""
    with file.open("rb") as opened:
        media_type = sniff_media_type(opened.read(HEAD))
        if media_type in (None, PDF):
            raise ValueError(f"not an image: {shown(file)}")
        opened.seek(0)
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_ground_truth(folder: Path) -> Iterator[tuple[str, Example | ValueError]]:
    """Yield the examples of a folder of images with their texts beside them; the end of a text's last line is no part of it."""
    for file in walk(folder, None):
        if not file.name.endswith(TEXT_SUFFIX):
            continue
        stem = file.name.removesuffix(TEXT_SUFFIX)
        images = [image for suffix in IMAGE_SUFFIXES if (image := file.with_name(stem + suffix)).is_file()]
        try:
            text = file.read_bytes().decode("utf-8-sig").rstrip("\r\n")
            absent = ValueError(f"missing image: {stem}.png or the like")
            yield shown(file), Example((str(images[0].resolve()),), text) if images else absent
        except UnicodeDecodeError as error:
            yield shown(file), ValueError(f"not UTF-8: byte {error.start + 1}")


def read_examples(path: Path, name: str, pages: Path) -> Iterator[tuple[str, Example | ValueError]]:
    """Yield the examples of a file or folder in format `name`; `pages` has the images of readings."""
    if name == GROUND_TRUTH:
        yield from read_ground_truth(path)
        return
    if is_array(path) != (name in ARRAYS):
        wanted = "one JSON array" if name in ARRAYS else "one object a line, not a JSON array"
        raise ValueError(f"{shown(path)}: format {name} is {wanted}")
    read_row = ROW_READERS.get(name) or reading_reader(pages)
    for where, row in read_array(path) if name in ARRAYS else read_lines(path):
        try:
            yield where, row if isinstance(row, ValueError) else read_row(row)
        except ValueError as error:
            yield where, error


def reading_reader(pages: Path):
    """Return what makes an example of a row of labels or predictions, with the image of its page."""
    images = {page_id: row["image"] for page_id, row in index_rows(read_rows(pages / "pages.jsonl", ("page_id", "image"))).items()}

    def read_reading(row: dict) -> Example:
        if row.get("page_id") not in images:
            raise ValueError(f"missing page: {row.get('page_id')!r} is none of {pages}")
        return Example((str((pages / images[row["page_id"]]).resolve()),), row["text"])

    return read_reading


def find_examples(
    path: Path, name: str, pages: Path, folder: Path | None, seen: dict, by_question: bool = False
) -> tuple[list[FoundExample], list[Refused]]:
    """Return the examples whose images are there, each image once, or once a question, and what was refused.

    Paths are seen from the file's own folder, from `folder`, and from the current one. `seen` grows by the images and is
    handed from one file to the next: no image may stand in two, whatever is asked.
    """
    found, refused, here = [], [], set()
    folders = [path if path.is_dir() else path.parent, *([folder] if folder else []), Path()]
    for where, example in read_examples(path, name, pages):
        try:
            if isinstance(example, ValueError):
                raise example
            files = tuple(resolve(image, folders) for image in example.images)
            hashes = tuple(hash_image(file) for file in files)
            question = (example.system, example.prompt) if by_question else None
            known = seen.setdefault(hashes, {})
            if question in known or (known and hashes not in here):
                first, text = known.get(question) or next(iter(known.values()))
                raise ValueError(f"same image: as {first}" + ("" if text == example.text else ", which has another text"))
            known[question] = (where, example.text)
            here.add(hashes)
            found.append(FoundExample(where, example, files, hashes))
        except (ValueError, OSError) as error:
            refused.append(Refused(where, str(error)))
    return found, refused
