"""Read config.json of DeepSeek-OCR (the first) as it was published, and write it back as it was.

The published file describes a language model at its top level and under `language_config`, and the vision
towers under `vision_config.width`. It is kept whole: what our model needs is derived from it, and saving a
model writes the same file, so that vLLM and the original code read a fine-tuned model too.
"""

import copy
import json

from transformers.configuration_utils import PreTrainedConfig
from transformers.models.deepseek_ocr2.configuration_deepseek_ocr2 import DeepseekOcr2SamVisionConfig, DeepseekOcr2TextConfig

from ocrtune.families.deepseek_ocr import IMAGE_TOKEN_ID

ARCHITECTURE = "DeepseekOCRForCausalLM"
IMAGE_TOKEN = "<image>"

# What the original code can be told and this one can't: a file that says otherwise is refused.
FIXED = {"use_mla": False, "norm_topk_prob": False, "scoring_func": "softmax", "topk_method": "greedy", "rope_scaling": None,
         "moe_layer_freq": 1}
TEXT_KEYS = (
    "vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "n_routed_experts", "n_shared_experts", "num_experts_per_tok", "n_group", "topk_group", "topk_method",
    "routed_scaling_factor", "max_position_embeddings", "bos_token_id", "eos_token_id", "pad_token_id", "rms_norm_eps", "hidden_act",
    "attention_bias", "attention_dropout", "initializer_range", "rope_theta",
)


class DeepseekOcrClipConfig(PreTrainedConfig):
    """The second vision tower: a CLIP of published size unless told otherwise."""

    model_type = "deepseek_ocr_clip"
    base_config_key = "clip_config"

    hidden_size: int = 1024
    intermediate_size: int = 4096
    num_hidden_layers: int = 24
    num_attention_heads: int = 16
    image_size: int = 224
    patch_size: int = 14
    num_channels: int = 3
    layer_norm_eps: float = 1e-5
    initializer_range: float = 0.02


class DeepseekOcrVisionConfig(PreTrainedConfig):
    """Both towers: SAM looks at pixels, CLIP at what SAM saw."""

    model_type = "deepseek_ocr_vision"
    base_config_key = "vision_config"
    sub_configs = {"sam_config": DeepseekOcr2SamVisionConfig, "clip_config": DeepseekOcrClipConfig}  # noqa: RUF012

    sam_config: dict | PreTrainedConfig | None = None
    clip_config: dict | PreTrainedConfig | None = None

    def __post_init__(self, **kwargs):
        if not isinstance(self.sam_config, PreTrainedConfig):
            self.sam_config = DeepseekOcr2SamVisionConfig(**{"downsample_channels": [512, 1024], **(self.sam_config or {})})
        if not isinstance(self.clip_config, PreTrainedConfig):
            self.clip_config = DeepseekOcrClipConfig(**(self.clip_config or {}))
        super().__post_init__(**kwargs)


class DeepseekOcrConfig(PreTrainedConfig):
    """The published config.json: `DeepseekOcrConfig(**json)`; `to_dict` gives that JSON back, its `model_type` too.

    The original code's own `save_pretrained` calls the type DeepseekOCR; such a file is as welcome.

    A file that describes another model (DeepSeek-VL2 and DeepSeek-OCR-2 share its `model_type`) is a `ValueError`.
    """

    model_type = "deepseek_vl_v2"
    has_no_defaults_at_init = True
    sub_configs = {"vision_config": DeepseekOcrVisionConfig, "text_config": DeepseekOcr2TextConfig}  # noqa: RUF012

    def __init__(self, attn_implementation=None, experts_implementation=None, dtype=None, name_or_path="", _commit_hash=None, **published):
        language = {**published.get("language_config", {}), **{key: published[key] for key in TEXT_KEYS if key in published}}
        check_architecture(published, language)
        self.text_config = DeepseekOcr2TextConfig(**text_settings(language))
        self.vision_config = DeepseekOcrVisionConfig(**vision_settings(published.get("vision_config", {})))
        self.image_token_id = published.get("image_token_id", IMAGE_TOKEN_ID)
        self.tie_word_embeddings = published.get("tie_word_embeddings", False)
        self.published = copy.deepcopy(published)
        super().__init__(
            attn_implementation=attn_implementation, experts_implementation=experts_implementation,
            dtype=dtype or published.get("torch_dtype"), architectures=[ARCHITECTURE], name_or_path=name_or_path,
            **{key: language[key] for key in ("bos_token_id", "eos_token_id")},
        )

    def to_dict(self) -> dict:
        """Return the published file's content; `torch_dtype` says how the weights are stored now."""
        told = {**copy.deepcopy(self.published), "architectures": [ARCHITECTURE]}
        if self.dtype is not None:
            told["torch_dtype"] = str(self.dtype).removeprefix("torch.")
        quantization = getattr(self, "quantization_config", None)
        if quantization is not None:
            told["quantization_config"] = quantization if isinstance(quantization, dict) else quantization.to_dict()
        return told

    def to_diff_dict(self) -> dict:
        return self.to_dict()

    def to_json_string(self, use_diff: bool = True) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


def check_architecture(published: dict, language: dict) -> None:
    """Raise a `ValueError` where config.json describes a model that this code is not."""
    architecture = (published.get("architectures") or [None])[0]
    if architecture != ARCHITECTURE:
        raise ValueError(f"config.json: architectures says {architecture}, not {ARCHITECTURE}: not the first DeepSeek-OCR; "
                         "for DeepSeek-OCR-2 take the files of deepseek-community/DeepSeek-OCR-2")
    told = {**language, **published}
    for key, value in FIXED.items():
        if told.get(key, value) != value:
            raise ValueError(f"config.json: {key} is {told[key]!r}; DeepSeek-OCR has {value!r}, and this code knows no other")
    missing = [key for key in ("vocab_size", "hidden_size", "num_hidden_layers", "n_routed_experts") if key not in language]
    if missing:
        raise ValueError(f"config.json: {', '.join(missing)} missing at its top level and in language_config")


def text_settings(language: dict) -> dict:
    """Return the decoder's settings: the first layers dense, the others mixtures of experts, plain multi-head attention."""
    settings = {key: language[key] for key in TEXT_KEYS if key in language and key != "rope_theta"}
    dense = language.get("first_k_dense_replace", 0)
    settings["mlp_layer_types"] = ["dense" if layer < dense else "sparse" for layer in range(language["num_hidden_layers"])]
    settings["rope_parameters"] = {"rope_type": "default", "rope_theta": float(language.get("rope_theta", 10000.0))}
    return settings


def vision_settings(vision: dict) -> dict:
    """Return the towers' settings. The original code builds both at fixed sizes; a smaller model states them under `width`."""
    sam, clip = (vision.get("width", {}).get(name, {}) for name in ("sam_vit_b", "clip-l-14-224"))
    names = {"width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads"}
    return {
        "sam_config": {"image_size": vision.get("image_size", 1024), **{names.get(key, key): value for key, value in sam.items()}},
        "clip_config": {names.get(key, key): value for key, value in clip.items()},
    }
