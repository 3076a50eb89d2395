"""DeepSeek-OCR (the first) on the transformers of this project: no remote code, batches, gradients everywhere.

SAM sees each view, CLIP sees SAM's features in the place of its own patches, a linear layer projects both, and
a mixture-of-experts decoder reads them as tokens (https://arxiv.org/abs/2510.18234). SAM and the decoder are those
of transformers' DeepSeek-OCR-2; CLIP, the layout of views and the names of weights are the first model's.
"""

import math

import torch
from torch import nn
from transformers import initialization
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import (
    DeepseekOcr2CausalLMOutputWithPast,
    DeepseekOcr2ForConditionalGeneration,
    DeepseekOcr2Model,
    DeepseekOcr2ModelOutputWithPast,
    DeepseekOcr2ModelOutputWithPooling,
    DeepseekOcr2PreTrainedModel,
    DeepseekOcr2SamVisionEncoder,
    DeepseekOcr2TextModel,
)

from ocrtune.deepseek_ocr.configuration import DeepseekOcrClipConfig, DeepseekOcrConfig, DeepseekOcrVisionConfig

PIXEL_INPUTS = ("pixel_values", "pixel_values_local", "num_local_patches", "patches_grid")


class DeepseekOcrClipAttention(nn.Module):
    """Self-attention over (n, t, d), with one weight for query, key and value as in the checkpoint."""

    def __init__(self, config: DeepseekOcrClipConfig):
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.qkv_proj = nn.Linear(config.hidden_size, config.hidden_size * 3)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, states):
        parts = self.qkv_proj(states).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(*parts)
        return self.out_proj(seen.transpose(1, 2).flatten(2))


class DeepseekOcrClipMlp(nn.Module):
    """Two layers with CLIP's quick gelu between."""

    def __init__(self, config: DeepseekOcrClipConfig):
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, states):
        states = self.fc1(states)
        return self.fc2(states * torch.sigmoid(1.702 * states))


class DeepseekOcrClipLayer(GradientCheckpointingLayer):
    def __init__(self, config: DeepseekOcrClipConfig):
        super().__init__()
        self.self_attn = DeepseekOcrClipAttention(config)
        self.mlp = DeepseekOcrClipMlp(config)
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states):
        states = states + self.self_attn(self.layer_norm1(states))
        return states + self.mlp(self.layer_norm2(states))


