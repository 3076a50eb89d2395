"""Look at every example before the first step: does its image open, and does it fit the model?"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ocrtune.models.vlm import encode_pages, open_image
from ocrtune.training.answer_tokens import AnswerTokenizer

THREADS = 8  # decoding releases the interpreter's lock


@dataclass
class Fit:
    """What became of a set of examples; `lengths` are tokens of image and prompt, and of the answer."""

    kept: list[dict]  # rows with `tokens` (the answer's ids), `prompt_tokens` and `whole` (False: cut short)
    refused: list[dict]  # rows {page_id, reason}
    num_cut: int = 0

    def report(self, limit: int) -> str:
        """Return the length budget in a line."""
        if not self.kept:
            return "no examples"
        prompts, answers = ([size(row) for row in self.kept] for size in (lambda row: row["prompt_tokens"], lambda row: len(row["tokens"])))
        return (f"{min(prompts)} to {max(prompts)} tokens of image and prompt, {min(answers)} to {max(answers)} of text; "
                f"longest {max(map(example_length, self.kept))} of {limit}; {self.num_cut} cut short, {len(self.refused)} refused")

    def warn_of_cut_answers(self, max_new_tokens: int) -> str:
        """Return a line that says how many texts are longer than what the student may write; empty where none is."""
        longer = [len(row["tokens"]) for row in self.kept if len(row["tokens"]) > max_new_tokens]
        if not longer:
            return ""
        return (f"{len(longer)} of {len(self.kept)} texts, of up to {max(longer)} tokens, are longer than max_new_tokens "
                f"({max_new_tokens}) lets the student write: readings of them will end early, and score so; raise it")


def example_length(row: dict) -> int:
    """Return the tokens of image, prompt and answer, with the token that ends it."""
    return row["prompt_tokens"] + len(row["tokens"]) + row["whole"]


def image_size(path: Path) -> tuple[int, int] | str:
    """Return width and height of an image that opens to its last pixel, or why it does not."""
    try:
        return open_image(path).size
    except ValueError as error:
        return str(error)


def prompt_lengths(processor, prompt: str) -> Callable[[tuple[int, int]], int]:
    """Return a function: the tokens of prompt and image for an image of (width, height) px, as the processor really lays them."""
    from PIL import Image

    @cache
    def length(size: tuple[int, int]) -> int:
        return encode_pages(processor, [Image.new("RGB", size, "white")], prompt)["input_ids"].shape[1]

    return length


def text_limit(model) -> int:
    """Return how many tokens the model can hold at once."""
    return int(model.config.get_text_config().max_position_embeddings)


def fit_examples(
    rows: Sequence[dict], images: Path, processor, prompt: str, limit: int, too_long: str, ends: Iterable[int] = (),
) -> Fit:
    """Sort out what can't be learnt from: images that don't open, texts that can't be told from control, examples over `limit` tokens.

    `too_long` says what becomes of the latter: `refuse`, `shorten` (the text, never the image, and its
    end is not taught) or `fail`. A `ValueError` where it is `fail` and one is too long. `ends` are the tokens that end an answer.
    """
    from tqdm import tqdm

    encode, prompt_length = AnswerTokenizer(processor, ends), prompt_lengths(processor, prompt)
    fit = Fit([], [])
    with ThreadPoolExecutor(THREADS) as pool:
        sizes = list(tqdm(pool.map(image_size, [images / row["image"] for row in rows]), total=len(rows), desc="examples",
                          unit="image", mininterval=2, leave=False))
    for row, size in zip(rows, sizes, strict=True):
        if isinstance(size, str):
            fit.refused.append({"page_id": row["page_id"], "reason": size.removeprefix(f"{images / row['image']}: ")})
            continue
        try:
            tokens = encode(row["text"])
        except ValueError as error:
            fit.refused.append({"page_id": row["page_id"], "reason": str(error)})
            continue
        example = {**row, "tokens": tokens, "prompt_tokens": prompt_length(size), "whole": True}
        room = limit - example["prompt_tokens"] - 1
        if len(tokens) <= room:
            fit.kept.append(example)
        elif too_long == "shorten" and room > 0:
            fit.kept.append({**example, "tokens": tokens[:room], "whole": False})
            fit.num_cut += 1
        elif too_long == "fail":
            raise ValueError(f"{row['page_id']}: {example_length(example)} tokens ({example['prompt_tokens']} of image and prompt), "
                             f"more than {limit}; set train.too_long to refuse or shorten, or render smaller images")
        else:
            fit.refused.append({"page_id": row["page_id"], "reason": f"{example_length(example)} tokens, more than {limit}"})
    return fit
