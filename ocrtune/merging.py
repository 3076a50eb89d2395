"""Put an adapter into its base, and prove that nothing was lost on the way."""

from collections.abc import Sequence
from pathlib import Path

from ocrtune.collator import AnswerCollator
from ocrtune.params.students import StudentProfile
from ocrtune.vlm import end_tokens, generate_texts, load_model, load_processor, open_image


def load_trained(base: Path, adapter: Path, profile: StudentProfile):
    """Return the trained model in fp32: base with adapter, or the weights themselves where there is no adapter.

    Every tensor of the adapter file must be in the model, equal: peft drops what it can't place with a mere warning.
    """
    if not (adapter / "adapter_config.json").is_file():
        return load_model(adapter, profile, "float32")
    import torch
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict
    from safetensors.torch import load_file

    try:
        model = PeftModel.from_pretrained(load_model(base, profile, "float32"), str(adapter)).eval()
    except RuntimeError as error:  # shapes that differ
        raise ValueError(f"{adapter}: does not fit {base}: is this the adapter of another base? {str(error)[:300]}") from None
    loaded, kept = get_peft_model_state_dict(model), load_file(adapter / "adapter_model.safetensors")
    for name in sorted(loaded.keys() | kept.keys()):
        if name not in loaded or name not in kept or not torch.equal(loaded[name].cpu().float(), kept[name].float()):
            raise ValueError(f"{adapter}: tensor {name} did not reach the model: is this the adapter of another base?")
    return model


def answer_logits(model, collator: AnswerCollator, rows: Sequence[dict]):
    """Return the logits at the labelled positions of some pages: (tokens, vocabulary), fp32."""
    import torch

    batch = {name: value.to(model.device) for name, value in collator(list(rows)).items()}
    known = batch.pop("labels")[:, 1:] != -100
    with torch.inference_mode():
        return model(**batch).logits[:, :-1][known].float()


def merge(base: Path, adapter: Path, profile: StudentProfile, rows: Sequence[dict], images: Path, merged: Path) -> dict:
    """Write the merged model to `merged` and return the gate's figures, read back from disk.

    `rows` are labelled pages on which adapter and merged model must agree; image paths start at `images`.
    """
    import torch

    processor = load_processor(base, profile)
    model = load_trained(base, adapter, profile)
    collator = AnswerCollator(processor, profile.prompt, images, end_tokens(model)[0])
    pictures = [open_image(images / row["image"]) for row in rows]
    expected = answer_logits(model, collator, rows)
    texts = generate_texts(model, processor, pictures, profile)
    whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    whole.to(getattr(torch, profile.dtype)).save_pretrained(merged)
    processor.save_pretrained(merged)
    del model, whole

    reread = load_model(merged, profile, "float32")
    logits = answer_logits(reread, collator, rows)
    texts_again = generate_texts(reread, processor, pictures, profile)
    return {
        "num_pages": len(rows),
        "equal_texts": sum(before == after for before, after in zip(texts, texts_again, strict=True)),
        "logit_difference": float((logits - expected).abs().max() / expected.abs().max()),
        "changed_tensors": count_changed(base, merged),
    }


def count_changed(base: Path, merged: Path) -> int:
    """Return how many tensors of the merged model differ from the base's by more than the rounding of their types."""
    import torch
    from safetensors import safe_open

    def tensors(folder: Path) -> dict:
        found = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as handle:
                found |= {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        return found

    before, after = tensors(base), tensors(merged)
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise ValueError(f"{merged}: tensors differ in name from the base's: {', '.join(odd[:5])}")
    return sum(not torch.equal(before[name].float(), after[name].to(before[name].dtype).float()) for name in before)
