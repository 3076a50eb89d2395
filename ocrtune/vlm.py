"""Load a vision-language model and hand it pages, the same way in training, merging and reading.

What the model was told in training it must be told ever after: prompt, roles and geometry are made
here and nowhere else.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ocrtune.packed_attention import use_packed_attention
from ocrtune.params.students import StudentProfile


def weights_digest(folder: Path) -> str:
    """Return one SHA-256 over a model folder's weights, configuration, tokenizer and processor."""
    digest = hashlib.sha256()
    files = sorted(path for path in folder.glob("*") if path.suffix in (".safetensors", ".json", ".jinja", ".model", ".txt"))
    if not files:
        raise ValueError(f"{folder}: no model here; expected config.json and *.safetensors")
    for path in files:
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def quiet_libraries() -> None:
    """Keep progress bars and advice of transformers out of the stages' output."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def load_model(folder: Path, profile: StudentProfile, dtype: str | None = None):
    """Return the model in `folder`, in evaluation mode, on the GPU where there is one.

    A folder without weights is a `ValueError` that says where they should come from.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    quiet_libraries()
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder}: no config.json; put the model's files there (config, *.safetensors, tokenizer, processor)")
    model = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=getattr(torch, dtype or profile.dtype), local_files_only=True,
        trust_remote_code=profile.trust_remote_code, use_safetensors=True,
    )
    use_packed_attention(model)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def load_processor(folder: Path, profile: StudentProfile):
    """Return the processor in `folder` with the profile's geometry."""
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=profile.trust_remote_code, **profile.image)


def open_image(path: Path):
    """Return an image as RGB; an unreadable one is a `ValueError` that names it."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not an image that opens: {error}") from None


def prompt_text(processor, prompt: str) -> str:
    """Return the words before the answer: image, prompt and roles as the model's own template lays them."""
    content = [{"type": "image"}] + ([{"type": "text", "text": prompt}] if prompt else [])
    return processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)


def encode_pages(processor, images: Sequence, prompt: str):
    """Return model inputs for pages, padded on the left: input_ids and attention_mask (n, t), pixel_values."""
    text = prompt_text(processor, prompt)
    return processor(images=[[image] for image in images], text=[text] * len(images), padding=True, padding_side="left",
                     return_tensors="pt", add_special_tokens=False)


def end_tokens(model) -> list[int]:
    """Return the ids of the tokens that end an answer; training writes the first."""
    ends = model.generation_config.eos_token_id
    return ends if isinstance(ends, list) else [ends]


def generate_texts(model, processor, images: Sequence, profile: StudentProfile) -> list[tuple[str, str]]:
    """Return (text, finish_reason) for each image: greedy decoding, all in one batch."""
    import torch

    inputs = encode_pages(processor, images, profile.prompt).to(model.device)
    if inputs["pixel_values"].is_floating_point():
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
    with torch.inference_mode():
        tokens = model.generate(**inputs, do_sample=False, max_new_tokens=profile.max_new_tokens)
    answers = tokens[:, inputs["input_ids"].shape[1] :]
    ends = set(end_tokens(model))
    texts = processor.tokenizer.batch_decode(answers, skip_special_tokens=True)
    return [(text, "stop" if ends & set(answer.tolist()) else "length") for text, answer in zip(texts, answers, strict=True)]
