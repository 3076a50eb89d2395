"""Read with an OCR engine that is installed: RapidOCR or Tesseract."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ocrtune.machines.spreading import ReadBatch, cut_batches
from ocrtune.reading import Page, Reading

TESSERACT_TIMEOUT_S = 120
PROBLEM_CHARS = 200
PAGES_A_BATCH = 4  # where several processes share the work


def failed(page: Page, problem: str) -> Reading:
    """Return the reading of a page that an engine could not read."""
    print(f"{page.page_id}: not read: {problem}", flush=True)
    return Reading("", "error", problem=problem)


class RapidOcrReader:
    """RapidOCR: detection and recognition models that come inside its package."""

    def __init__(self):
        try:
            self.identity = {"type": "rapidocr", "version": version("rapidocr")}
        except PackageNotFoundError:
            raise ValueError("teacher rapidocr: RapidOCR is not installed; run `./run uv pip install rapidocr onnxruntime`") from None

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        return self.open()(pages)

    def batches(self, pages: Iterable[Page]) -> Iterator[list[Page]]:
        return cut_batches(pages, PAGES_A_BATCH)

    def open(self) -> ReadBatch:
        """Return what reads a batch, with the engine loaded."""
        from rapidocr import RapidOCR

        engine = RapidOCR(params={"Global.log_level": "critical"})

        def read(pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
            for page in pages:
                try:
                    found = engine(str(page.image))
                except Exception as error:  # its own errors, OpenCV's and the runtime's share no other base
                    yield page, failed(page, f"{type(error).__name__}: {' '.join(str(error).split())}"[:PROBLEM_CHARS])
                else:
                    yield page, Reading("\n".join(found.txts or ()))

        return read


class TesseractReader:
    """The tesseract program of the operating system, a process a page, one a core at a time."""

    def __init__(self, language: str, page_segmentation: int, workers: int = 0):
        self.program = shutil.which("tesseract")
        if self.program is None:
            raise ValueError("teacher tesseract: no `tesseract` on the path; "
                             "install it (Debian: apt install tesseract-ocr) or choose another")
        self.command = [self.program, "-", "-", "-l", language, "--psm", str(page_segmentation)]
        self.workers = workers or os.cpu_count() or 1
        self.identity = {
            "type": "tesseract", "version": self.ask("--version").split("\n")[0], "language": language,
            "packs": self.digest_packs(language), "page_segmentation": page_segmentation,
        }

    def ask(self, option: str) -> str:
        return subprocess.run([self.program, option], capture_output=True, text=True, timeout=20).stdout

    def digest_packs(self, language: str) -> list[str]:
        """Return a SHA-256 for each language pack: there are fast and good ones of one name. A missing one is a `ValueError`."""
        first, *names = self.ask("--list-langs").splitlines() or [""]
        folder = re.search(r'"(.*)"', first)
        missing = [name for name in language.split("+") if name not in names]
        if missing or not folder:
            raise ValueError(f"teacher tesseract: no language pack {', '.join(missing)}; there are: {', '.join(names) or 'none'}; "
                             f"install it (Debian: apt install tesseract-ocr-{(missing or ['eng'])[0]}) or change `language`")
        files = [Path(folder[1]) / f"{name}.traineddata" for name in language.split("+")]
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        waiting = iter(pages)
        with ThreadPoolExecutor(self.workers) as pool:
            running = {}
            while True:
                while len(running) < self.workers and (page := next(waiting, None)):
                    running[pool.submit(self.read_page, page)] = page
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(done), done.result()

    def batches(self, pages: Iterable[Page]) -> Iterator[list[Page]]:
        return cut_batches(pages, PAGES_A_BATCH)

    def open(self) -> ReadBatch:
        """Return what reads a batch, page after page on one core."""
        return lambda pages: ((page, self.read_page(page)) for page in pages)

    def read_page(self, page: Page) -> Reading:
        """Return the reading of a page; one thread for each process, for its own threads make it slower."""
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None  # nothing is drawn here
        try:
            Image.open(page.image).close()  # Tesseract takes what is no image for a list of files to read
            with page.image.open("rb") as image:
                done = subprocess.run(self.command, stdin=image, capture_output=True, timeout=TESSERACT_TIMEOUT_S,
                                      env=os.environ | {"OMP_THREAD_LIMIT": "1"})
        except subprocess.TimeoutExpired:
            return failed(page, f"no answer within {TESSERACT_TIMEOUT_S} s")
        except OSError as error:
            return failed(page, error.strerror or "not an image that opens")
        if done.returncode:
            return failed(page, " ".join(done.stderr.decode(errors="replace").split())[:PROBLEM_CHARS])
        return Reading(done.stdout.decode("utf-8", errors="replace").strip())
