"""Find the documents among files and folders that a user names: PDFs, images, and images that are pages of one document."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ocrtune.pages.media_types import SUFFIXES, sniff_media_type

PDF = "application/pdf"
PAGE_NAME = re.compile(r"(?P<name>.+)_p(?P<page>0*[1-9]\d{0,5})(?:_[lb](?P<part>\d{1,6}))?")  # as pdf2img names images
HEAD = 2048  # bytes that tell a file's type
LONGEST = 200  # bytes of a name: file systems take 255, and images bear it with page and line
OUR_SUFFIXES = {*SUFFIXES.values(), ".jpeg", ".tiff", ".jp2k", ".j2k"}


@dataclass(frozen=True)
class Source:
    """A file of a document; `page` is the page that an image shows, None where pages have to be counted in the file.

    `part` is the line or block of that page, where the image shows no more.
    """

    file: Path
    media_type: str
    page: int | None = None
    part: int | None = None


@dataclass(frozen=True)
class Document:
    """What is read as one text; `name` may hold folders and is the stem of what is written."""

    name: str
    sources: tuple[Source, ...]

    def file_of(self, page: int) -> Path:
        """Return the file that holds a page."""
        return next((source.file for source in self.sources if source.page == page), self.sources[0].file)


def shown(path: Path) -> str:
    """Return a path as it may be printed: bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(path).decode("utf-8", errors="replace")


def read_type(path: Path) -> str | None:
    """Return the media type of a file by its content; one that can't be read, or is empty, is a ValueError."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror}") from None
    if not head:
        raise ValueError("empty file")
    return sniff_media_type(head)


def walk(folder: Path, left_out: Path | None) -> Iterator[Path]:
    """Yield the files below a folder in order, none that is hidden or below `left_out`."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and (Path(place) / name).resolve() != left_out)
        yield from (Path(place) / name for name in sorted(files) if not name.startswith("."))


def find_sources(path: Path, allowed: str, left_out: Path | None) -> tuple[list[tuple[Path, Source]], list[dict], int]:
    """Return what a file or folder holds: (file's name below the folder, source), refused rows, and how many other files.

    `allowed` is the beginning of the media types wanted, empty for all. A file named as a document that is none is refused;
    any other file of a folder is only counted.
    """
    is_folder = path.is_dir()
    found, refused, num_others = [], [], 0
    for file in walk(path, left_out) if is_folder else [path]:
        try:
            media_type = read_type(file)
            if media_type is None:
                raise ValueError("neither a PDF nor an image")
        except ValueError as error:
            if is_folder and file.suffix.lower() not in OUR_SUFFIXES:
                num_others += 1
            else:
                refused.append({"file": shown(file), "page": None, "reason": str(error)})
            continue
        if media_type.startswith(allowed):
            found.append((file.relative_to(path) if is_folder else Path(file.name), Source(file, media_type)))
        elif is_folder:
            num_others += 1
        else:
            refused.append({"file": shown(file), "page": None, "reason": f"{media_type}, not {allowed.rstrip('/')}"})
    return found, refused, num_others


def group_pages(found: Iterable[tuple[Path, Source]]) -> list[Document]:
    """Return documents: images `{name}_p{page}` of one folder are pages of `{name}`, anything else is a document of its own."""
    pages: dict[str, list[Source]] = {}
    single: list[Document] = []
    for place, source in found:
        match = PAGE_NAME.fullmatch(place.stem) if source.media_type != PDF else None
        if match:
            part = int(match["part"]) if match["part"] else None
            pages.setdefault((place.parent / match["name"]).as_posix(), []).append(replace(source, page=int(match["page"]), part=part))
        else:
            single.append(Document(place.with_suffix("").as_posix(), (source,)))
    ordered = {name: sorted(group, key=lambda source: (source.page, source.part or 0, source.file)) for name, group in pages.items()}
    return single + [Document(name, tuple(group)) for name, group in ordered.items()]


def shorten(name: str) -> str:
    """Return a document's name, cut where its last part is too long for the files that bear it; a digest then tells it from others."""
    folder, slash, last = name.rpartition("/")
    whole = os.fsencode(last)
    if len(whole) <= LONGEST:
        return name
    return f"{folder}{slash}{whole[:LONGEST - 9].decode(errors='ignore')}-{hashlib.sha256(whole).hexdigest()[:8]}"


def tell_apart(documents: list[Document]) -> list[Document]:
    """Return the documents by name; those that share one get their file's suffix, and a number where that is not enough."""
    documents = [replace(document, name=shorten(document.name)) for document in documents]
    counts = Counter(document.name for document in documents)
    taken: set[str] = {name for name, count in counts.items() if count == 1}
    told = []
    for document in sorted(documents, key=lambda document: (document.name, document.sources[0].file)):
        name = document.name
        if counts[name] > 1:
            tries = [name + document.sources[0].file.suffix, *(f"{name}-{number}" for number in range(2, len(documents) + 2))]
            name = next(option for option in tries if option not in taken)
            taken.add(name)
        told.append(replace(document, name=name))
    return told


def find_documents(paths: Iterable[tuple[Path, str]], left_out: Path | None = None) -> tuple[list[Document], list[dict]]:
    """Return the documents in files and folders, each given with the media types wanted there, and refused rows.

    A path that doesn't exist is a ValueError; a folder without a document is refused. The folder `left_out` is passed over:
    what was written there is no source.
    """
    documents, refused = [], []
    for path, allowed in paths:
        if not path.exists():
            raise ValueError(f"{shown(path)}: no such file or folder")
        found, lost, num_others = find_sources(path, allowed, left_out.resolve() if left_out else None)
        refused += lost
        if not found and not lost:
            wanted = {PDF: "PDF", "image/": "image"}.get(allowed, "PDF or image")
            refused.append({"file": shown(path), "page": None, "reason": f"no {wanted} in this folder; {num_others} other files"})
        documents += group_pages(found) if path.is_dir() else [Document(place.stem, (source,)) for place, source in found]
    return tell_apart(documents), refused
