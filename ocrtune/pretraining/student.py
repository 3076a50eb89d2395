"""Build the embedded student: a small native vision-language model that reads text lines on a CPU.

The family is transformers' `lighton_ocr` (a Pixtral vision tower, a patch merger, a Qwen3 decoder)
with a vocabulary of single characters. Everything else, processor and chat template included, is as
with its large sisters, so that whatever trains and serves them trains and serves this one.
"""

from ocrtune.pretraining.line_image import LINE_HEIGHT, MAX_WIDTH, WIDTH_STEP
from ocrtune.pretraining.line_text import CHARACTERS

SPECIAL_TOKENS = ["<pad>", "<bos>", "<eos>", "<unk>", "<|image|>", "<|image_break|>", "<|image_end|>"]
PAD, BOS, EOS, UNKNOWN, IMAGE = range(5)
# Line breaks and a few signs that other alphabets' users meet first; a token costs 384 bytes.
VOCABULARY = [*SPECIAL_TOKENS, *dict.fromkeys(["\n", "\t", *CHARACTERS, *"ﬁﬂ₫→←×÷≤≥≈′″ʼ☐☑✓"])]
TOKEN_ID = {token: index for index, token in enumerate(VOCABULARY)}
MAX_NEW_TOKENS = 160

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'user' %}"
    "{% if message.content is not string %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<|image|>{% endif %}{% endfor %}{% endif %}<bos>"
    "{% elif message.role == 'assistant' %}{% generation %}"
    "{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}"
    "<eos>{% endgeneration %}{% endif %}"
    "{% endfor %}"
)


def encode(text: str) -> list[int]:
    """Return the token ids of `text`, one a character."""
    return [TOKEN_ID.get(character, UNKNOWN) for character in text]


def build_model(hidden_size: int = 192, vision_layers: int = 4, text_layers: int = 3, patch: int = WIDTH_STEP // 2, heads: int = 3):
    """Return an untrained student (fp32); 3.4 million parameters at the default shape."""
    from transformers import LightOnOcrConfig, LightOnOcrForConditionalGeneration

    shared = {"hidden_size": hidden_size, "num_attention_heads": heads, "head_dim": hidden_size // heads,
              "intermediate_size": hidden_size * 8 // 3}
    vision = {"model_type": "pixtral", **shared, "num_hidden_layers": vision_layers, "patch_size": patch,
              "image_size": MAX_WIDTH, "hidden_act": "silu", "rope_parameters": {"rope_type": "axial", "rope_theta": 1000.0}}
    text = {"model_type": "qwen3", **shared, "num_hidden_layers": text_layers, "num_key_value_heads": heads,
            "vocab_size": -(-len(VOCABULARY) // 8) * 8, "max_position_embeddings": 2048, "tie_word_embeddings": True,
            "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    config = LightOnOcrConfig(
        spatial_merge_size=WIDTH_STEP // patch, image_token_id=IMAGE, tie_word_embeddings=True, vision_config=vision, text_config=text,
        pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
    )
    model = LightOnOcrForConditionalGeneration(config)
    model.generation_config.max_new_tokens = MAX_NEW_TOKENS
    return model


def build_processor():
    """Return the processor: lines scaled to 32 px height, one token a character, the image before the text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LightOnOcrProcessor, PreTrainedTokenizerFast
    from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

    tokenizer = Tokenizer(models.WordLevel(TOKEN_ID, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
        extra_special_tokens={"image_token": "<|image|>", "image_break_token": "<|image_break|>",
                              "image_end_token": "<|image_end|>"},
        padding_side="left", clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    images = PixtralImageProcessorPil(
        patch_size={"height": WIDTH_STEP, "width": WIDTH_STEP}, size={"height": LINE_HEIGHT, "width": MAX_WIDTH},
        image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=3,
    )
    return LightOnOcrProcessor(images, fast, patch_size=WIDTH_STEP // 2, spatial_merge_size=2, chat_template=CHAT_TEMPLATE)
