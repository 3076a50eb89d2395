"""SmolVLM: two things that it wants for videos alone must not be asked of those who read pages."""

from pathlib import Path


def load_processor(folder: Path, settings: dict):
    """Return its processor, without num2words and torchvision."""
    import transformers.models.smolvlm as package
    from transformers.models.smolvlm import processing_smolvlm
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    from ocrtune.models.processors import open_processor

    processing_smolvlm.num2words = processing_smolvlm.num2words or str  # says "two frames" of a video
    package.SmolVLMImageProcessorPil = SmolVLMImageProcessorPil  # hidden where torchvision is not installed
    return open_processor(folder, settings)
