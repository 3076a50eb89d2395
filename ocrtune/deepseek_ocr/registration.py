"""Make DeepSeek-OCR (the first) known to transformers, and tell how its checkpoint names the weights.

The published layout (`model.sam_model.blocks.0...`, one tensor an expert) is read into our modules and written
back the same, tensor for tensor.
"""

from functools import cache

SAM = "vision_tower.sam_encoder."
RENAMED = (  # published name, our name: regular expressions of one group at most: they are read backwards when a model is saved
    (r"^model\.sam_model\.blocks\.(\d+)\.norm1\.", rf"model.{SAM}layers.\1.layer_norm1."),
    (r"^model\.sam_model\.blocks\.(\d+)\.norm2\.", rf"model.{SAM}layers.\1.layer_norm2."),
    (r"^model\.sam_model\.blocks\.(\d+)\.attn\.", rf"model.{SAM}layers.\1.attn."),
    (r"^model\.sam_model\.blocks\.(\d+)\.mlp\.", rf"model.{SAM}layers.\1.mlp."),
    (r"^model\.sam_model\.patch_embed\.proj\.", rf"model.{SAM}patch_embed.projection."),
    (r"^model\.sam_model\.pos_embed", rf"model.{SAM}pos_embed"),
    (r"^model\.sam_model\.neck\.0\.", rf"model.{SAM}neck.conv1."),
    (r"^model\.sam_model\.neck\.1\.", rf"model.{SAM}neck.layer_norm1."),
    (r"^model\.sam_model\.neck\.2\.", rf"model.{SAM}neck.conv2."),
    (r"^model\.sam_model\.neck\.3\.", rf"model.{SAM}neck.layer_norm2."),
    (r"^model\.sam_model\.net_2\.", rf"model.{SAM}proj.conv1."),
    (r"^model\.sam_model\.net_3\.", rf"model.{SAM}proj.conv2."),
    (r"^model\.vision_model\.transformer\.layers\.", "model.vision_tower.clip_encoder.layers."),
    (r"^model\.vision_model\.embeddings\.", "model.vision_tower.clip_encoder.embeddings."),
    (r"^model\.vision_model\.pre_layrnorm\.", "model.vision_tower.clip_encoder.pre_layrnorm."),
    (r"^model\.projector\.layers\.", "model.multi_modal_projector."),
    (r"^model\.view_seperator", "model.view_separator"),
    (r"^model\.embed_tokens\.", "model.language_model.embed_tokens."),
    (r"^model\.layers\.", "model.language_model.layers."),
    (r"^model\.norm\.", "model.language_model.norm."),
)


def checkpoint_layout() -> list:
    """Return the published layout as transformers wants to be told."""
    from transformers.core_model_loading import Concatenate, MergeModulelist, WeightConverter, WeightRenaming

    return [
        *(WeightRenaming(published, ours) for published, ours in RENAMED),
        WeightConverter(["mlp.experts.*.gate_proj.weight", "mlp.experts.*.up_proj.weight"], "mlp.experts.gate_up_proj",
                        operations=[MergeModulelist(dim=0), Concatenate(dim=1)]),
        WeightConverter("mlp.experts.*.down_proj.weight", "mlp.experts.down_proj", operations=[MergeModulelist(dim=0)]),
    ]


@cache
def register() -> None:
    """Let transformers' Auto classes build this model from the published config.json; a second call does nothing."""
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText
    from transformers.conversion_mapping import register_checkpoint_conversion_mapping

    from ocrtune.deepseek_ocr.configuration import DeepseekOcrConfig
    from ocrtune.deepseek_ocr.modeling import DeepseekOCRForCausalLM, DeepseekOcrModel

    AutoConfig.register(DeepseekOcrConfig.model_type, DeepseekOcrConfig)
    AutoModel.register(DeepseekOcrConfig, DeepseekOcrModel)
    AutoModelForImageTextToText.register(DeepseekOcrConfig, DeepseekOCRForCausalLM)
    register_checkpoint_conversion_mapping(DeepseekOcrConfig.model_type, checkpoint_layout())
