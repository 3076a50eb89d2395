"""Attend within each image of a packed batch, at linear cost.

Pixtral-like vision towers lay a batch of images end to end in one sequence and mask the rest, which
costs the square of the batch. This attention reads the blocks from that mask and attends block by
block: the same numbers, at the cost of the images alone.
"""

import itertools

NAME = "packed_sdpa"


def block_lengths(mask) -> list[int]:
    """Return the lengths of the blocks of a block-diagonal additive mask of shape (1, 1, n, n)."""
    starts = (mask[0, 0].diagonal(-1) != 0).nonzero().flatten() + 1
    edges = [0, *starts.tolist(), mask.shape[-1]]
    return [after - before for before, after in itertools.pairwise(edges)]


def packed_sdpa(module, query, key, value, attention_mask, dropout=0.0, scaling=None, **kwargs):
    """Attention of transformers' interface: (1, heads, n, d) in, (1, n, heads, d) out."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attend

    lengths = block_lengths(attention_mask)
    heads, total, width = query.shape[1:]
    if len(set(lengths)) == 1:
        shape = (heads, len(lengths), lengths[0], width)
        query, key, value = (part.view(shape).transpose(0, 1) for part in (query, key, value))
        out = attend(query, key, value, dropout_p=dropout, scale=scaling)
        return out.permute(0, 2, 1, 3).reshape(1, total, heads, width), None
    blocks = zip(*(part.split(lengths, dim=2) for part in (query, key, value)), strict=True)
    out = torch.cat([attend(*block, dropout_p=dropout, scale=scaling) for block in blocks], dim=2)
    return out.transpose(1, 2).contiguous(), None


def use_packed_attention(model) -> bool:
    """Switch a model's vision tower to packed attention where it packs its images; say whether it does."""
    from transformers import AttentionInterface

    vision = getattr(model.config, "vision_config", None)
    if vision is None or vision.model_type != "pixtral":
        return False
    AttentionInterface.register(NAME, packed_sdpa)
    model.set_attn_implementation({"vision_config": NAME})
    return True
