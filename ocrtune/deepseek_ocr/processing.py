"""Turn pictures and prompts into the inputs of DeepSeek-OCR (the first), token for token as the original code does."""

import json
from pathlib import Path

from transformers import PreTrainedTokenizerFast
from transformers.feature_extraction_utils import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.processing_utils import ProcessorMixin

from ocrtune.deepseek_ocr.configuration import IMAGE_TOKEN
from ocrtune.deepseek_ocr.views import count_tokens, cut_views, find_geometry, find_grid, pixels

# The original's "plain" format: beginning of text, picture, words; no names of roles. Its end of text closes an answer.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.content is string %}{% set words = message.content %}"
    "{% else %}{% set words %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }}{% endif %}{% endfor %}{% endset %}{% endif %}"
    "{{ words | trim }}{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "processor_config.json")


class DeepseekOcrImageProcessor(BaseImageProcessor):
    """Pictures to views; its settings are those of `views.find_geometry`."""

    model_input_names = ["pixel_values", "pixel_values_local", "num_local_patches", "patches_grid"]  # noqa: RUF012

    def __init__(self, geometry: dict | None = None, **kwargs):
        super().__init__(**kwargs)
        self.geometry = find_geometry(**(geometry or {}))

    def preprocess(self, images, **kwargs) -> BatchFeature:
        """Return the views of PIL images, a flat list: see `DeepseekOcrModel.get_image_features` for their names and shapes."""
        import torch

        cut = [cut_views(image.convert("RGB"), self.geometry) for image in images]
        tiles = [pixels(tile) for _, some, _ in cut for tile in some]
        data = {
            "pixel_values": torch.stack([pixels(whole) for whole, _, _ in cut]),
            "num_local_patches": torch.tensor([len(some) for _, some, _ in cut]),
            "patches_grid": torch.tensor([grid for _, _, grid in cut]),
        }
        if tiles:
            data["pixel_values_local"] = torch.stack(tiles)
        return BatchFeature(data)


class DeepseekOcrProcessor(ProcessorMixin):
    """Pictures and text to inputs. `save_pretrained` writes the published files back byte for byte."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=CHAT_TEMPLATE, **kwargs):
        self.image_token = IMAGE_TOKEN
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        self.files: dict[str, bytes] = {}
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    @classmethod
    def from_pretrained(cls, folder, **geometry) -> "DeepseekOcrProcessor":
        """Return the processor in a folder; `geometry` as in `views.find_geometry`."""
        folder = Path(folder)
        files = {name: (folder / name).read_bytes() for name in TOKENIZER_FILES if (folder / name).is_file()}
        if "tokenizer.json" not in files:
            raise ValueError(f"{folder}: no tokenizer.json; put the published tokenizer's files there")
        told = json.loads(files.get("tokenizer_config.json", b"{}"))
        # The published file names Llama's class, which in transformers 5 would replace the byte-level rules of
        # tokenizer.json by Llama's own and lose every blank; this class takes tokenizer.json as it is.
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"), clean_up_tokenization_spaces=False, padding_side="left",
            bos_token=token_text(told.get("bos_token"), "<｜begin▁of▁sentence｜>"),
            eos_token=token_text(told.get("eos_token"), "<｜end▁of▁sentence｜>"),
            pad_token=token_text(told.get("pad_token"), "<｜▁pad▁｜>"),
        )
        processor = cls(DeepseekOcrImageProcessor(geometry), tokenizer)
        processor.files = files
        return processor

    def save_pretrained(self, save_directory, **kwargs) -> list[str]:
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return [str(folder / name) for name in self.files]

    def __call__(self, images=None, text=None, return_tensors=None, add_special_tokens=False, **kwargs) -> BatchFeature:
        """Return input_ids and attention_mask of texts, and the views of their pictures, one for each <image> in turn.

        More or fewer pictures than <image> is a `ValueError`.
        """
        texts = [text] if isinstance(text, str) else list(text)
        flat = [] if images is None else [image for some in images for image in (some if isinstance(some, list | tuple) else [some])]
        wanted = sum(one.count(self.image_token) for one in texts)
        if wanted != len(flat):
            raise ValueError(f"{wanted} times {self.image_token} for {len(flat)} pictures: they must be as many")
        geometry = self.image_processor.geometry
        counts = iter([count_tokens(find_grid(*image.size, geometry), geometry) for image in flat])
        for index, one in enumerate(texts):
            first, *others = one.split(self.image_token)
            texts[index] = first + "".join(self.image_token * next(counts) + other for other in others)
        tokens = self.tokenizer(texts, add_special_tokens=add_special_tokens, return_tensors=return_tensors, **kwargs)
        return BatchFeature({**tokens, **(self.image_processor.preprocess(flat) if flat else {})})


def token_text(token: str | dict | None, default: str) -> str:
    """Return a token as tokenizer_config.json gives it: as text, or as a description of one."""
    return (token["content"] if isinstance(token, dict) else token) or default
