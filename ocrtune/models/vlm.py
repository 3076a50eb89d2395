"""Load a vision-language model and hand it pages, the same way in training, merging and reading.

What the model was told in training it must be told ever after: prompt, roles and geometry are made
here and nowhere else.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ocrtune.models.checkpoints import check_code, check_loaded, check_whole, read_config, weight_files
from ocrtune.models.contract import check_template
from ocrtune.models.downloads import check_commit
from ocrtune.models.gpu_locks import claim_gpu
from ocrtune.models.line_images import scale_up
from ocrtune.models.packed_attention import use_packed_attention
from ocrtune.models.processors import open_processor
from ocrtune.models.quantization import four_bit_settings
from ocrtune.params.students import StudentProfile

# On a CPU it recommends a faster kernel the moment transformers' trainer or peft imports it, used or not.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def weights_digest(folder: Path) -> str:
    """Return one SHA-256 over a model folder's weights, configuration, tokenizer and processor."""
    digest = hashlib.sha256()
    files = sorted(path for path in folder.glob("*") if path.suffix in (".safetensors", ".json", ".jinja", ".model", ".txt"))
    if not files:
        raise ValueError(f"{folder}: no model here; put config.json and *.safetensors there, or name a `repository` in its profile")
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


def find_family(folder: Path):
    """Return the module of ocrtune/families that this kind of model needs; most need none, and get None."""
    match read_config(folder)["model_type"]:
        case "deepseek_vl_v2" | "DeepseekOCR":
            from ocrtune.families import deepseek_ocr as family
        case "deepseek_ocr2":
            from ocrtune.families import deepseek_ocr2 as family
        case "got_ocr2":
            from ocrtune.families import got_ocr2 as family
        case "smolvlm":
            from ocrtune.families import smolvlm as family
        case _:
            return None
    return family


def find_model_class(folder: Path, profile: StudentProfile):
    """Return the class whose `from_pretrained` and `_from_config` build the model in `folder`; code of its own wants trust."""
    from transformers import AutoModelForImageTextToText
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    family = find_family(folder)
    if hasattr(family, "prepare"):
        family.prepare()
    if hasattr(family, "model_class"):
        return family.model_class()
    check_commit(folder, profile)
    check_code(folder, known=read_config(folder)["model_type"] in CONFIG_MAPPING, trusted=profile.trust_remote_code)
    return AutoModelForImageTextToText


def load_model(folder: Path, profile: StudentProfile, dtype: str | None = None, in_4bit: bool = False):
    """Return the model in `folder`, in evaluation mode, on the GPU where there is one; `in_4bit`: its linear layers in 4 bits.

    A folder without weights, with torn ones or with those of another model is a `ValueError`.
    """
    import torch

    quiet_libraries()
    claim_gpu()
    if "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # of several launched processes each has its own GPU
    builder = find_model_class(folder, profile)
    for path in weight_files(folder):
        check_whole(path)
    kind = getattr(torch, dtype or profile.dtype)
    more = four_bit_settings(kind) if in_4bit else {}
    more |= {"trust_remote_code": True} if profile.trust_remote_code else {}
    model, report = builder.from_pretrained(folder, dtype=kind, local_files_only=True, use_safetensors=True,
                                            output_loading_info=True, ignore_mismatched_sizes=True, **more)
    check_loaded(folder, report)
    end_first(model, folder, profile)
    take_any_pixels(model)
    use_packed_attention(model)
    if not in_4bit:  # those are where they belong, and can't be moved
        model.to("cuda" if torch.cuda.is_available() else "cpu")
    return model.eval()


def end_first(model, folder: Path, profile: StudentProfile) -> None:
    """Tell a model which token ends its answers, where the profile says."""
    if profile.end:
        lead_with(model, token_id(folder, profile.end))


def take_any_pixels(model) -> None:
    """Let a model take pixels in any type."""
    model.get_encoder(modality="image").register_forward_pre_hook(match_pixels, with_kwargs=True)


