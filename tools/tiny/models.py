"""Each family as a tiny random model: its true architecture, processor files, tokens and template, at a thousandth of its size."""

import json
from pathlib import Path

from tools.tiny import templates, tokens
from tools.tiny.tokens import byte_tokenizer

TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 4096}
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
QWEN_VISION = {"hidden_size": 32, "intermediate_size": 64, "depth": 2, "num_heads": 2, "patch_size": 8, "spatial_merge_size": 2,
               "temporal_patch_size": 2, "out_hidden_size": 64}
MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]}
EXPERTS = {"moe_intermediate_size": 32, "n_routed_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 4}
FEW_PIXELS = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save(folder: Path, model_class, config, tokenizer, template: str | None, images: dict, processor: dict | None = None) -> None:
    """Write a model of random weights that sees, with the files that its family's repository has."""
    import torch

    torch.manual_seed(0)
    model = model_class(config)
    for name, weight in model.named_parameters():
        if weight.ndim > 1:  # at the usual spread of 0.02 (SAM: 1e-10) a model as small as this one is blind
            fan_in = weight.shape[-1] if "experts" in name else weight[0].numel()
            is_table = "rel_pos" not in name and (("embed" in name and weight.ndim == 2) or "pos" in name or "query_" in name)
            torch.nn.init.normal_(weight, std=0.5 if is_table else 0.02 if "rel_pos" in name else fan_in**-0.5)
        elif name.endswith(("newline", "separator", "class_embedding")):
            torch.nn.init.normal_(weight, std=0.5)
    model.generation_config.eos_token_id = config.eos_token_id if getattr(config, "eos_token_id", None) else tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if template:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    if images:
        write_json(folder / "preprocessor_config.json", images)
    if processor:
        write_json(folder / "processor_config.json", processor)


def text_settings(tokenizer, **more) -> dict:
    return {"vocab_size": len(tokenizer), **TEXT, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id, **more}


def token_ids(tokenizer, **names: str) -> dict[str, int]:
    return {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}


def build_qwen2_5_vl(folder: Path) -> None:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.QWEN, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    config = Qwen2_5_VLConfig(
        **token_ids(tokenizer, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>", vision_start_token_id="<|vision_start|>",
                    vision_end_token_id="<|vision_end|>"), tie_word_embeddings=True,
        text_config=text_settings(tokenizer, rope_parameters=MROPE, bos_token_id=0),
        vision_config={**QWEN_VISION, "fullatt_block_indexes": [1], "window_size": 32})
    save(folder, Qwen2_5_VLForConditionalGeneration, config, tokenizer, templates.QWEN, {
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor", "min_pixels": 256, "max_pixels": 4096,
        "patch_size": 8, "merge_size": 2, "temporal_patch_size": 2})


def build_qwen3_vl(folder: Path) -> None:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.QWEN, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    config = Qwen3VLConfig(
        **token_ids(tokenizer, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>", vision_start_token_id="<|vision_start|>",
                    vision_end_token_id="<|vision_end|>"), tie_word_embeddings=True,
        text_config=text_settings(tokenizer, head_dim=16, rope_parameters={**MROPE, "mrope_interleaved": True}),
        vision_config={**QWEN_VISION, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]})
    images = {"image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor", "size": FEW_PIXELS,
              "patch_size": 8, "merge_size": 2, "temporal_patch_size": 2, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    save(folder, Qwen3VLForConditionalGeneration, config, tokenizer, templates.QWEN, images)
    write_json(folder / "video_preprocessor_config.json", images | {"video_processor_type": "Qwen3VLVideoProcessor"})


def build_gemma3(folder: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.GEMMA, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>", named={
        "image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"})
    config = Gemma3Config(
        **token_ids(tokenizer, image_token_index="<image_soft_token>", boi_token_index="<start_of_image>",
                    eoi_token_index="<end_of_image>"), mm_tokens_per_image=16, eos_token_id=[1, 5],
        text_config=text_settings(tokenizer, head_dim=16, sliding_window=64, query_pre_attn_scalar=16,
                                  layer_types=["sliding_attention", "full_attention"]),
        vision_config={**VISION, "image_size": 64, "patch_size": 8, "vision_use_head": False})
    save(folder, Gemma3ForConditionalGeneration, config, tokenizer, templates.GEMMA, {
        "image_processor_type": "Gemma3ImageProcessor", "processor_class": "Gemma3Processor", "image_seq_length": 16,
        "size": {"height": 64, "width": 64}}, {"image_seq_length": 16, "processor_class": "Gemma3Processor"})


