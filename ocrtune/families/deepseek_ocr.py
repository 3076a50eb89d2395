"""DeepSeek-OCR, the first: our own classes, for transformers has none and the published code wants one of 2024."""

from pathlib import Path

IMAGE_TOKEN_ID = 128815  # where config.json states none, as the published one


def prepare() -> None:
    """Make the model known to transformers' Auto classes, and keep peft from renaming its adapters."""
    from ocrtune.deepseek_ocr.registration import register
    from ocrtune.models.adapter_names import keep_own_names

    register()
    keep_own_names()


def model_class():
    """Return the class, for a config.json that the original code saved again names a type that no Auto class knows."""
    from ocrtune.deepseek_ocr.modeling import DeepseekOCRForCausalLM

    return DeepseekOCRForCausalLM


def load_processor(folder: Path, settings: dict):
    """Return the processor; settings are a preset, numbers, or both: see `ocrtune.deepseek_ocr.views`."""
    from ocrtune.deepseek_ocr.processing import DeepseekOcrProcessor

    return DeepseekOcrProcessor.from_pretrained(folder, **settings)
