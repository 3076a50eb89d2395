"""Open the reader that a profile describes."""

from collections.abc import Mapping
from pathlib import Path

from ocrtune.params.teachers import Api, Local, RapidOcr, Service, Tesseract, TextLayer
from ocrtune.readers.prompts import find_prompt, own_tasks
from ocrtune.reading import Reader

Profile = TextLayer | RapidOcr | Tesseract | Api | Service | Local


def open_reader(profile: Profile, prompts: Mapping[str, Mapping[str, str]] | None = None) -> Reader:
    """Return a reader; one whose engine or model is not there is a `ValueError` that says how to get it.

    `prompts` is section `prompts` of params.yaml: the tasks that users added.
    """
    if isinstance(profile, TextLayer):
        from ocrtune.readers.text_layer import TextLayerReader

        return TextLayerReader()
    if isinstance(profile, RapidOcr):
        from ocrtune.readers.engines import RapidOcrReader

        return RapidOcrReader()
    if isinstance(profile, Tesseract):
        from ocrtune.readers.engines import TesseractReader

        return TesseractReader(profile.language, profile.page_segmentation, profile.workers)
    if isinstance(profile, Api):
        from ocrtune.readers.api import ApiReader

        return ApiReader(profile, find_prompt(profile.task, own_tasks(profile.model_name), prompts or {}))
    if isinstance(profile, Service):
        from ocrtune.readers.service import ServiceReader

        return ServiceReader(profile)
    from ocrtune.readers.student import StudentReader

    if profile.task not in profile.prompts:  # a user's
        words = find_prompt(profile.task, profile.prompts, prompts or {}).in_one
        profile = profile.model_copy(update={"prompts": profile.prompts | {profile.task: words}})
    return StudentReader(Path(profile.model), profile, profile.load_in_4bit)
