"""What a model is asked: its own tasks, whose words are as its makers trained them, and those that users add in params.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """The words beside an image; either may be empty."""

    system: str = ""
    user: str = ""


# By family, told from a model's name. The words of DeepSeek-OCR are those of its model card; the image comes before them,
# and neither role tokens nor a line break is part of them: chat templates and processors add these.
OWN_TASKS: dict[str, dict[str, str]] = {
    "deepseek-ocr": {"ocr": "Free OCR.", "document": "<|grounding|>Convert the document to markdown."},
    "": {"ocr": "Extract all text from the image.", "document": "Convert this document to Markdown."},
}


def own_tasks(model_name: str) -> dict[str, str]:
    """Return the own tasks of a model by its name, such as `deepseek-ai/DeepSeek-OCR`; of one unknown, general words."""
    return next(tasks for family, tasks in OWN_TASKS.items() if family in model_name.lower())


def find_prompt(task: str, own: Mapping[str, str | Prompt], users: Mapping[str, Mapping[str, str]]) -> Prompt:
    """Return the prompt of a task.

    `own` are the model's own tasks, each the user's words or a whole prompt; `users` is section `prompts` of params.yaml. An
    unknown task, and a task of both, are a `ValueError`.
    """
    twice = sorted(own.keys() & users.keys())
    if twice:
        raise ValueError(f"prompts.{twice[0]}: the model's own task {twice[0]!r} can't be changed; give yours another name")
    if task in own:
        words = own[task]
        return words if isinstance(words, Prompt) else Prompt(user=words)
    if task in users:
        return Prompt(users[task].get("system", ""), users[task]["user"])
    known = [*(f"{name} (the model's own)" for name in sorted(own)), *sorted(users)]
    raise ValueError(f"task {task!r}: unknown; there are: {', '.join(known) or 'none'}; add yours to `prompts` in params.yaml")
