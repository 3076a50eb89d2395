"""Put an adapter into its base, and prove that nothing was lost on the way."""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ocrtune.models.adapters import is_adapter, load_adapted
from ocrtune.models.vlm import end_tokens, generate_texts, load_model, load_processor, open_image
from ocrtune.params.students import StudentProfile
from ocrtune.scoring.edits import count_edits
from ocrtune.training.answer_tokens import barred_tokens
from ocrtune.training.collator import AnswerCollator
from ocrtune.training.examples import fit_examples, text_limit
from ocrtune.training.saving import clear_when_full


def load_trained(base: Path, adapter: Path, profile: StudentProfile, in_4bit: bool = False):
    """Return the trained model in fp32: base (or its weights in 4 bits) with adapter, or, where there is none, the weights themselves."""
    if not is_adapter(adapter):
        return load_model(adapter, profile, "float32")
    return load_adapted(base, adapter, profile, "float32", in_4bit)


def read_rows_with(model, processor, profile: StudentProfile, rows: Sequence[dict], images: Path) -> tuple[list, list[str]]:
    """Return, for labelled pages, the logits at the answer's tokens (a list of (tokens, vocabulary), fp32) and the texts written."""
    import torch

    collator, logits, texts = AnswerCollator(processor, profile.prompt, images, end_tokens(model)[0]), [], []
    for start in range(0, len(rows), profile.batch_size):
        part = list(rows[start : start + profile.batch_size])
        batch = {name: value.to(model.device) for name, value in collator(part).items()}
        known = batch.pop("labels")[:, 1:] != -100
        with torch.inference_mode():
            logits.append(model(**batch).logits[:, :-1][known].float().cpu())
        texts += [text for text, _ in generate_texts(model, processor, [open_image(images / row["image"]) for row in part], profile)]
    return logits, texts


def cost_of_four_bits(
    base: Path, adapter: Path, profile: StudentProfile, rows: Sequence[dict], images: Path, merged: tuple[list, list],
) -> dict:
    """Return how far the merged model, made of the base's own weights, lies from what was trained: the adapter on weights in 4 bits.

    `merged` holds the merged model's logits and texts on the same rows.
    """
    model = load_trained(base, adapter, profile, in_4bit=True)
    logits, texts = read_rows_with(model, load_processor(base, profile), profile, rows, images)
    length = max(1, sum(len(row["text"]) for row in rows))

    def cer(read: list[str]) -> float:
        return sum(count_edits(row["text"], text).total for row, text in zip(rows, read, strict=True)) / length

    return {"equal_texts": sum(before == after for before, after in zip(texts, merged[1], strict=True)),
            "logit_difference": logit_difference(logits, merged[0]), "cer_in_4bit": cer(texts), "cer_merged": cer(merged[1])}


def check_logits(logits: Sequence, what: str) -> None:
    """Raise a `ValueError` where logits are no numbers."""
    if not all(some.isfinite().all() for some in logits):
        raise ValueError(f"{what}: its logits are no numbers (NaN or infinite)")


def readable_rows(splits: Iterable[Sequence[dict]], images: Path, model, processor, profile: StudentProfile, wanted: int) -> list[dict]:
    """Return up to `wanted` rows, with their tokens, of the first split that has any which train would not refuse.

    None in all of them is a `ValueError`.
    """
    first_reason = "the splits are empty"
    for rows in splits:
        kept: list[dict] = []
        for start in range(0, len(rows), wanted):
            fit = fit_examples(rows[start : start + wanted], images, processor, profile.prompt, text_limit(model), "refuse",
                               barred_tokens(model, processor))
            kept += fit.kept
            first_reason = fit.refused[0]["reason"] if fit.refused else first_reason
            if len(kept) >= wanted:
                break
        if kept:
            return kept[:wanted]
    raise ValueError(f"no labelled page is left to compare readings on: {first_reason}")


def logit_difference(before: list, after: list) -> float:
    """Return the largest difference, relative to the largest logit."""
    return float(max((mine - other).abs().max() for mine, other in zip(before, after, strict=True))
                 / max(mine.abs().max() for mine in before))


