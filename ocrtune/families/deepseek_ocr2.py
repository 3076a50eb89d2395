"""DeepSeek-OCR-2: the form of its prompt, and adapters that peft would lose half of."""

from pathlib import Path


def load_processor(folder: Path, settings: dict):
    """Return its processor, with the first model's template; one of its folder goes first."""
    from ocrtune.deepseek_ocr.processing import CHAT_TEMPLATE
    from ocrtune.models.processors import open_processor

    return open_processor(folder, settings, chat_template=CHAT_TEMPLATE)


def prepare() -> None:
    """Keep peft from losing half of an adapter."""
    from ocrtune.models.adapter_names import keep_own_names

    keep_own_names()