def build_paddleocr_vl(folder: Path) -> None:
    from transformers import PaddleOCRVLConfig, PaddleOCRVLForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.PADDLE, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
                               named={"image_token": "<|IMAGE_PLACEHOLDER|>"})
    config = PaddleOCRVLConfig(
        **token_ids(tokenizer, image_token_id="<|IMAGE_PLACEHOLDER|>", video_token_id="<|video_pad|>",
                    vision_start_token_id="<|IMAGE_START|>", vision_end_token_id="<|IMAGE_END|>"), tie_word_embeddings=False,
        text_config=text_settings(tokenizer, head_dim=16, rope_parameters=MROPE),
        vision_config={**VISION, "image_size": 64, "patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 1})
    save(folder, PaddleOCRVLForConditionalGeneration, config, tokenizer, templates.PADDLE, {
        "image_processor_type": "PaddleOCRVLImageProcessor", "processor_class": "PaddleOCRVLProcessor", "size": FEW_PIXELS,
        "patch_size": 8, "merge_size": 2, "temporal_patch_size": 1})


def build_got_ocr2(folder: Path) -> None:
    from transformers import GotOcr2Config, GotOcr2ForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.GOT, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    config = GotOcr2Config(
        image_token_id=tokenizer.convert_tokens_to_ids("<imgpad>"), image_seq_length=4, pad_token_id=0,
        text_config=text_settings(tokenizer, model_type="qwen2", num_key_value_heads=4, tie_word_embeddings=True),
        vision_config={"hidden_size": 32, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 128,
                       "patch_size": 16, "window_size": 4, "global_attn_indexes": [1], "mlp_dim": 64})
    save(folder, GotOcr2ForConditionalGeneration, config, tokenizer, None, {
        "image_processor_type": "GotOcr2ImageProcessor", "processor_class": "GotOcr2Processor", "size": {"height": 128, "width": 128}})


def build_lighton_ocr(folder: Path) -> None:
    from transformers import LightOnOcrConfig, LightOnOcrForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.QWEN, eos_token="<|im_end|>", pad_token="<|endoftext|>", named={
        "image_token": "<|image_pad|>", "image_break_token": "<|vision_pad|>", "image_end_token": "<|vision_end|>"})
    config = LightOnOcrConfig(
        image_token_id=tokenizer.image_token_id, spatial_merge_size=2, tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id,
        text_config=text_settings(tokenizer, model_type="qwen3", head_dim=16, tie_word_embeddings=True),
        vision_config={**VISION, "model_type": "pixtral", "head_dim": 16, "image_size": 64, "patch_size": 8})
    save(folder, LightOnOcrForConditionalGeneration, config, tokenizer, templates.LIGHTON, {
        "image_processor_type": "PixtralImageProcessorFast", "processor_class": "LightOnOcrProcessor", "patch_size": 16,
        "size": {"longest_edge": 64}}, {"patch_size": 8, "spatial_merge_size": 2, "processor_class": "LightOnOcrProcessor"})


def build_smolvlm(folder: Path) -> None:
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.SMOL, bos_token="<|im_start|>", eos_token="<end_of_utterance>", pad_token="<|im_end|>", named={
        "image_token": "<image>", "fake_image_token": "<fake_token_around_image>", "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>"})
    config = SmolVLMConfig(
        image_token_id=tokenizer.image_token_id, scale_factor=2, tie_word_embeddings=False, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, text_config=text_settings(tokenizer, model_type="llama"),
        vision_config={**VISION, "image_size": 64, "patch_size": 8})
    save(folder, SmolVLMForConditionalGeneration, config, tokenizer, templates.SMOL, {
        "image_processor_type": "SmolVLMImageProcessor", "processor_class": "SmolVLMProcessor", "size": {"longest_edge": 128},
        "max_image_size": {"longest_edge": 64}, "do_image_splitting": True}, {"image_seq_len": 16, "processor_class": "SmolVLMProcessor"})


def build_granite_docling(folder: Path) -> None:
    """The processor adds a token to those of the tokenizer, which the published table of embeddings has no row for either."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.GRANITE, bos_token="<|start_of_role|>", eos_token="<|end_of_text|>", pad_token="<|end_of_text|>",
                               unk_token="<|unk|>")
    config = Idefics3Config(
        **token_ids(tokenizer, image_token_id="<image>"), scale_factor=2, tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        text_config=text_settings(tokenizer, model_type="llama", head_dim=16, tie_word_embeddings=True),
        vision_config={**VISION, "image_size": 64, "patch_size": 8})
    save(folder, Idefics3ForConditionalGeneration, config, tokenizer, templates.GRANITE, {
        "image_processor_type": "Idefics3ImageProcessor", "processor_class": "Idefics3Processor", "size": {"longest_edge": 128},
        "max_image_size": {"longest_edge": 64}, "do_image_splitting": True}, {"image_seq_len": 16, "processor_class": "Idefics3Processor"})


def build_glm_ocr(folder: Path) -> None:
    from transformers import GlmOcrConfig, GlmOcrForConditionalGeneration

    tokenizer = byte_tokenizer(tokens.GLM, eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    config = GlmOcrConfig(
        **token_ids(tokenizer, image_token_id="<|image|>", image_start_token_id="<|begin_of_image|>", image_end_token_id="<|end_of_image|>",
                    video_token_id="<|video|>", video_start_token_id="<|begin_of_video|>", video_end_token_id="<|end_of_video|>"),
        tie_word_embeddings=False, eos_token_id=[0, 7],
        text_config=text_settings(tokenizer, head_dim=16, rope_parameters={**MROPE, "partial_rotary_factor": 1.0}, eos_token_id=[0, 7]),
        vision_config={**QWEN_VISION, "image_size": 64})
    save(folder, GlmOcrForConditionalGeneration, config, tokenizer, templates.GLM, {
        "image_processor_type": "Glm46VImageProcessor", "processor_class": "Glm46VProcessor", "patch_size": 8, "merge_size": 2,
        "temporal_patch_size": 2, "size": {"shortest_edge": 512, "longest_edge": 8192}})
