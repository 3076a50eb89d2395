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
    """Return what a reader must not change: prompt, geometry, decoding, the end of an answer, post-processing.

    Not so `dtype`, `batch_size` and weights in 4 bits: they are a choice of each machine, at a cost in accuracy that evaluate shows.
    """
    guard = {"repeat_guard": profile.repeat_guard.model_dump()} if profile.repeat_guard else {}
    return {"prompt": profile.prompt, "image": profile.image, "end": profile.end, "postprocess": profile.postprocess,
            "decoding": {"temperature": 0, "max_new_tokens": profile.max_new_tokens, **guard}}


def template_digest(processor) -> str:
    """Return the SHA-256 of the template that lays the roles."""
    template = processor.chat_template or getattr(processor.tokenizer, "chat_template", None) or ""
    return hashlib.sha256(str(template).encode()).hexdigest()


def contract_of(profile: StudentProfile, processor) -> dict:
    """Return how the model is asked; beside what is held, versions, for the record."""
    return {**asked(profile), "chat_template_sha256": template_digest(processor),
            "versions": {name: version(name) for name in ("transformers", "peft", "trl", "torch")}}


def student_of(folder: Path, students: Container[str]) -> str | None:
    """Return the student that a model's folder was made of, or is named like; None where it tells neither."""
    made_of = read_contract(folder, "merge").get("student") if (folder / CONTRACT).is_file() else None
    return next((name for name in (made_of, folder.resolve().name) if name in students), None)


def read_contract(folder: Path, stage: str) -> dict:
    """Return what stands in a folder's inference.json; one absent or damaged is a `ValueError` that names the stage which writes it."""
    file = folder / CONTRACT
    try:
        contract = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{file}: not there; run the {stage} stage again") from None
    except ValueError:
        contract = None
    if not isinstance(contract, dict):
        raise ValueError(f"{file}: damaged; run the {stage} stage again")
    return contract


def check_template(folder: Path, processor) -> None:
    """Raise a `ValueError` where a model that `ocrtune` trained is to be asked with roles in another template than in training."""
    if not (folder / CONTRACT).is_file():
        return
    trained = read_contract(folder, "merge").get("chat_template_sha256")
    if trained is not None and trained != template_digest(processor):
        raise ValueError(f"{folder}: its chat template is not the one that it was trained with; run the merge stage again")


def check_contract(folder: Path, profile: StudentProfile) -> None:
    """Raise `ValueError` where a model that `ocrtune` trained is to be asked in another way than it was trained for."""
    if not (folder / CONTRACT).is_file():
        return  # a base, which nobody trained here
    contract = read_contract(folder, "merge")
    contract.setdefault("end", profile.end)  # an older one does not say
    for name, value in asked(profile).items():
        if contract.get(name) != value:
            raise ValueError(f"{folder}: trained with {name} {json.dumps(contract.get(name))}, asked with {json.dumps(value)}; "
                             "set the student's profile as it was, or train again")
