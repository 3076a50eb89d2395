"""Load weights in 4 bits: a quarter of the memory, at some cost in accuracy (NF4, Dettmers et al. 2023, arXiv:2305.14314)."""

from importlib.util import find_spec


def four_bit_settings(dtype) -> dict:
    """Return the arguments of `from_pretrained` for weights in 4 bits that are computed with in `dtype`.

    A CPU can, slowly. An environment without bitsandbytes is a `ValueError` that says how to add it.
    """
    import torch

    if find_spec("bitsandbytes") is None:
        raise ValueError("load_in_4bit: bitsandbytes is not installed; run `./run uv sync --locked --inexact --extra quantization`, "
                         "or set load_in_4bit: false")
    from transformers import BitsAndBytesConfig

    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                  bnb_4bit_compute_dtype=dtype)
    return {"quantization_config": settings, "device_map": {"": torch.cuda.current_device() if torch.cuda.is_available() else "cpu"}}
