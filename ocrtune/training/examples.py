"""Look at every example before the first step: does its image open, and does it fit the model?"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ocrtune.models.line_images import widest
from ocrtune.models.vlm import encode_pages, open_image
from ocrtune.training.answer_tokens import AnswerTokenizer

THREADS = 8  # decoding releases the interpreter's lock
SHOWN = 20  # characters named in the report


@dataclass
class Fit:
    """What became of a set of examples; `lengths` are tokens of image and prompt, and of the answer."""

    kept: list[dict]  # rows with `tokens` (the answer's ids), `prompt_tokens` and `whole` (False: cut short)
    refused: list[dict]  # rows {page_id, reason}
    num_cut: int = 0
    num_wide: int = 0  # kept, but with their letters squeezed
    num_unwritten: int = 0  # refused for characters that the model can't write
    unknown: Counter = field(default_factory=Counter)  # those characters: how many examples hold each

    def report(self, limit: int) -> str:
        """Return the length budget in a line."""
        troubles = f"{self.num_cut} cut short, {len(self.refused)} refused"
        if self.num_wide:
            troubles += f"; {self.num_wide} wider than the model sees, their letters squeezed: cut such lines in two"
        if self.unknown:
            shown = " ".join(show_character(character) for character, _ in self.unknown.most_common(SHOWN))
            troubles += (f"; the model can't write these characters: {shown}{' ...' if len(self.unknown) > SHOWN else ''}, "
                         f"in {self.num_unwritten} of {len(self.kept) + len(self.refused)} examples")
        if not self.kept:
            return f"no examples; {troubles}" if self.refused else "no examples"
        prompts, answers = ([size(row) for row in self.kept] for size in (lambda row: row["prompt_tokens"], lambda row: len(row["tokens"])))
        return (f"{min(prompts)} to {max(prompts)} tokens of image and prompt, {min(answers)} to {max(answers)} of text; "
                f"longest {max(map(example_length, self.kept))} of {limit}; {troubles}")

    def warn_of_cut_answers(self, max_new_tokens: int) -> str:
        """Return a line that says how many texts are longer than what the student may write; empty where none is."""
        longer = [len(row["tokens"]) for row in self.kept if len(row["tokens"]) > max_new_tokens]
        if not longer:
            return ""
        return (f"{len(longer)} of {len(self.kept)} texts, of up to {max(longer)} tokens, are longer than max_new_tokens "
                f"({max_new_tokens}) lets the student write: readings of them will end early, and score so; raise it")


def show_character(character: str) -> str:
    """Return a character as it can be seen in a message: marks, blanks and controls by their number."""
    seen = character.isprintable() and not character.isspace() and not unicodedata.combining(character)
    return character if seen else f"U+{ord(character):04X}"


def write(encode: AnswerTokenizer, text: str) -> tuple[list[int], list[str]]:
    """Return the ids of a text and its characters that they can't say; most tokenizers can say all, byte by byte.

    Where one can't, letters with loose marks are tried composed (NFC), which reads the same. A `ValueError` as of `encode`.
    """
    tokens, unknown = encode(text), encode.tokenizer.unk_token_id
    if unknown is None or unknown not in tokens:
        return tokens, []
    text = unicodedata.normalize("NFC", text)
    alone = sorted(set(text))
    ids = encode.tokenizer(alone, add_special_tokens=False)["input_ids"]
    return encode(text), [character for character, found in zip(alone, ids, strict=True) if unknown in found]


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
    """Sort out what can't be learnt from.

    That are images that don't open, texts that can't be told from control or hold characters that the model can't write, and examples
    over `limit` tokens. `too_long` says what becomes of the latter: `refuse`, `shorten` (the text, never the image, and its
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
            tokens, unwritten = write(encode, row["text"])
        except ValueError as error:
            fit.refused.append({"page_id": row["page_id"], "reason": str(error)})
            continue
        if unwritten:
            fit.unknown.update(unwritten)
            fit.num_unwritten += 1
            named = " ".join(map(show_character, unwritten))
            fit.refused.append({"page_id": row["page_id"], "reason": f"its text holds characters that the model can't write: {named}"})
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
    kept, most = {row["page_id"] for row in fit.kept}, widest(processor)
    fit.num_wide = sum(row["page_id"] in kept and size[0] / size[1] > most for row, size in zip(rows, sizes, strict=True))
    return fit
