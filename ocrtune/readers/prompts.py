"""What a model is asked: its own tasks, whose words are as its makers trained them, and those that users add in params.yaml."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """The words beside an image; either may be empty."""

    system: str = ""
    user: str = ""

    @property
    def in_one(self) -> str:
        """Return all the words together, the system's first: templates of models on this machine know no system."""
        return f"{self.system}\n{self.user}" if self.system else self.user


# By family, told from the letters and digits of a model's name. The words are those of the model cards, as in the profiles of
# `students`; the image comes before them, without role tokens and line breaks, which chat templates and processors add.
OWN_TASKS: dict[str, dict[str, str]] = {
    "deepseekocr": {"ocr": "Free OCR.", "document": "<|grounding|>Convert the document to markdown."},
    "qwen25vl": {"ocr": "Read all the text in the image.", "document": "QwenVL Markdown"},
    "qwen3vl": {"ocr": "Read all the text in the image.", "document": "qwenvl markdown"},
    "paddleocrvl": {"ocr": "OCR:", "document": "OCR:", "table": "Table Recognition:", "formula": "Formula Recognition:",
                    "chart": "Chart Recognition:"},
    "gotocr": {"ocr": " OCR: ", "document": " OCR with format: "},
    "lightonocr": {"ocr": "", "document": ""},
    "glmocr": {"ocr": "Text Recognition:", "document": "Text Recognition:", "table": "Table Recognition:",
               "formula": "Formula Recognition:"},
    "granitedocling": {"ocr": "Convert this page to docling.", "document": "Convert this page to docling.",
                       "table": "Convert table to OTSL."},
    "": {"ocr": "Extract all text from the image.", "document": "Convert this document to Markdown."},
}


def own_tasks(model_name: str) -> dict[str, str]:
    """Return the own tasks of a model by its name, such as `deepseek-ai/DeepSeek-OCR`; of one unknown, general words."""
    name = re.sub("[^a-z0-9]", "", model_name.lower())
    return next(tasks for family, tasks in OWN_TASKS.items() if family in name)


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
