"""A mend for peft, which renames adapters that need no renaming and then loses them."""

from functools import cache


@cache
def keep_own_names() -> None:
    """Let peft (0.21.2) load an adapter by its names where all of them are the model's own already.

    It applies the renaming of old checkpoints to adapters too. For DeepSeek-OCR-2, where a checkpoint's `model.layers.`
    means `model.language_model.layers.`, no name that comes out has a place in the model, and the whole language model's
    part of the adapter is dropped with a mere warning.
    """
    from peft.utils import transformers_weight_conversion as conversion

    rename = conversion.convert_peft_adapter_state_dict_for_transformers

    def rename_strangers(model, peft_config, adapter_state_dict, adapter_name="default"):
        own = {name.replace(f".{adapter_name}", "") for name, _ in model.named_parameters() if ".lora_" in name}
        if all(name in own for name in adapter_state_dict if ".lora_" in name):
            return adapter_state_dict
        return rename(model=model, peft_config=peft_config, adapter_state_dict=adapter_state_dict, adapter_name=adapter_name)

    conversion.convert_peft_adapter_state_dict_for_transformers = rename_strangers