def targeted_weights(model) -> list[str]:
    """Return the paths of the base's weights that an adapter changes; of none where the weights themselves were trained."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [(name.removeprefix("base_model.model.").replace(".base_layer", ""), module) for name, module in model.named_modules()
               if isinstance(module, BaseTunerLayer)]
    return [f"{path}.{getattr(module, 'parameter_name', 'weight')}" for path, module in adapted]  # routed experts are bare parameters


def merge(
    base: Path, adapter: Path, profile: StudentProfile, splits: Sequence[Sequence[dict]], images: Path, merged: Path, num_pages: int,
    in_4bit: bool = False,
) -> dict:
    """Write the merged model to `merged` and return the gate's figures, read back from disk.

    `splits` hold labelled pages, on `num_pages` of which adapter and merged model must agree; image paths start at `images`.
    `in_4bit`: the adapter was trained on weights in 4 bits; the figures then tell what it costs to leave these.
    Both read in fp32: what differs is what merging, and storing in the profile's dtype, made different.
    """
    import torch

    processor = load_processor(base, profile)
    model = load_trained(base, adapter, profile)
    rows = readable_rows(splits, images, model, processor, profile, num_pages)
    expected, texts = read_rows_with(model, processor, profile, rows, images)
    check_logits(expected, f"{adapter}: its training went astray: train again with a lower train.learning_rate")
    targets = targeted_weights(model)
    whole = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
    with clear_when_full(str(merged), "make room and run merge again"):
        whole.to(getattr(torch, profile.dtype)).save_pretrained(merged)
        processor.save_pretrained(merged)
    del model, whole

    reread = load_model(merged, profile, "float32")
    logits, texts_again = read_rows_with(reread, load_processor(merged, profile), profile, rows, images)
    check_logits(logits, f"{merged}: {profile.dtype} can't hold the weights: set the student's dtype to bfloat16 or float32")
    changed = changed_tensors(base, merged)
    return {
        "dtype": profile.dtype,
        "num_pages": len(rows),
        "equal_texts": sum(before == after for before, after in zip(texts, texts_again, strict=True)),
        "text_difference": sum(count_edits(*pair).total for pair in zip(texts, texts_again, strict=True)) / max(1, sum(map(len, texts))),
        "logit_difference": logit_difference(expected, logits),
        "targeted_tensors": len(targets),
        "changed_tensors": len(changed),
        "stray_tensors": stray_tensors(own_names(reread, changed), targets, reread.state_dict().keys()),
        "altered_settings": altered_settings(base, merged),
        **({"four_bit": cost_of_four_bits(base, adapter, profile, rows, images, (logits, texts_again))} if in_4bit else {}),
    }


def own_names(model, names: Sequence[str]) -> list[str]:
    """Return what a model calls the tensors that its checkpoint's files call `names`: families rename and stack what they load."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    mapping = get_model_conversion_mapping(model)
    kinds = [[entry for entry in mapping if isinstance(entry, kind)] for kind in (WeightRenaming, WeightConverter)]
    return sorted({rename_source_key(name, *kinds)[0] for name in names})


def stray_tensors(changed: Sequence[str], targets: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the changed tensors that no adapter was meant to change; `known` are the model's own names.

    Files may name a tensor by another prefix than the model does: of a name that the model does not know, the last four parts tell.
    """
    if not targets:
        return []
    tails = {tail(name) for name in targets}
    return [name for name in changed if (name not in targets if name in known else tail(name) not in tails)]


def tail(name: str) -> str:
    return ".".join(name.split(".")[-4:])


def altered_settings(base: Path, merged: Path) -> list[str]:
    """Return which of a model's settings the merged folder does not have as its base: they decide how others load and run it."""
    altered = []
    for file, keys in (("config.json", ("architectures", "model_type", "tie_word_embeddings")),
                       ("generation_config.json", ("eos_token_id", "bos_token_id", "pad_token_id"))):
        if not (base / file).is_file():
            continue
        before = json.loads((base / file).read_bytes())
        after = json.loads((merged / file).read_bytes()) if (merged / file).is_file() else {}
        altered += [f"{file}: {key}" for key in keys if before.get(key) != after.get(key)
                    and not (key == "eos_token_id" and ends(before.get(key)) <= ends(after.get(key)))]  # a profile's `end` comes first
    return altered


def ends(told: int | list[int] | None) -> set[int]:
    return set(told) if isinstance(told, list) else {told} - {None}


def changed_tensors(base: Path, merged: Path) -> list[str]:
    """Return the tensors of the merged model that differ from the base's by more than the rounding of their types."""
    import torch
    from safetensors import safe_open

    def tensors(folder: Path) -> dict:
        found = {}
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as handle:
                # position_ids count from 0 up: no weights, and some code saves them, some not
                found |= {name: handle.get_tensor(name) for name in handle.keys() if not name.endswith("position_ids")}  # noqa: SIM118
        return found

    before, after = tensors(base), tensors(merged)
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise ValueError(f"{merged}: tensors differ in name from the base's: {', '.join(odd[:5])}")
    return sorted(name for name in before if not torch.equal(before[name].float(), after[name].to(before[name].dtype).float()))
