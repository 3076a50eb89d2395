"""Edit the tasks that users keep in params.yaml, section `prompts`; every other byte of the file stays as it is."""

import re
from collections.abc import Callable
from pathlib import Path

from ocrtune.labels.gold import locked
from ocrtune.params.prompts import LOCKED
from ocrtune.rows import RowError, write_text
from ocrtune.studio.params_file import dump_document, load_document

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def find_section(text: str) -> tuple[int, int]:
    """Return where section `prompts` begins and ends in the lines of params.yaml, comments of what follows left out."""
    lines = text.splitlines(keepends=True)
    begin = next((number for number, line in enumerate(lines) if re.match(r"prompts\s*:", line)), None)
    if begin is None:
        raise RowError("params.yaml: no section `prompts`; add a line `prompts: {}`")
    end = begin + 1
    for number in range(begin + 1, len(lines)):
        if lines[number].strip() and not lines[number].startswith((" ", "\t", "#")):
            break
        if lines[number].strip() and lines[number].startswith((" ", "\t")):
            end = number + 1
    return begin, end


def change_tasks(path: Path, change: Callable[[dict], None]) -> None:
    """Let `change` edit the tasks, a mapping that keeps its comments, and write params.yaml whole or not at all."""
    import yaml

    with locked(path):
        try:
            text = path.read_text(encoding="utf-8")
            values = yaml.safe_load(text)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RowError(f"params.yaml: can't be read: {error}") from None
        lines = text.splitlines(keepends=True)
        begin, end = find_section(text)
        loader, section = load_document("".join(lines[begin:end]))
        if not section["prompts"]:
            section["prompts"] = {}
        change(section["prompts"])
        new = "".join(lines[:begin]) + dump_document(loader, section) + "".join(lines[end:])
        if (yaml.safe_load(new) | {"prompts": None}) != (values | {"prompts": None}):
            raise RowError("params.yaml: the rest of the file would have changed; edit section `prompts` by hand")
        if new != text:
            write_text(path, new)


def check_name(name: str, tasks: dict, is_new: bool) -> str:
    """Return a name that a task may have; otherwise a `RowError` says why not."""
    name = name.strip()
    if not NAME.fullmatch(name):
        raise RowError(f"{name!r}: a task's name is a letter, then letters, digits, - and _, as in medical_report")
    if name in LOCKED:
        raise RowError(f"{name}: each model's own task, in its makers' words; it can't be changed; give yours another name")
    if is_new and name in tasks:
        raise RowError(f"{name}: there is such a task already")
    if not is_new and name not in tasks:
        raise RowError(f"{name}: there is no such task any more; reload the page")
    return name


def save_task(path: Path, name: str, system: str, user: str, is_new: bool) -> None:
    """Add a task, or change the words of one."""
    if not user.strip():
        raise RowError(f"{name}: the words beside the image are missing")

    def change(tasks: dict) -> None:
        key = check_name(name, tasks, is_new)
        task = tasks.setdefault(key, {})
        for part, words in (("system", system.strip()), ("user", user.strip())):
            if words != task.get(part, "") or part == "user":
                task[part] = say_plainly(words)

    change_tasks(path, change)


def say_plainly(words: str):
    """Return words as YAML shows them best: several lines as a block, and in quotes what would be read as something else.

    What reads YAML 1.1 takes a plain `yes` for a truth value, and DVC, which writes 1.2, leaves it plain.
    """
    import yaml
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    if "\n" in words:
        return LiteralScalarString(words)
    try:
        is_plain = yaml.safe_load(words) == words
    except yaml.YAMLError:
        is_plain = False
    return words if is_plain else DoubleQuotedScalarString(words)


def delete_task(path: Path, name: str) -> None:
    """Take a task out."""
    def change(tasks: dict) -> None:
        del tasks[check_name(name, tasks, is_new=False)]

    change_tasks(path, change)
