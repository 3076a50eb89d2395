"""Read with an OCR engine that is installed: RapidOCR or Tesseract."""

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from ocrtune.reading import Page, Reading

TESSERACT_TIMEOUT_S = 120


class RapidOcrReader:
    """RapidOCR: detection and recognition models that come inside its package."""

    def __init__(self):
        try:
            self.identity = {"type": "rapidocr", "version": version("rapidocr")}
        except PackageNotFoundError:
            raise ValueError("teacher rapidocr: RapidOCR is not installed; run `./run uv pip install rapidocr onnxruntime`") from None

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        from rapidocr import RapidOCR

        engine = RapidOCR(params={"Global.log_level": "error"})
        for page in pages:
            found = engine(str(page.image))
            yield page, Reading("\n".join(found.txts or ()))


class TesseractReader:
    """The tesseract program of the operating system."""

    def __init__(self, language: str, page_segmentation: int):
        program = shutil.which("tesseract")
        if program is None:
            raise ValueError("teacher tesseract: no `tesseract` on the path; "
                             "install it (Debian: apt install tesseract-ocr) or choose another")
        first_line = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20).stdout.split("\n")[0]
        self.command = [program, "-", "-", "-l", language, "--psm", str(page_segmentation)]
        self.identity = {"type": "tesseract", "version": first_line, "language": language, "page_segmentation": page_segmentation}

    def read(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Reading]]:
        for page in pages:
            with page.image.open("rb") as image:
                try:
                    done = subprocess.run(self.command, stdin=image, capture_output=True, timeout=TESSERACT_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    print(f"{page.page_id}: not read: no answer within {TESSERACT_TIMEOUT_S} s", flush=True)
                    yield page, Reading("", "error")
                    continue
            if done.returncode:
                print(f"{page.page_id}: not read: {done.stderr.decode(errors='replace').strip()[:200]}", flush=True)
            yield page, Reading("", "error") if done.returncode else Reading(done.stdout.decode("utf-8", errors="replace").strip())
