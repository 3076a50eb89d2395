"""dvc.yaml tells the truth about its stages.

DVC reruns a stage when something in its `deps` or `params` changed, and it does not follow Python
imports: a module missing there means stale results that look fresh, an idle one means work for nothing.
Each check below returns complaints, is run on our pipeline, and is shown one that it must complain about.
"""

import re
from pathlib import Path

import pytest
import yaml
from pipeline_checks import (
    check_command,
    check_imports,
    check_packages,
    check_params,
    check_readers_of_params,
    check_rooms,
    expand,
    read_yaml,
    script_of,
)

ROOT = Path(__file__).parents[1]
ORDER = ["crawl", "pdf2img", "teacher_label", "split", "train", "merge", "evaluate", "compare"]
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
    assert check_rooms(ROOT) + check_packages(ROOT) == []
    assert check_readers_of_params(ROOT) == []
    assert not re.search(r"\btools[./]", yaml.safe_dump(DECLARED))


@pytest.fixture
def small(tmp_path) -> Path:
    """Return a repository of one stage, true to its declaration."""
    for path, text in {
        "stages/count.py": "def main():\n    from ocrtune.texts.words import split\n    p = load_section('count', object)\n",
        "ocrtune/__init__.py": "", "ocrtune/texts/words.py": "from ocrtune.texts import letters\n", "ocrtune/texts/letters.py": "A = 1\n",
        "ocrtune/others/idle.py": "B = 1\n", "tools/show.py": "C = 1\n",
        "tools/own/parts.py": "D = 1\n", "tools/make.py": "import tools.own.parts\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


COUNT = {"cmd": "python -m stages.count data/in data/out", "params": ["count"], "outs": ["data/out"],
         "deps": ["data/in", "stages/count.py", "ocrtune/texts/words.py", "ocrtune/texts/letters.py"]}


def test_checks_pass_what_is_true(small):
    whole = COUNT | {"deps": ["data/in", "stages/count.py", "ocrtune/texts"]}  # a package all of whose files are imported
    assert check_imports(whole, small) == []
    assert check_imports(COUNT, small) + check_command(COUNT, small) + check_params(COUNT, {"count": 1}, small) == []
    assert check_rooms(small) + check_packages(small) == []


@pytest.mark.parametrize(("change", "complaint"), [
    ({"deps": ["data/in", "stages/count.py", "ocrtune/texts/words.py"]}, "add ocrtune/texts/letters.py"),  # imported by an import
    ({"deps": ["data/in", "ocrtune/texts/words.py", "ocrtune/texts/letters.py"]}, "add stages/count.py"),
    ({"deps": [*COUNT["deps"], "ocrtune/others/idle.py"]}, "drop ocrtune/others/idle.py"),
    ({"deps": [*COUNT["deps"], "ocrtune/others"]}, "drop ocrtune/others/idle.py"),
    ({"deps": [*COUNT["deps"], "ocrtune/gone"]}, "drop ocrtune/gone"),
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


def test_packages_in_a_circle_are_seen(small):
    (small / "ocrtune/texts/letters.py").write_text("from ocrtune.others.idle import B\n")
    assert check_packages(small) == []
    (small / "ocrtune/others/idle.py").write_text("def f():\n    from ocrtune.texts import words\n")
    (found,) = check_packages(small)
    assert "others" in found and "texts" in found


def test_foreach_is_written_out_as_dvc_does():
    stages = {"read": {"foreach": "${a.readers}", "do": {"cmd": "${key} ${item.model} ${s}", "params": ["p.${s}"]}}}
    params = {"a": {"readers": {"x": {"model": "m/x"}, "y": {"model": "m/y"}}}, "s": "tiny"}
    assert expand(stages, params) == {f"read@{key}": {"cmd": f"{key} m/{key} tiny", "params": ["p.tiny"]} for key in "xy"}
