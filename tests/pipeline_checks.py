"""Whether dvc.yaml and the walls between the rooms are as declared: each check returns complaints, none where all is well."""

import ast
import re
import shlex
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import yaml

NO_RESULT = {"executor"}  # sections that say who works; what comes out is the same (test_ray.py)


def read_yaml(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def fill(value, names: dict):
    """Return a part of dvc.yaml with each ${a.b} replaced by what `names` holds there."""
    if isinstance(value, dict):
        return {fill(key, names): fill(part, names) for key, part in value.items()}
    if isinstance(value, list):
        return [fill(part, names) for part in value]

    def look_up(match: re.Match) -> str:
        found = names
        for step in match[1].split("."):
            found = found[step]
        return str(found)

    return re.sub(r"\$\{([\w.-]+)\}", look_up, value) if isinstance(value, str) else value


def expand(stages: dict, params: dict) -> dict:
    """Return the stages as `dvc repro` runs them: each `foreach` written out, params filled in."""
    flat = {}
    for name, stage in stages.items():
        if "foreach" not in stage:
            flat[name] = fill(stage, params)
            continue
        items = params
        for step in stage["foreach"].removeprefix("${").removesuffix("}").split("."):
            items = items[step]
        for key, item in items.items():
            flat[f"{name}@{key}"] = fill(stage["do"], params | {"key": key, "item": item})
    return flat


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_names(path: Path, root: Path) -> set[str]:
    """Return the dotted names that a file imports, in functions too, where heavy imports hide."""
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(root).parts[: -node.level] if node.level else ()
            module = ".".join([*package, *filter(None, [node.module])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def our_files(name: str, root: Path) -> set[Path]:
    """Return the files of the repository that importing `name` runs; none where it is not ours or empty."""
    parts = name.split(".")
    tries = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    tries += [root.joinpath(*parts[:depth]).with_suffix(".py") for depth in range(1, len(parts) + 1)]
    return {path for path in tries if path.is_file() and path.stat().st_size}


def closure(script: Path, root: Path) -> set[str]:
    """Return a script and all that it imports from the repository, at any depth, as paths from the root."""
    seen, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [file for name in imported_names(path, root) for file in our_files(name, root)]
    return {path.relative_to(root).as_posix() for path in seen}


def script_of(stage: dict) -> str:
    words = shlex.split(stage["cmd"])
    assert words[:2] == ["python", "-m"], stage["cmd"]
    return words[2].replace(".", "/") + ".py"


def paths_of(stage: dict, *lists: str) -> list[str]:
    """Return the paths in these lists of a stage."""
    entries = [entry for name in lists for entry in stage.get(name, [])]
    return [path for entry in entries for path in ([entry] if isinstance(entry, str) else entry)]


def is_code(path: str) -> bool:
    return path.startswith(("stages/", "ocrtune/"))


def code_files(paths: list[str], root: Path) -> set[str]:
    """Return the Python files among paths from the root; a package stands for all of its files that are not empty."""
    files = {file for path in paths for file in ((root / path).rglob("*.py") if (root / path).is_dir() else [root / path])}
    return {file.relative_to(root).as_posix() for file in files if not file.is_file() or file.stat().st_size}


def check_imports(stage: dict, root: Path) -> list[str]:
    """Code among the deps is the import closure of the stage's script, both ways."""
    declared = code_files([path for path in paths_of(stage, "deps") if is_code(path)], root)
    real = closure(root / script_of(stage), root)
    return [f"add {path}" for path in sorted(real - declared)] + [f"drop {path}" for path in sorted(declared - real)]


def check_command(stage: dict, root: Path) -> list[str]:
    """The command line names every input and output, once, and no other path."""
    declared = {path for path in paths_of(stage, "deps", "outs", "metrics", "plots") if not is_code(path)}
    words = shlex.split(stage["cmd"])[3:]
    named = {word for word in words if "/" in word or (root / word).exists()}
    twice = {word for word in named if words.count(word) > 1}
    return [f"{path}: in cmd or in lists, not in both" for path in sorted(named ^ declared)] + [f"{path}: twice" for path in sorted(twice)]


def sections_read(path: Path) -> set[str]:
    """Return the top-level sections of params.yaml that a script asks for, by name."""
    asked = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load_section":
            asked.append(node.args[0])
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("values", "read_params()"):
            asked.append(node.slice)
    first_words = [part.values[0] if isinstance(part, ast.JoinedStr) else part for part in asked]
    return {part.value.partition(".")[0] for part in first_words}


def check_params(stage: dict, params: dict, root: Path) -> list[str]:
    """The sections tracked are those that the script reads, and each tracked key stands in params.yaml."""
    tracked, problems = stage.get("params", []), []
    for name in tracked:
        found = params
        for step in name.split("."):
            found = found.get(step, {}) if isinstance(found, dict) else {}
        if found == {}:
            problems.append(f"{name}: not in params.yaml")
    odd = {name.partition(".")[0] for name in tracked} ^ (sections_read(root / script_of(stage)) - NO_RESULT)
    return problems + [f"{name}: tracked or read, not both" for name in sorted(odd)]


def check_rooms(root: Path) -> list[str]:
    """Nothing imports a script; the library and the stages know no tool; packages have no code of their own."""
    scripts = {path for room in ("stages", "tools", "benchmarks") for path in (root / room).glob("*.py")}
    problems = []
    for room in ("ocrtune", "stages", "tools", "benchmarks"):
        for path in sorted((root / room).rglob("*.py")):
            names = imported_names(path, root)
            imported = {file for name in names for file in our_files(name, root)} - {path}
            problems += [f"{path.relative_to(root)} imports {file.relative_to(root)}" for file in sorted(imported & scripts)]
            if room in ("ocrtune", "stages") and any(name.split(".")[0] in ("tools", "benchmarks") for name in names):
                problems.append(f"{path.relative_to(root)} imports a tool")
            if path.name == "__init__.py" and path.stat().st_size:
                problems.append(f"{path.relative_to(root)} is not empty")
    return problems


def check_packages(root: Path) -> list[str]:
    """The library's packages depend on each other one way; a model's own code counts as one with `models`, which finds it."""

    def package(path: Path) -> str:
        name = path.relative_to(root / "ocrtune").parts[0]
        return "models" if name in ("families", "deepseek_ocr") else name

    sorter = TopologicalSorter()
    for path in sorted((root / "ocrtune").rglob("*.py")):
        files = {file for name in imported_names(path, root) for file in our_files(name, root) if root / "ocrtune" in file.parents}
        sorter.add(package(path), *({package(file) for file in files} - {package(path)}))
    try:
        sorter.prepare()
    except CycleError as error:
        return [f"packages import each other in a circle: {' <- '.join(error.args[1])}"]
    return []


def check_readers_of_params(root: Path) -> list[str]:
    """The library is told its params; it reads no file of them behind a stage's back."""
    files = set((root / "ocrtune").rglob("*.py")) - {root / "ocrtune/params/load.py"}
    return [f"{path.relative_to(root)} reads params.yaml" for path in sorted(files)
            if {"ocrtune.params.load.read_params", "ocrtune.params.load.load_section"} & imported_names(path, root)]
