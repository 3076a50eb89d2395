"""Make training batches: image and prompt as the reader will see them, loss on the answer and its end alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocrtune.models.vlm import encode_pages, open_image


@dataclass
class AnswerCollator:
    """Turn rows {image, text} into a batch; `folder` is where image paths start.

    A row may bring `tokens`, its text's ids made before, and `whole: false` where they are cut short: no end is taught then.

    Prompts are padded on the left, answers on the right, then each row is moved left as a whole, so
    that padding trails. Labels are -100 but for the answer's tokens and the end-of-text token.
    """

    processor: Any
    prompt: str
    folder: Path
    end: int  # token id that ends an answer

    def __call__(self, rows: list[dict]) -> dict:
        import torch

        batch = dict(encode_pages(self.processor, [open_image(self.folder / row["image"]) for row in rows], self.prompt))
        tokenizer = self.processor.tokenizer
        answers = [self.answer(row) for row in rows]
        longest = max(map(len, answers))
        tokens = torch.full((len(rows), longest), tokenizer.pad_token_id)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for row, answer in enumerate(answers):
            tokens[row, : len(answer)] = torch.tensor(answer)
            mask[row, : len(answer)] = 1
        prompts = batch["input_ids"]
        batch["labels"] = torch.cat([torch.full_like(prompts, -100), tokens.masked_fill(mask == 0, -100)], 1)
        batch["input_ids"] = torch.cat([prompts, tokens], 1)
        batch["attention_mask"] = torch.cat([batch["attention_mask"], mask], 1)
        for name in ("token_type_ids", "mm_token_type_ids"):
            if name in batch:
                batch[name] = torch.cat([batch[name], torch.zeros_like(tokens)], 1)
        return shift_left(batch)

    def answer(self, row: dict) -> list[int]:
        """Return the ids that the model is to write."""
        tokens = row["tokens"] if "tokens" in row else self.processor.tokenizer(row["text"], add_special_tokens=False)["input_ids"]
        return [*tokens, self.end] if row.get("whole", True) else list(tokens)


def shift_left(batch: dict) -> dict:
    """Move the tokens of each row left over its leading padding, and drop columns that are padding alone."""
    import torch

    shape = batch["attention_mask"].shape
    # A stable sort by "is padding" keeps the order of tokens: prompt, then answer.
    order = torch.argsort(1 - batch["attention_mask"], dim=1, stable=True)
    width = int(batch["attention_mask"].sum(1).max())
    for name, value in batch.items():
        if torch.is_tensor(value) and value.shape == shape:
            batch[name] = value.gather(1, order)[:, :width]
    return batch
