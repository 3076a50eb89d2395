"""Read with a student, trained or as it came, on this machine."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from ocrtune.contract import check_contract
from ocrtune.downloads import fetch_student
from ocrtune.params.students import StudentProfile
from ocrtune.reading import Page, Reading
from ocrtune.vlm import generate_texts, load_model, load_processor, open_image, weights_digest

WINDOW = 16  # batches of pages that are sorted by shape together: those of one shape waste no padding


class StudentReader:
    """A local vision-language model. Pages of one width are read together: padding costs time."""

    def __init__(self, folder: Path, profile: StudentProfile):
        fetch_student(folder, profile)
        check_contract(folder, profile)
        self.folder, self.profile = folder, profile
        self.identity = {
            "type": "student", "weights": weights_digest(folder), "prompt": profile.prompt, "image": profile.image,
            "dtype": profile.dtype, "max_new_tokens": profile.max_new_tokens,
            **({"repeat_guard": profile.repeat_guard.model_dump()} if profile.repeat_guard else {}),
        }

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        """Draw pages as far as a window reaches, and read these before drawing more: a long run gives answers from the start."""
        waiting, loaded = iter(pages), None
        while window := list(islice(waiting, WINDOW * self.profile.batch_size)):
            loaded = loaded or (load_model(self.folder, self.profile), load_processor(self.folder, self.profile))
            yield from self.read_window(window, *loaded)

    def read_window(self, window: list[Page], model, processor) -> Iterator[tuple[Page, Reading]]:
        from PIL import Image

        shapes = {}
        for page in window:
            try:
                with Image.open(page.image) as image:
                    shapes[page] = image.width / image.height
            except (OSError, Image.DecompressionBombError) as error:
                print(f"{page.page_id}: not read: {error}", flush=True)
                yield page, Reading("", "error", str(error))
        order = sorted(shapes, key=lambda page: (shapes[page], page.page_id))
        for start in range(0, len(order), self.profile.batch_size):
            batch = order[start : start + self.profile.batch_size]
            images = {}
            for page in batch:
                try:
                    images[page] = open_image(page.image)
                except ValueError as error:
                    print(f"{page.page_id}: not read: {error}", flush=True)
                    yield page, Reading("", "error", str(error))
            if images:
                answers = generate_texts(model, processor, list(images.values()), self.profile)
                for page, (text, finish_reason) in zip(images, answers, strict=True):
                    yield page, Reading(text, finish_reason)
