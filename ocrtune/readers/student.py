"""Read with a student, trained or as it came, on this machine."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ocrtune.machines.spreading import ReadBatch, cut_batches
from ocrtune.models.adapters import WEIGHTS as ADAPTER
from ocrtune.models.adapters import find_base, is_adapter, load_adapted
from ocrtune.models.contract import check_contract
from ocrtune.models.downloads import fetch_student
from ocrtune.models.line_images import widest
from ocrtune.models.vlm import generate_texts, load_model, load_processor, open_image, prompt_text, weights_digest
from ocrtune.params.students import StudentProfile
from ocrtune.reading import Page, Reading

WINDOW = 16  # batches of pages that are sorted by shape together: those of one shape waste no padding


def image_shape(path: Path) -> float:
    """Return an image's width in heights; 0 of one that can't be opened, as reading it will tell."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.width / image.height
    except (OSError, Image.DecompressionBombError):
        return 0.0


class StudentReader:
    """A local vision-language model: a folder of its own, or an adapter, read on its base without merging.

    Pages of one width are read together: padding costs time.
    """

    def __init__(self, folder: Path, profile: StudentProfile, in_4bit: bool = False):
        self.base = find_base(folder) if is_adapter(folder) else folder
        fetch_student(self.base, profile)
        check_contract(folder, profile)
        self.folder, self.profile, self.in_4bit = folder, profile, in_4bit
        self.identity = {
            "type": "student", "weights": weights_digest(self.base), "prompt": profile.prompt, "image": profile.image,
            "dtype": profile.dtype, "max_new_tokens": profile.max_new_tokens,
            **({"repeat_guard": profile.repeat_guard.model_dump()} if profile.repeat_guard else {}),
            **({"load_in_4bit": True} if in_4bit else {}),
            **({"adapter": hashlib.sha256((folder / ADAPTER).read_bytes()).hexdigest()} if is_adapter(folder) else {}),
        }

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        """Read a window of pages before more are drawn: a long run gives answers from the start."""
        read = None
        for batch in self.batches(pages):
            read = read or self.open()
            yield from read(batch)

    def batches(self, pages: Iterable[Page]) -> Iterator[list[Page]]:
        """Yield pages of one shape together, window by window."""
        for window in cut_batches(pages, WINDOW * self.profile.batch_size):
            shapes = {page: image_shape(page.image) for page in window}
            order = sorted(shapes, key=lambda page: (shapes[page], page.page_id))
            yield from cut_batches(order, self.profile.batch_size)

    def open(self) -> ReadBatch:
        """Return what reads a batch, with the model loaded."""
        return partial(self.read_files, *self.load())

    def load(self) -> tuple:
        """Return model and processor; a prompt that the model can't be given is a `ValueError` before any page is drawn."""
        processor = load_processor(self.base, self.profile)
        prompt_text(processor, self.profile.prompt)
        if is_adapter(self.folder):
            return load_adapted(self.base, self.folder, self.profile, in_4bit=self.in_4bit), processor
        return load_model(self.folder, self.profile, in_4bit=self.in_4bit), processor

    def read_files(self, model, processor, batch: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        """Read a batch; a file that is no image fails alone."""
        images = {}
        for page in batch:
            try:
                images[page] = open_image(page.image)
            except ValueError as error:
                print(f"{page.page_id}: not read: {error}", flush=True)
                yield page, Reading("", "error", str(error))
        limit = widest(processor)
        wide = [page.page_id for page, image in images.items() if image.width / image.height > limit]
        if wide:
            print(f"{wide[0]} and {len(wide) - 1} more are wider than {limit:.0f} times their height: their letters are squeezed and "
                  "read worse; cut such lines in two", flush=True)
        yield from self.read_batch(images, model, processor)

    def read_batch(self, images: dict[Page, Any], model, processor) -> Iterator[tuple[Page, Reading]]:
        """Read images together; where one breaks the batch, by its shape or by the memory that it takes, each is read alone."""
        if not images:
            return
        try:
            answers = generate_texts(model, processor, list(images.values()), self.profile)
        except (ValueError, RuntimeError) as error:
            problem = f"{type(error).__name__}: {error}".split("\n")[0]
        else:
            for page, (text, finish_reason) in zip(images, answers, strict=True):
                yield page, Reading(text, finish_reason)
            return
        for page, image in images.items():
            if len(images) > 1:
                yield from self.read_batch({page: image}, model, processor)
            else:
                print(f"{page.page_id}: not read: {problem}", flush=True)
                yield page, Reading("", "error", problem)
