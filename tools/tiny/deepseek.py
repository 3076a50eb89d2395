"""Both DeepSeek-OCR as tiny random models, in the layouts of their repositories."""

from pathlib import Path

from tools.tiny.models import EXPERTS, save, text_settings, write_json
from tools.tiny.tokens import DEEPSEEK, byte_tokenizer

ROLES = {"bos_token": DEEPSEEK[0], "eos_token": DEEPSEEK[1], "pad_token": DEEPSEEK[2]}
LANGUAGE = {  # the keys of the published language_config
    "architectures": ["DeepseekV2ForCausalLM"], "bos_token_id": 0, "eos_token_id": 1, "first_k_dense_replace": 1, "hidden_size": 64,
    "intermediate_size": 128, "kv_lora_rank": None, "lm_head": True, "max_position_embeddings": 8192, "moe_intermediate_size": 32,
    "n_group": 1, "n_routed_experts": 4, "n_shared_experts": 2, "num_attention_heads": 4, "num_experts_per_tok": 2,
    "num_hidden_layers": 2, "num_key_value_heads": 4, "q_lora_rank": None, "qk_nope_head_dim": 0, "qk_rope_head_dim": 0,
    "rm_head": False, "topk_group": 1, "topk_method": "greedy", "torch_dtype": "float32", "use_mla": False, "v_head_dim": 0,
    "vocab_size": len(DEEPSEEK) + 256,
}
CLIP = {"heads": 4, "image_size": 224, "layers": 2, "patch_size": 14, "width": 48, "intermediate_size": 96}
SAM = {"downsample_channels": [24, 48], "global_attn_indexes": [1], "heads": 2, "layers": 2, "width": 32, "output_channels": 16}


def published_config(image_size: int = 128, **language) -> dict:
    """Return a config.json with the published one's keys; `image_size` is what SAM's positions are laid out for."""
    told = LANGUAGE | language
    return {
        "_name_or_path": "deepseek-ai/DeepSeek-OCR", "candidate_resolutions": [[1024, 1024]], "global_view_pos": "head",
        "architectures": ["DeepseekOCRForCausalLM"],
        "auto_map": {"AutoConfig": "modeling_deepseekocr.DeepseekOCRConfig", "AutoModel": "modeling_deepseekocr.DeepseekOCRForCausalLM"},
        "language_config": told, "model_type": "deepseek_vl_v2",
        "projector_config": {"input_dim": 96, "model_type": "mlp_projector", "n_embed": told["hidden_size"], "projector_type": "linear"},
        "tile_tag": "2D", "torch_dtype": "float32", "transformers_version": "4.46.3",
        "vision_config": {"image_size": image_size, "mlp_ratio": 3.7362, "model_name": "deeplip_b_l", "model_type": "vision",
                          "width": {"clip-l-14-224": CLIP, "sam_vit_b": SAM}},
        "image_token_id": DEEPSEEK.index("<image>"),  # the original code has it fixed at 128815
        **{key: value for key, value in told.items() if key not in ("architectures", "torch_dtype")},
    }


def write_published_tokenizer(folder: Path) -> None:
    """Write the tokenizer's and processor's files under the names and with the claims that the published ones have."""
    byte_tokenizer(DEEPSEEK, **ROLES).backend_tokenizer.save(str(folder / "tokenizer.json"))
    # The published file claims a class of Llama's, whose rules are not those of tokenizer.json.
    write_json(folder / "tokenizer_config.json", {
        "add_bos_token": True, "add_eos_token": False, **ROLES, "clean_up_tokenization_spaces": False, "legacy": True,
        "tokenizer_class": "LlamaTokenizerFast", "unk_token": None, "use_default_system_prompt": False})
    write_json(folder / "special_tokens_map.json", {"additional_special_tokens": ["<|User|>", "<|Assistant|>"], **ROLES})
    write_json(folder / "processor_config.json", {
        "add_special_token": False, "candidate_resolutions": [[1024, 1024]], "downsample_ratio": 4, "ignore_id": -100,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "image_token": "<image>", "mask_prompt": False, "normalize": True,
        "pad_token": ROLES["pad_token"], "patch_size": 16, "processor_class": "DeepseekVLV2Processor", "sft_format": "deepseek"})


def build_deepseek_ocr(folder: Path) -> None:
    from ocrtune.deepseek_ocr.configuration import DeepseekOcrConfig
    from ocrtune.deepseek_ocr.modeling import DeepseekOCRForCausalLM
    from ocrtune.deepseek_ocr.registration import register

    register()
    tokenizer = byte_tokenizer(DEEPSEEK, **ROLES)
    save(folder, DeepseekOCRForCausalLM, DeepseekOcrConfig(**published_config()), tokenizer, None, {})
    for name in ("generation_config.json", "tokenizer_config.json"):  # the repository has none; has another
        (folder / name).unlink()
    write_published_tokenizer(folder)


def build_deepseek_ocr2(folder: Path) -> None:
    """The tables of queries have 144 and 256 entries whatever the size, so a tile is seen as 12 x 12 cells: patches of 2 pixels."""
    from transformers import DeepseekOcr2Config, DeepseekOcr2ForConditionalGeneration

    tokenizer = byte_tokenizer(DEEPSEEK, named={"image_token": "<image>"}, **ROLES)
    config = DeepseekOcr2Config(
        image_token_id=tokenizer.image_token_id, bos_token_id=0, eos_token_id=1,
        text_config=text_settings(tokenizer, **EXPERTS, n_shared_experts=1, mlp_layer_types=["dense", "sparse"]),
        vision_config={
            "sam_config": {"hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_dim": 64,
                           "image_size": 96, "patch_size": 16, "window_size": 4, "global_attn_indexes": [1],
                           "downsample_channels": [24, 48]},
            "encoder_config": {"vocab_size": 1, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
                               "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024}})
    save(folder, DeepseekOcr2ForConditionalGeneration, config, tokenizer, None, {}, {
        "processor_class": "DeepseekOcr2Processor", "patch_size": 2, "downsample_ratio": 4, "image_processor": {
            "image_processor_type": "DeepseekOcr2ImageProcessor", "size": {"height": 96, "width": 96}, "tile_size": 96}})