class DeepseekOcrClipEmbeddings(nn.Module):
    """SAM's features (n, d, h, w) as CLIP's patches, a class token before them, positions scaled to the grid."""

    def __init__(self, config: DeepseekOcrClipConfig):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.empty(config.hidden_size))
        # Without use here, but the checkpoint has it.
        self.patch_embedding = nn.Conv2d(config.num_channels, config.hidden_size, config.patch_size, config.patch_size, bias=False)
        self.position_embedding = nn.Embedding((config.image_size // config.patch_size) ** 2 + 1, config.hidden_size)

    def forward(self, features):
        patches = features.flatten(2).transpose(1, 2)
        states = torch.cat([self.class_embedding.expand(len(patches), 1, -1), patches], dim=1)
        return states + self.positions(features.shape[-1])

    def positions(self, side: int):
        """Return the positions of a class token and a grid of `side` x `side` cells: (side * side + 1, d)."""
        table = self.position_embedding.weight
        known = math.isqrt(len(table) - 1)
        if side == known:
            return table
        grid = table[1:].unflatten(0, (known, known)).permute(2, 0, 1)[None].float()
        grid = nn.functional.interpolate(grid, size=(side, side), mode="bicubic", antialias=True, align_corners=False)
        return torch.cat([table[:1], grid[0].flatten(1).T.to(table.dtype)])


class DeepseekOcrPreTrainedModel(DeepseekOcr2PreTrainedModel):
    config: DeepseekOcrConfig
    _no_split_modules = ["DeepseekOcr2SamVisionLayer", "DeepseekOcrClipLayer", "DeepseekOcr2TextDecoderLayer"]  # noqa: RUF012
    # Numbers from 0 up, which the original code saves and the published checkpoint lacks.
    _keys_to_ignore_on_load_unexpected = [r"position_ids$"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, DeepseekOcrModel):
            for weight in (module.view_separator, module.image_newline):
                initialization.normal_(weight, std=self.config.text_config.hidden_size**-0.5)
        elif isinstance(module, DeepseekOcrClipEmbeddings):
            initialization.normal_(module.class_embedding, std=module.class_embedding.shape[0] ** -0.5)


class DeepseekOcrClip(DeepseekOcrPreTrainedModel):
    """The second tower: SAM's features (n, d, h, w) in, (n, h * w, d) out."""

    config: DeepseekOcrClipConfig

    def __init__(self, config: DeepseekOcrClipConfig):
        super().__init__(config)
        self.embeddings = DeepseekOcrClipEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)  # the checkpoint's spelling
        self.layers = nn.ModuleList(DeepseekOcrClipLayer(config) for _ in range(config.num_hidden_layers))
        self.gradient_checkpointing = False
        self.post_init()

    def forward(self, features):
        states = self.pre_layrnorm(self.embeddings(features))
        for layer in self.layers:
            states = layer(states)
        return states[:, 1:]


class DeepseekOcrVisionModel(DeepseekOcrPreTrainedModel):
    """Both towers over views of one size: pixels (n, 3, s, s) in, (n, cells, CLIP's d + SAM's d) out."""

    config: DeepseekOcrVisionConfig

    def __init__(self, config: DeepseekOcrVisionConfig):
        super().__init__(config)
        self.sam_encoder = DeepseekOcr2SamVisionEncoder(config.sam_config)
        self.clip_encoder = DeepseekOcrClip(config.clip_config)
        self.post_init()

    def forward(self, pixel_values, **kwargs):
        seen = self.sam_encoder(pixel_values.to(self.dtype)).last_hidden_state
        return BaseModelOutput(last_hidden_state=torch.cat([self.clip_encoder(seen), seen.flatten(2).transpose(1, 2)], dim=-1))


class DeepseekOcrModel(DeepseekOcrPreTrainedModel, DeepseekOcr2Model):
    """Towers, projector and decoder."""

    def __init__(self, config: DeepseekOcrConfig):
        super(DeepseekOcr2Model, self).__init__(config)  # past DeepSeek-OCR-2's own towers
        text, vision = config.text_config, config.vision_config
        self.vision_tower = DeepseekOcrVisionModel(vision)
        self.multi_modal_projector = nn.Linear(
            vision.clip_config.hidden_size + vision.sam_config.downsample_channels[-1], text.hidden_size)
        self.vocab_size = text.vocab_size
        self.language_model = DeepseekOcr2TextModel(text)
        self.image_newline = nn.Parameter(torch.empty(text.hidden_size))
        self.view_separator = nn.Parameter(torch.empty(text.hidden_size))
        self.post_init()

    def lay_out(self, views, columns: int, rows: int):
        """Return the cells of tiles (rows * columns, side * side, d) line by line over the whole picture, a newline after each."""
        side, width = math.isqrt(views.shape[1]), views.shape[-1]
        lines = views.view(rows, columns, side, side, width).transpose(1, 2).reshape(rows * side, columns * side, width)
        ends = self.image_newline.to(lines).expand(rows * side, 1, width)
        return torch.cat([lines, ends], dim=1).flatten(0, 1)

    def get_image_features(self, pixel_values, pixel_values_local=None, num_local_patches=None, patches_grid=None, **kwargs):
        """Return each image's tokens (`pooler_output`, a list of (tokens, d)): its tiles, the whole picture, a separator.

        `pixel_values` (n, 3, s, s) whole pictures; `pixel_values_local` (tiles, 3, t, t) tiles of all pictures, one
        after the other; `num_local_patches` (n) tiles of each, 0 where it was not cut; `patches_grid` (n, 2) columns and rows.
        """
        whole = self.multi_modal_projector(self.vision_tower(pixel_values).last_hidden_state)
        tiles = None
        if pixel_values_local is not None:
            tiles = self.multi_modal_projector(self.vision_tower(pixel_values_local).last_hidden_state)
        counts = [0] * len(whole) if num_local_patches is None else [int(count) for count in num_local_patches]
        tokens, start = [], 0
        for index, count in enumerate(counts):
            parts = []
            if count:
                columns, rows = (int(side) for side in patches_grid[index])
                parts.append(self.lay_out(tiles[start : start + count], columns, rows))
                start += count
            parts += [self.lay_out(whole[index : index + 1], 1, 1), self.view_separator[None].to(whole)]
            tokens.append(torch.cat(parts))
        return DeepseekOcr2ModelOutputWithPooling(last_hidden_state=whole, pooler_output=tokens)

    def forward(self, input_ids=None, pixel_values=None, pixel_values_local=None, num_local_patches=None, patches_grid=None,
                attention_mask=None, position_ids=None, past_key_values=None, inputs_embeds=None, use_cache=None, **kwargs):
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        seen = None
        if pixel_values is not None:
            seen = torch.cat(self.get_image_features(pixel_values, pixel_values_local, num_local_patches, patches_grid).pooler_output)
            seen = seen.to(inputs_embeds)
            inputs_embeds = inputs_embeds.masked_scatter(self.get_placeholder_mask(input_ids, inputs_embeds, seen), seen)
        outputs = self.language_model(inputs_embeds=inputs_embeds, attention_mask=attention_mask, position_ids=position_ids,
                                      past_key_values=past_key_values, use_cache=use_cache, **kwargs)
        return DeepseekOcr2ModelOutputWithPast(
            last_hidden_state=outputs.last_hidden_state, past_key_values=outputs.past_key_values, hidden_states=outputs.hidden_states,
            attentions=outputs.attentions, image_hidden_states=seen)


class DeepseekOCRForCausalLM(DeepseekOcrPreTrainedModel, DeepseekOcr2ForConditionalGeneration):
    """The whole model, under the name that the published config.json gives it."""

    def __init__(self, config: DeepseekOcrConfig):
        super(DeepseekOcr2ForConditionalGeneration, self).__init__(config)
        self.model = DeepseekOcrModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def forward(self, input_ids=None, pixel_values=None, pixel_values_local=None, num_local_patches=None, patches_grid=None,
                attention_mask=None, position_ids=None, past_key_values=None, inputs_embeds=None, labels=None, use_cache=None,
                logits_to_keep=0, **kwargs):
        outputs = self.model(
            input_ids=input_ids, pixel_values=pixel_values, pixel_values_local=pixel_values_local, num_local_patches=num_local_patches,
            patches_grid=patches_grid, attention_mask=attention_mask, position_ids=position_ids, past_key_values=past_key_values,
            inputs_embeds=inputs_embeds, use_cache=use_cache, **kwargs)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, kept])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs)
        return DeepseekOcr2CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=outputs.past_key_values, hidden_states=outputs.hidden_states,
            attentions=outputs.attentions, image_hidden_states=outputs.image_hidden_states)

    def prepare_inputs_for_generation(self, input_ids, is_first_iteration=False, **kwargs):
        # The name kwargs is part of the interface: generate() looks for it to know what may be passed.
        inputs = super().prepare_inputs_for_generation(input_ids, is_first_iteration=is_first_iteration, **kwargs)
        if not is_first_iteration and kwargs.get("use_cache", True):
            for name in PIXEL_INPUTS:
                inputs.pop(name, None)
        return inputs