def match_pixels(tower, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Turn what a vision tower gets into the type of its weights: processors give float32."""
    import torch

    def match(value):
        return value.to(tower.dtype) if torch.is_tensor(value) and value.is_floating_point() else value

    return tuple(map(match, args)), {name: match(value) for name, value in kwargs.items()}


def token_id(folder: Path, token: str) -> int:
    """Return the id of a token in the folder's tokenizer; one that it lacks is a `ValueError`."""
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id(token)
    if found is None:
        raise ValueError(f"{folder}/tokenizer.json: has no token {token}, which the profile's `end` names")
    return found


def load_processor(folder: Path, profile: StudentProfile):
    """Return the processor in `folder` with the profile's geometry; it knows the token that stands for the picture.

    One of another model, or with another chat template than the model was trained with, is a `ValueError`.
    """
    family = find_family(folder)
    settings = {name: value for name, value in profile.image.items() if name != "min_height"}
    if profile.trust_remote_code and family is None:
        from transformers import AutoProcessor

        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=True, **settings)
        processor.min_height = profile.image.get("min_height", 1)
        return processor
    processor = family.load_processor(folder, settings) if family else open_processor(folder, settings)
    processor.min_height = profile.image.get("min_height", 1)
    config = read_config(folder)
    expected = config.get("image_token_id", config.get("image_token_index", getattr(family, "IMAGE_TOKEN_ID", None)))
    if expected is not None and expected not in processor.image_token_ids:
        raise ValueError(f"{folder}/tokenizer.json: token {expected}, which stands for the picture in config.json, is not its "
                         f"{processor.image_token}; is this the tokenizer of another model?")
    check_template(folder, processor)
    return processor


def open_image(path: Path):
    """Return an image as RGB; an unreadable one is a `ValueError` that names it."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not an image that opens: {error}") from None


def prompt_text(processor, prompt: str) -> str:
    """Return the words before the answer: image, prompt and roles as the model's own template lays them.

    A prompt that holds the picture's token itself is a `ValueError`: there would be one picture too few.
    """
    content = [{"type": "image"}] + ([{"type": "text", "text": prompt}] if prompt else [])
    text = processor.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
    if text.count(processor.image_token) != 1:
        raise ValueError(f"prompt {prompt!r}: {text.count(processor.image_token)} times {processor.image_token} for one picture; "
                         "the model's template puts it there: leave it out of the prompt")
    return text


def encode_pages(processor, images: Sequence, prompt: str):
    """Return model inputs for pages, padded on the left: input_ids and attention_mask (n, t), pixel_values."""
    text = prompt_text(processor, prompt)
    height = getattr(processor, "min_height", 1)
    return processor(images=[[scale_up(image, height)] for image in images], text=[text] * len(images), padding=True, padding_side="left",
                     return_tensors="pt", add_special_tokens=False, **getattr(processor, "image_settings", {}))


def end_tokens(model) -> list[int]:
    """Return the ids of the tokens that end an answer; training writes the first."""
    ends = model.generation_config.eos_token_id
    return ends if isinstance(ends, list) else [ends]


def lead_with(model, end: int) -> None:
    """Make `end` the first of the model's end tokens."""
    others = [token for token in end_tokens(model) if token not in (None, end)]
    model.generation_config.eos_token_id = [end, *others] if others else end


def generate_texts(model, processor, images: Sequence, profile: StudentProfile) -> list[tuple[str, str]]:
    """Return (text, finish_reason) for each image: greedy decoding, all in one batch.

    The text is as the model wrote it, with tokens such as <td> and <|ref|> that are content; those that only frame an
    answer are left out.
    """
    import torch

    inputs = encode_pages(processor, images, profile.prompt).to(model.device)
    start = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        tokens = model.generate(**inputs, do_sample=False, max_new_tokens=profile.max_new_tokens,
                                logits_processor=repeat_guards(processor.tokenizer, profile, start))
    ends = set(end_tokens(model))
    frame = ends | set(processor.tokenizer.all_special_ids)
    answers = tokens[:, start:].tolist()
    texts = [processor.tokenizer.decode([token for token in answer if token not in frame]) for answer in answers]
    return [(text, "stop" if ends & set(answer) else "length") for text, answer in zip(texts, answers, strict=True)]


def repeat_guards(tokenizer, profile: StudentProfile, start: int) -> list:
    """Return the profile's guard against loops, if it has one, for a prompt of `start` tokens."""
    if profile.repeat_guard is None:
        return []
    from ocrtune.models.repeat_guard import build_repeat_guard

    guard, known = profile.repeat_guard, tokenizer.get_vocab()
    return [build_repeat_guard(guard.size, guard.window, start, [known[token] for token in guard.exempt if token in known])]
