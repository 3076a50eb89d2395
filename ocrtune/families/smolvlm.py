"""SmolVLM: a package that it wants for videos alone must not be asked of those who read pages."""

from pathlib import Path


def load_processor(folder: Path, settings: dict):
    """Return its processor, without num2words."""
    from transformers.models.smolvlm import processing_smolvlm

    from ocrtune.models.processors import open_processor

    processing_smolvlm.num2words = processing_smolvlm.num2words or str  # says "two frames" of a video
    return open_processor(folder, settings)
