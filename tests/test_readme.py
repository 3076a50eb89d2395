"""README.md tells what there is: each stage, tool and section, the two commands, and paths that exist; all pages' YAML is valid."""

import re
from pathlib import Path

import pytest
import yaml

from ocrtune.params.load import problems

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
ROOMS = ("stages", "tools", "ocrtune", "tests", "benchmarks", "data/site", "data/canary", "data/gold.jsonl", "models/base")


def text() -> str:
    return README.read_text(encoding="utf-8")


def scripts(room: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / room).glob("*.py") if path.stem != "__init__")


def named(word: str, document: str) -> bool:
    """Return whether a document names a word, alone or as part of a dotted name or path."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", document) is not None


def paths_in(document: str) -> set[str]:
    """Return the paths of the repository that a document names: targets of relative links, and words that begin with a room."""
    links = {target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", document) if not re.match(r"[a-z]+:|#", target)}
    rooms = "|".join(map(re.escape, ROOMS))
    words = re.findall(rf"(?<![\w./-])((?:{rooms})/[\w./-]*\w)", document)
    return {path for path in links if path} | {word for word in words if "..." not in word}


@pytest.mark.parametrize("room", ["stages", "tools"])
def test_each_script_is_named(room):
    assert [name for name in scripts(room) if not named(name, text())] == []


def test_each_section_of_params_is_named():
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert [name for name in sections if not named(name, text())] == []


def test_the_two_commands_are_those_of_the_machine_that_checks_us():
    assert "./run dvc repro" in text()
    assert "./run pytest" in text()
    assert (ROOT / "run").stat().st_mode & 0o111
    check = ROOT / ".ci" / "run"
    if check.is_file():
        assert re.search(r"^\s*(exec\s+)?\./run pytest", check.read_text(), re.MULTILINE)


def written_by_stages() -> set[str]:
    """Return the paths that the pipeline writes: they are there after `dvc repro` alone."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    return {path for stage in stages for name in ("outs", "metrics", "plots") for path in stage.get(name, [])
            for path in ([path] if isinstance(path, str) else path)}


def test_each_path_exists():
    # What a reader is told to make (models/base/<name>) has angle brackets, which end a path here.
    assert [path for path in sorted(paths_in(text()) - written_by_stages()) if not (ROOT / path).exists()] == []


def test_a_false_path_or_name_would_be_seen():
    document = "See [the log](LOG.md#one), [a page](https://a.b/c), `stages/absent.py`, `python -m tools.infer`, "
    document += "models/base/<name>, data/site/x.pdf"
    assert paths_in(document) == {"LOG.md", "stages/absent.py", "data/site/x.pdf"}
    assert named("infer", document)
    assert not named("tool", document)


def merge(into: dict, new: dict) -> dict:
    """Return what params.yaml would be with these lines in it."""
    return into | {key: merge(into[key], value) if isinstance(value, dict) and isinstance(into.get(key), dict) else value
                   for key, value in new.items()}


def yaml_blocks() -> list:
    pages = [README, *sorted((ROOT / "docs").glob("*.md"))]
    return [pytest.param(block, id=f"{page.name}: {' '.join(block.split())[:40]}") for page in pages
            for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)]


@pytest.mark.parametrize("block", yaml_blocks())
def test_yaml_is_taken_as_it_stands(block):
    shipped = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values = merge(shipped, yaml.safe_load(block))
    assert problems(values) == []


def test_what_scripts_call_otherwise_is_in_params():
    table = (ROOT / "docs/models.md").read_text(encoding="utf-8").partition("## Coming from scripts")[2].partition("\n## ")[0]
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    same = next(row for row in table.splitlines() if row.endswith("the same under `train` |")).split("|")[1]
    paths = {*re.findall(r"`((?:train|students|crawl)\.[\w.-]+)", table), *(f"train.{name}" for name in re.findall(r"\w+", same))}
    assert len(paths) > 20
    for path in paths:
        value = params
        for name in path.split("."):
            assert name in value, path
            value = value[name]
