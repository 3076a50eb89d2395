"""Open a model's processor from its folder: tokenizer and image half, drawn with PIL on every machine; no video half."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")
VIDEO_FILE = "video_preprocessor_config.json"


def revealed(name: str):
    """Return a class of transformers, or None where it has none of that name.

    Where torchvision is not installed transformers hides whole files whose text names it, those that draw with PIL too: these
    classes are taken from their files. One that does need a package which is not here is a `ValueError`.
    """
    import transformers

    try:
        found = getattr(transformers, name, None)
        if getattr(found, "is_dummy", False):
            module = importlib.import_module(found.__module__)
            found = getattr(module, name)
            setattr(sys.modules[module.__package__], name, found)  # where AutoImageProcessor looks
    except ModuleNotFoundError as error:
        raise ValueError(f"{name}: transformers' class needs {(error.__cause__ or error).name}, which is not part of this environment; "
                         "give the family a processor of its own in ocrtune/families, see docs/models.md") from None
    return found


def processor_class(folder: Path):
    """Return the class that the folder's own files name, or the one that transformers has for its model type."""
    from transformers.models.auto.auto_mappings import PROCESSOR_MAPPING_NAMES

    for file in PROCESSOR_FILES:
        path = folder / file
        name = json.loads(path.read_text(encoding="utf-8")).get("processor_class") if path.is_file() else None
        if name and (found := revealed(name)):
            return found
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind in PROCESSOR_MAPPING_NAMES:
        return revealed(PROCESSOR_MAPPING_NAMES[kind])
    raise ValueError(f"{folder}: no file of it names a processor that transformers has ({', '.join(PROCESSOR_FILES)})")


def without_video(processor_class):
    """Return the class without its video half, which wants torchvision and which pages don't need.

    What the folder says of videos is kept aside and written back, so that a saved model serves videos where its base did.
    """

    class WithoutVideo(processor_class):
        video_processor = SimpleNamespace(num_frames=1, fps=1)  # SmolVLM's chat template asks for these two

        @classmethod
        def get_attributes(cls):
            return [name for name in super().get_attributes() if name != "video_processor"]

        def save_pretrained(self, save_directory, **kwargs):
            written = super().save_pretrained(save_directory, **kwargs)
            section, file = self.videos
            config = Path(save_directory) / "processor_config.json"
            if section is not None:
                told = json.loads(config.read_text(encoding="utf-8")) | {"video_processor": section}
                config.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            if file is not None:
                (Path(save_directory) / VIDEO_FILE).write_bytes(file)
            return written

    WithoutVideo.__name__ = processor_class.__name__
    WithoutVideo.__qualname__ = processor_class.__qualname__
    return WithoutVideo


def open_image_half(folder: Path, settings: dict):
    """Return the image processor with the profile's settings; one that it does not know is a `ValueError`."""
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.models.auto.image_processing_auto import AutoImageProcessor

    told, _ = ImageProcessingMixin.get_image_processor_dict(folder, local_files_only=True)
    name = told.get("image_processor_type", "").removesuffix("Fast")
    if name and not revealed(f"{name}Pil"):
        revealed(name)  # says what it needs
    images = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True, **settings)
    allowed = set(images.valid_kwargs.__annotations__) | set(images.__dict__)
    unknown = sorted(settings.keys() - allowed)
    if unknown:
        raise ValueError(f"image.{unknown[0]}: {type(images).__name__} has no such setting; it has: {', '.join(sorted(allowed))}")
    return images


def open_processor(folder: Path, settings: dict, kind=None, chat_template: str | None = None):
    """Return the processor in a folder; `settings` are the profile's for its image half.

    `kind` replaces the class that the folder names, `chat_template` stands in where the folder has none.
    """
    from transformers import AutoTokenizer
    from transformers.processing_utils import ProcessorMixin

    kind = kind or processor_class(folder)
    told, _ = ProcessorMixin.get_processor_dict(str(folder), local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    parts = {"image_processor": open_image_half(folder, settings), "tokenizer": tokenizer}
    video = None
    if "video_processor" in kind.get_attributes():
        kind = without_video(kind)
        video = (told.get("video_processor"), (folder / VIDEO_FILE).read_bytes() if (folder / VIDEO_FILE).is_file() else None)
        parts["video_processor"] = None
    accepted = set(kind.__init__.__code__.co_varnames[: kind.__init__.__code__.co_argcount]) - parts.keys() - {"self"}
    processor = kind(**parts, **{name: value for name, value in told.items() if name in accepted})
    if video:
        processor.videos = video
    if not getattr(processor, "chat_template", None):
        processor.chat_template = getattr(tokenizer, "chat_template", None) or chat_template
    # Some processors' own defaults win over their image half's settings, so these go along with each call too.
    processor.image_settings = settings
    return processor
