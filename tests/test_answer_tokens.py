"""What a page says is learnt as its characters, even where it spells a token that ends answers or stands for pictures."""

from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from ocrtune.models.vlm import end_tokens, generate_texts, load_model, load_processor
from ocrtune.params.students import StudentProfile
from ocrtune.training.answer_tokens import AnswerTokenizer, barred_tokens
from tools.make_tiny import IMAGE, make_tiny

STUDENTS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["students"]


def open_family(family: str, folder: Path):
    """Return profile, processor and model of a family's miniature."""
    make_tiny(family, folder)
    profile = StudentProfile(**STUDENTS[family] | {"dtype": "float32", "image": IMAGE.get(family, {})})
    return profile, load_processor(folder, profile), load_model(folder, profile)


@pytest.mark.parametrize(("family", "text", "content"), [
    ("paddleocr-vl", "Price <s>12</s> 10 EUR", []), ("qwen3-vl", "a<|im_end|> b <|image_pad|><|video_pad|>\n", []),
    ("gemma-3", " <eos>x<end_of_turn>", []), ("got-ocr2", "<|im_end|>", []), ("glm-ocr", "<|user|> says", []),
    ("granite-docling", "a<end_of_utterance>b", []),  # its processor adds this one, and the model has no embedding for it
    ("deepseek-ocr", "<td>1</td> <image><｜end▁of▁sentence｜> é", ["<td>", "</td>"]),
])
def test_control_is_spelt_out_and_content_stays(family, text, content, tmp_path):
    _, processor, model = open_family(family, tmp_path)
    tokenizer = processor.tokenizer
    encode = AnswerTokenizer(processor, barred_tokens(model, processor))
    tokens = encode(text)
    assert max(tokens) < model.get_input_embeddings().num_embeddings
    assert not {*tokens} & {*end_tokens(model), *tokenizer.all_special_ids, processor.image_token_id}
    assert tokenizer.decode(tokens) == text
    assert [token for token in tokenizer.convert_ids_to_tokens(tokens) if token in tokenizer.get_added_vocab()] == content
    assert tokenizer(text, add_special_tokens=False)["input_ids"] != tokens  # the tokenizer itself is as it was
    assert encode("plain") == tokenizer("plain", add_special_tokens=False)["input_ids"]


def test_a_text_with_control_is_read_back_as_it_was_learnt(tmp_path, monkeypatch):
    import torch
    from PIL import Image

    profile, processor, model = open_family("paddleocr-vl", tmp_path)
    text = "Price <s>12</s> 10 EUR"
    answer = torch.tensor([[*AnswerTokenizer(processor, end_tokens(model))(text), end_tokens(model)[0]]])
    monkeypatch.setattr(model, "generate", lambda input_ids, **_: torch.cat([input_ids, answer], 1))
    assert generate_texts(model, processor, [Image.new("RGB", (64, 64))], profile) == [(text, "stop")]


def test_a_tokenizer_that_marks_words_spells_them_too(tmp_path):
    """One of the SentencePiece kind, with a blank put before each text and control tokens among its words."""
    from types import SimpleNamespace

    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", "▁", *"Pr</s>12 ab", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {word: place for place, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in words[:3]])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokens = AnswerTokenizer(SimpleNamespace(tokenizer=fast), [2])("Pr <s>12</s> ab é")
    assert not {1, 2} & {*tokens}
    assert fast.decode(tokens) == "Pr <s>12</s> ab é"
