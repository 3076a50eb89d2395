"""Open the reader that a profile describes."""

from pathlib import Path

from ocrtune.params.teachers import Api, Local, RapidOcr, Tesseract, TextLayer
from ocrtune.reading import Reader


def open_reader(profile: TextLayer | RapidOcr | Tesseract | Api | Local) -> Reader:
    """Return a reader; one whose engine or model is not there is a `ValueError` that says how to get it."""
    if isinstance(profile, TextLayer):
        from ocrtune.readers.text_layer import TextLayerReader

        return TextLayerReader()
    if isinstance(profile, RapidOcr):
        from ocrtune.readers.engines import RapidOcrReader

        return RapidOcrReader()
    if isinstance(profile, Tesseract):
        from ocrtune.readers.engines import TesseractReader

        return TesseractReader(profile.language, profile.page_segmentation)
    if isinstance(profile, Api):
        from ocrtune.readers.api import ApiReader

        return ApiReader(profile)
    from ocrtune.readers.student import StudentReader

    return StudentReader(Path(profile.model), profile)
