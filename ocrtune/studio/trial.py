"""Let a reader of the project read one page with a prompt."""

from functools import lru_cache
from pathlib import Path

from ocrtune.readers.prompts import Prompt, own_tasks
from ocrtune.rows import RowError
from ocrtune.studio.params_file import read_params
from ocrtune.studio.project import Project

TASK = "studio"  # the name of a prompt that is being tried
BASE, TUNED = "student, as it came", "student, fine-tuned"


def list_readers(project: Project) -> list[str]:
    """Return who can be asked with a prompt: servers and local models among the teachers, and the student."""
    values = read_params(project)
    teachers = [name for name, profile in values.get("teachers", {}).items() if profile.get("type") in ("api", "local")]
    return [*teachers, BASE, *([TUNED] if (project.root / "models" / "merged").is_dir() else [])]


def own_prompts(project: Project, name: str) -> dict[str, Prompt]:
    """Return the locked tasks of a reader."""
    values = read_params(project)
    is_student = name in (BASE, TUNED)
    profile = values["students"][values["student"]] if is_student else values.get("teachers", {}).get(name, {})
    words = profile.get("prompts") or own_tasks(profile.get("model_name") or "")
    return {task: Prompt(user=said) for task, said in words.items()}


def find_profile(project: Project, name: str):
    """Return a reader's profile, asking for task `TASK`."""
    from pydantic import TypeAdapter, ValidationError

    from ocrtune.params.teachers import Local, Reader

    values = read_params(project)
    try:
        if name in (BASE, TUNED):
            folder = project.root / "models" / ("merged" if name == TUNED else f"base/{values['student']}")
            return Local.model_validate({"model": str(folder), **values["students"][values["student"]], "task": TASK})
        return TypeAdapter(Reader).validate_python(values["teachers"][name] | {"task": TASK})
    except (KeyError, ValidationError) as error:
        raise RowError(f"{name}: no such reader in params.yaml as it is now: {error}") from None


@lru_cache(maxsize=2)
def open_profile(profile_json: str, is_local: bool, prompt: Prompt):
    """Return the reader of a profile that asks with `prompt`; a model once loaded is kept."""
    from ocrtune.params.teachers import Api, Local
    from ocrtune.readers.open import open_reader

    profile = (Local if is_local else Api).model_validate_json(profile_json)
    return open_reader(profile, {TASK: {"system": prompt.system, "user": prompt.user}})


def read_once(project: Project, name: str, prompt: Prompt, page_id: str) -> str:
    """Return a reader's text of a page, through the store; a reader that fails is a `RowError`."""
    from ocrtune.readers.postprocess import postprocess
    from ocrtune.reading import Page
    from ocrtune.store.readings import read_pages
    from ocrtune.store.store import open_store

    row = project.pages().get(page_id)
    if row is None:
        raise RowError(f"{page_id}: no such page in data/pages/pages.jsonl")
    if name not in list_readers(project):
        raise RowError(f"{name}: no such reader; params.yaml has {', '.join(list_readers(project))}")
    profile = find_profile(project, name)
    page = Page(page_id, project.pages_folder / Path(row["image"]), row["sha256"], row.get("text_layer"))
    reader = open_profile(profile.model_dump_json(), profile.type == "local", prompt)
    _, reading = read_pages(reader, [page], open_store(), f"studio: {name}")[page_id]
    if reading.finish_reason == "error":
        raise RowError(f"{name} failed: {reading.problem or 'see the terminal'}")
    return postprocess(profile.postprocess, reading.text)
