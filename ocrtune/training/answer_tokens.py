"""Turn labels into the tokens of an answer, so that what a page says is never taken for control.

`<s>` is ordinary HTML, and to some tokenizers the beginning of a text; a page on language models may name any of them. Learnt
as such tokens, they would teach a model to stop in mid-page, and no reading would ever show them.
"""

import json
from collections.abc import Iterable

from ocrtune.models.vlm import end_tokens


def barred_tokens(model, processor) -> set[int]:
    """Return the ids that a text may not be learnt as: what ends an answer, and what the model has no embedding for.

    Some processors (Granite-Docling's) add tokens to a tokenizer that the weights know nothing of.
    """
    return {*end_tokens(model), *range(model.get_input_embeddings().weight.shape[0], len(processor.tokenizer))}


def role_tokens(processor, ends: Iterable[int]) -> set[int]:
    """Return the ids that no text may hold: those that frame an answer, which readings leave out, and those that stand for pictures.

    Tokens that are content, such as <td>, are not among them; nor is the one for unknown characters, which texts do hold.
    """
    tokenizer = processor.tokenizer
    image = tokenizer.convert_tokens_to_ids(getattr(processor, "image_token", "<image>"))
    more = (getattr(processor, name, None) for name in ("image_token_id", "video_token_id"))
    return {*ends, *tokenizer.all_special_ids, image, *more} - {None, tokenizer.unk_token_id}


class AnswerTokenizer:
    """Encodes texts; where one spells a token with a role, its characters are encoded, and nothing else changes."""

    def __init__(self, processor, ends: Iterable[int]):
        self.tokenizer, self.roles = processor.tokenizer, role_tokens(processor, ends)
        self.literal = None

    def __call__(self, text: str) -> list[int]:
        """Return the ids of a text; a `ValueError` that says why where it can be none but with a role."""
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        held = self.roles.intersection(tokens)
        if not held:
            return tokens
        if getattr(self.tokenizer, "backend_tokenizer", None) is not None:
            self.literal = self.literal or self.build_literal()
            spelt = self.literal.encode(text, add_special_tokens=False).ids
            if not self.roles.intersection(spelt) and self.tokenizer.decode(spelt) == text:
                return spelt
        raise ValueError(f"its text holds {self.tokenizer.convert_ids_to_tokens(min(held))}, which has a role for the model and can't be "
                         "written in other tokens")

    def build_literal(self):
        """Return the tokenizer with the tokens that have a role, and no others, marked as those that it is to spell out."""
        from tokenizers import Tokenizer

        told = json.loads(self.tokenizer.backend_tokenizer.to_str())
        for token in told["added_tokens"]:
            token["special"] = token["id"] in self.roles
        literal = Tokenizer.from_str(json.dumps(told))
        literal.encode_special_tokens = True
        literal.no_truncation()
        literal.no_padding()
        return literal
