"""Write examples for other tools: rows in a file, images with a `.gt.txt` each, or images that bring their own text for our crawl."""

import filecmp
import itertools
import json
import os
import shutil
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from PIL import Image

from ocrtune.formats.example_files import IMAGE_SUFFIXES, TEXT_SUFFIX, FoundExample, Refused
from ocrtune.formats.example_formats import ARRAYS, ROW_WRITERS
from ocrtune.pages.image_text import embed_text, embedded_text
from ocrtune.pages.source_pages import first_line
from ocrtune.rows import write_text

COPIES = "images"  # the folder beside a file of rows for copied images


class Names:
    """File names that are given once each, whatever their case: some file systems know none."""

    def __init__(self):
        self.taken: set[str] = set()

    def choose(self, stem: str) -> str:
        """Return the stem, with a number where another file has it already."""
        name, number = stem, 1
        while name.lower() in self.taken:
            number += 1
            name = f"{stem}-{number}"
        self.taken.add(name.lower())
        return name


def stem_of(file: Path) -> str:
    """Return a file's name without what says that it is an image."""
    return next((file.name[: -len(suffix)] for suffix in sorted(IMAGE_SUFFIXES, key=len, reverse=True)
                 if file.name.lower().endswith(suffix)), file.stem)


def write_file(dest: Path, name: str, found: Iterable[FoundExample], copy_images: bool) -> tuple[int, list[Refused]]:
    """Write rows to a file, image paths as seen from its folder, and return how many; images are copied there on request."""
    rows, refused, copied = [], [], {}
    for item in found:
        try:
            paths = [copy_image(file, dest.parent / COPIES, copied) if copy_images else file for file in item.files]
            seen = tuple(Path(os.path.relpath(path, dest.parent)).as_posix() for path in paths)
            rows.append(ROW_WRITERS[name](item.example.with_images(seen)))
        except ValueError as error:
            refused.append(Refused(item.where, str(error)))
    if name in ARRAYS:
        write_text(dest, json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
    else:
        write_text(dest, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return len(rows), refused


def copy_image(file: Path, folder: Path, copied: dict[Path, Path]) -> Path:
    """Return the copy of an image in a folder, made on first sight; of two images of one name the second gets a number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        if file in copied:
            break
        copy = folder / (file.stem + (f"-{number}" if number > 1 else "") + file.suffix)
        if not copy.exists():
            shutil.copyfile(file, copy)
        if filecmp.cmp(file, copy, shallow=False):
            copied[file] = copy
    return copied[file]


def write_ground_truth(dest: Path, found: Iterable[FoundExample]) -> tuple[int, list[Refused]]:
    """Write a folder of images, each with its text beside it."""
    refused, names, count = [], Names(), 0
    dest.mkdir(parents=True, exist_ok=True)
    for item in found:
        if len(item.files) != 1:
            refused.append(Refused(item.where, f"several images: {len(item.files)}, where this format holds one"))
            continue
        name = names.choose(stem_of(item.files[0]))
        shutil.copyfile(item.files[0], dest / (name + item.files[0].suffix.lower()))
        write_text(dest / f"{name}{TEXT_SUFFIX}", item.example.text + "\n")
        count += 1
    return count, refused


def bring_text(content: bytes, text: str) -> tuple[bytes, str]:
    """Return an image file that brings its text, and its suffix; made a PNG where it is neither that nor a JPEG with room."""
    with Image.open(BytesIO(content)) as image:
        image.load()
        if embedded_text(image) is None and image.format in ("PNG", "JPEG"):
            try:
                return embed_text(content, text), {"PNG": ".png", "JPEG": ".jpg"}[image.format]
            except ValueError:
                pass
        if getattr(image, "n_frames", 1) > 1:
            raise ValueError(f"several pages: {image.n_frames} in one image, where one is wanted")
        buffer = BytesIO()
        picture = image if image.mode in ("1", "L", "P", "RGB", "RGBA", "LA", "I;16") else image.convert("RGB")
        picture.save(buffer, "PNG")
    return embed_text(buffer.getvalue(), text), ".png"


def write_documents(dest: Path, found: Iterable[FoundExample]) -> tuple[int, list[Refused]]:
    """Write a folder of images for stage crawl, each with its text inside, which teacher `text-layer` takes for the label."""
    refused, names, count = [], Names(), 0
    dest.mkdir(parents=True, exist_ok=True)
    for item in found:
        try:
            if len(item.files) != 1:
                raise ValueError(f"several images: {len(item.files)}, where one is wanted")
            if not item.example.text.strip():
                raise ValueError("no text: nothing could be learnt from it")
            content, suffix = bring_text(item.files[0].read_bytes(), item.example.text.strip("\r\n"))
        except (ValueError, OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:  # Pillow raises these on bad files
            reason = first_line(error) if type(error) is ValueError else f"image can't be opened: {first_line(error)}"
            refused.append(Refused(item.where, reason))
            continue
        (dest / (names.choose(stem_of(item.files[0])) + suffix)).write_bytes(content)
        count += 1
    return count, refused
