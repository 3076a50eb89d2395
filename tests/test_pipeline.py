"""dvc.yaml tells the truth about its stages.

DVC reruns a stage when something in its `deps` or `params` changed, and it does not follow Python
imports: a module missing there means stale results that look fresh, an idle one means work for nothing.
Each check below returns complaints, is run on our pipeline, and is shown one that it must complain about.
"""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
NO_RESULT = {"executor"}  # sections that say who works; what comes out is the same (test_ray.py)
ORDER = ["crawl", "pdf2img", "teacher_label", "split", "train", "merge", "evaluate", "compare"]


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


def check_imports(stage: dict, root: Path) -> list[str]:
    """Python deps are the import closure of the stage's script, both ways."""
    declared = {path for path in paths_of(stage, "deps") if path.endswith(".py")}
    real = closure(root / script_of(stage), root)
    return [f"add {path}" for path in sorted(real - declared)] + [f"drop {path}" for path in sorted(declared - real)]


def check_command(stage: dict, root: Path) -> list[str]:
    """The command line names every input and output, once, and no other path."""
    declared = {path for path in paths_of(stage, "deps", "outs", "metrics", "plots") if not path.endswith(".py")}
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


def check_readers_of_params(root: Path) -> list[str]:
    """The library is told its params; it reads no file of them behind a stage's back."""
    files = set((root / "ocrtune").rglob("*.py")) - {root / "ocrtune/params/load.py"}
    return [f"{path.relative_to(root)} reads params.yaml" for path in sorted(files)
            if {"ocrtune.params.load.read_params", "ocrtune.params.load.load_section"} & imported_names(path, root)]


PARAMS = read_yaml(ROOT / "params.yaml")
DECLARED = read_yaml(ROOT / "dvc.yaml")["stages"]
STAGES = expand(DECLARED, PARAMS)


def test_stages_scripts_and_sections_have_the_same_names_in_the_same_order():
    assert list(DECLARED) == ORDER
    assert sorted(path.stem for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__") == sorted(ORDER)
    assert [name for name in PARAMS if name in ORDER] == ORDER
    assert [script_of(stage) for name, stage in STAGES.items()] == [f"stages/{name.split('@')[0]}.py" for name in STAGES]


@pytest.mark.parametrize("name", STAGES)
def test_stage_is_declared_truly(name):
    stage = STAGES[name]
    assert len(stage["desc"].split()) >= 4
    assert check_imports(stage, ROOT) == []
    assert check_command(stage, ROOT) == []
    assert check_params(stage, PARAMS, ROOT) == []


def test_rooms_are_apart():
    assert check_rooms(ROOT) == []
    assert check_readers_of_params(ROOT) == []
    assert not re.search(r"\btools[./]", yaml.safe_dump(DECLARED))


@pytest.fixture
def small(tmp_path) -> Path:
    """Return a repository of one stage, true to its declaration."""
    for path, text in {
        "stages/count.py": "def main():\n    from ocrtune.texts.words import split\n    p = load_section('count', object)\n",
        "ocrtune/__init__.py": "", "ocrtune/texts/words.py": "from ocrtune import letters\n", "ocrtune/letters.py": "A = 1\n",
        "ocrtune/idle.py": "B = 1\n", "tools/show.py": "C = 1\n",
        "tools/own/parts.py": "D = 1\n", "tools/make.py": "import tools.own.parts\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


COUNT = {"cmd": "python -m stages.count data/in data/out", "params": ["count"], "outs": ["data/out"],
         "deps": ["data/in", "stages/count.py", "ocrtune/texts/words.py", "ocrtune/letters.py"]}


def test_checks_pass_what_is_true(small):
    assert check_imports(COUNT, small) + check_command(COUNT, small) + check_params(COUNT, {"count": 1}, small) == []
    assert check_rooms(small) == []


@pytest.mark.parametrize(("change", "complaint"), [
    ({"deps": ["data/in", "stages/count.py", "ocrtune/texts/words.py"]}, "add ocrtune/letters.py"),  # imported by an import
    ({"deps": ["data/in", "ocrtune/texts/words.py", "ocrtune/letters.py"]}, "add stages/count.py"),
    ({"deps": [*COUNT["deps"], "ocrtune/idle.py"]}, "drop ocrtune/idle.py"),
    ({"deps": COUNT["deps"][1:]}, "data/in: in cmd"),
    ({"deps": [*COUNT["deps"], "data/more"]}, "data/more: in cmd"),
    ({"outs": []}, "data/out: in cmd"),
    ({"metrics": [{"data/figures.json": {"cache": False}}]}, "data/figures.json: in cmd"),
    ({"cmd": "python -m stages.count data/in data/out data/in"}, "data/in: twice"),
    ({"params": []}, "count: tracked or read"),
    ({"params": ["count", "other"]}, "other: tracked or read"),
    ({"params": ["count.absent"]}, "count.absent: not in params.yaml"),
])
def test_checks_see_a_false_declaration(small, change, complaint):
    stage = COUNT | change
    (found,) = check_imports(stage, small) + check_command(stage, small) + check_params(stage, {"count": {"a": 1}, "other": 1}, small)
    assert found.startswith(complaint)


@pytest.mark.parametrize(("path", "text"), [
    ("ocrtune/texts/words.py", "def f():\n    import tools.own.parts\n"), ("ocrtune/texts/words.py", "from stages import count\n"),
    ("stages/split.py", "from stages.count import main\n"), ("tools/make.py", "from tools.show import C\n"),
    ("tools/own/parts.py", "from .. import show\n"), ("ocrtune/__init__.py", "A = 1\n"),
])
def test_checks_see_a_broken_wall(small, path, text):
    (small / path).write_text(text)
    assert check_rooms(small)


def test_foreach_is_written_out_as_dvc_does():
    stages = {"read": {"foreach": "${a.readers}", "do": {"cmd": "${key} ${item.model} ${s}", "params": ["p.${s}"]}}}
    params = {"a": {"readers": {"x": {"model": "m/x"}, "y": {"model": "m/y"}}}, "s": "tiny"}
    assert expand(stages, params) == {f"read@{key}": {"cmd": f"{key} m/{key} tiny", "params": ["p.tiny"]} for key in "xy"}
