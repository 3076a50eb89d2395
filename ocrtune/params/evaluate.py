"""What may stand under `evaluate`: who reads the test pages, and how texts are compared."""

from typing import Literal

from ocrtune.params.load import Section
from ocrtune.params.teachers import Reader


class EvaluateParams(Section):
    """Readers by name; dvc.yaml runs one stage for each."""

    normalizer: Literal["raw", "nfc_ws"] = "nfc_ws"
    readers: dict[str, Reader]


SCHEMAS = {"evaluate": EvaluateParams}
