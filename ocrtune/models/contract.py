"""The inference contract: how a model was asked in training, saved beside its weights, held to ever after.

A model fine-tuned on one prompt and one geometry reads worse under any other, and nothing warns. So
`inference.json` lies beside adapter and merged weights, and whoever asks otherwise gets an error.
"""

import hashlib
import json
from collections.abc import Container
from importlib.metadata import version
from pathlib import Path

from ocrtune.params.students import StudentProfile

CONTRACT = "inference.json"


def asked(profile: StudentProfile) -> dict:
    """Return what a reader must not change: prompt, geometry, decoding, post-processing."""
    guard = {"repeat_guard": profile.repeat_guard.model_dump()} if profile.repeat_guard else {}
    return {"prompt": profile.prompt, "image": profile.image, "postprocess": profile.postprocess,
            "decoding": {"temperature": 0, "max_new_tokens": profile.max_new_tokens, **guard}}


def contract_of(profile: StudentProfile, processor) -> dict:
    """Return how the model is asked; beside what is held, the hash of the template that lays the roles, and versions, for the record."""
    template = processor.chat_template or getattr(processor.tokenizer, "chat_template", None) or ""
    return {**asked(profile), "chat_template_sha256": hashlib.sha256(str(template).encode()).hexdigest(),
            "versions": {name: version(name) for name in ("transformers", "peft", "trl", "torch")}}


def student_of(folder: Path, students: Container[str]) -> str | None:
    """Return the student that a model's folder was made of, or is named like; None where it tells neither."""
    contract = folder / CONTRACT
    try:
        made_of = json.loads(contract.read_bytes())["student"] if contract.is_file() else None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{contract}: damaged; run the merge stage again") from None
    return next((name for name in (made_of, folder.resolve().name) if name in students), None)


def check_contract(folder: Path, profile: StudentProfile) -> None:
    """Raise `ValueError` where a model that `ocrtune` trained is to be asked in another way than it was trained for."""
    file = folder / CONTRACT
    if not file.is_file():
        return  # a base, which nobody trained here
    try:
        contract = json.loads(file.read_bytes())
    except ValueError:
        raise ValueError(f"{file}: damaged; run the merge stage again") from None
    for name, value in asked(profile).items():
        if contract.get(name) != value:
            raise ValueError(f"{folder}: trained with {name} {json.dumps(contract.get(name))}, asked with {json.dumps(value)}; "
                             "set the student's profile as it was, or train again")
