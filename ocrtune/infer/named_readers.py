"""Find the profile of a reader by its name in params.yaml, by a model's folder, or by a server's address."""

from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from ocrtune.models.contract import student_of
from ocrtune.params.evaluate import EvaluateParams
from ocrtune.params.evaluate import Student as ChosenStudent
from ocrtune.params.load import describe
from ocrtune.params.teachers import Api, Local, Reader, Tesseract
from ocrtune.readers.open import Profile
from ocrtune.readers.prompts import Prompt, find_prompt, own_tasks

Unit = Literal["page", "block", "line"]
MERGED = Path("models/merged")
BASE = Path("models/base")
LAYOUT = {"deepseek-ocr": "deepseek-document"}  # what a document's answer needs where a plain one needs the other


def local_profile(values: dict[str, Any], folder: Path) -> Local:
    """Return the profile of a student's folder: that of the student it was made of, of one named like it, or the chosen one."""
    name = student_of(folder, values["students"]) or values["student"]
    return Local(model=str(folder), **values["students"][name])


def find_profile(values: dict[str, Any], name: str) -> Profile:
    """Return the profile of a name in evaluate.readers, teachers or students, in this order."""
    evaluated = EvaluateParams.model_validate(values["evaluate"]).readers
    if name in evaluated:
        profile, model = evaluated[name].reader, Path(evaluated[name].model)
        if not isinstance(profile, ChosenStudent):
            return profile
        return local_profile(values, model / values["student"] if model.name == BASE.name else model)
    if name in values["teachers"]:
        return TypeAdapter(Reader).validate_python(values["teachers"][name])
    if name in values["students"]:
        return local_profile(values, BASE / name)
    known = dict.fromkeys([*evaluated, *values["teachers"], *values["students"]])
    raise ValueError(f"reader {name!r}: unknown; params.yaml has: {', '.join(known)}")


def choose_profile(values: dict[str, Any], name: str | None, model: str | None, base_url: str | None) -> tuple[str, Profile]:
    """Return a title and the profile of the reader that is asked for; of none, the merged student, or the chosen one as it came."""
    if name and (model or base_url):
        raise ValueError("give one of --reader, --model and --base_url: they name different readers")
    if base_url:
        if not model:
            raise ValueError("--base_url needs --model: the name under which the server knows the model")
        processing = "deepseek-ocr" if "deepseek-ocr" in model.lower() else "default"
        try:
            return f"{model} at {base_url}", Api(base_url=base_url, model_name=model, postprocess=processing)
        except ValidationError as errors:
            raise ValueError("\n".join(describe("--base_url", error, Api) for error in errors.errors(include_url=False))) from None
    if model:
        if not (Path(model) / "config.json").is_file():  # a student by its name is fetched on first use, a mistyped folder is not
            raise ValueError(f"{model}: no model here; expected config.json, *.safetensors, tokenizer and processor")
        return model, local_profile(values, Path(model))
    if name:
        return name, find_profile(values, name)
    folder = MERGED if (MERGED / "config.json").is_file() else BASE / values["student"]
    return str(folder), local_profile(values, folder)


def own_prompts(profile: Profile) -> dict[str, str]:
    """Return the tasks that are the model's own; engines have none."""
    if isinstance(profile, Local):
        return profile.prompts
    return own_tasks(profile.model_name) if isinstance(profile, Api) else {}


def ask_for(profile: Profile, task: str | None, users: dict[str, dict[str, str]]) -> tuple[Profile, Prompt]:
    """Return the profile with a task in place of its own, and the words; an engine takes no task."""
    if not isinstance(profile, Api | Local):
        if task:
            raise ValueError(f"task {task!r}: {profile.type} is no model that could be asked; leave the task out")
        return profile, Prompt()
    prompt = find_prompt(task or profile.task, own_prompts(profile), users)
    if not task:
        return profile, prompt
    change = {"task": task}
    if profile.postprocess in LAYOUT:
        change["postprocess"] = LAYOUT[profile.postprocess] if task == "document" else profile.postprocess
    return profile.model_copy(update=change), prompt


def usual_unit(profile: Profile) -> Unit:
    """Return what this reader reads: lines, where it was made for them, or else whole pages."""
    if isinstance(profile, Tesseract):
        return {7: "line", 13: "line", 6: "block"}.get(profile.page_segmentation, "page")
    return profile.unit if isinstance(profile, Local) else "page"
