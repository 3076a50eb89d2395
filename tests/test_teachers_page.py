"""docs/teachers.md is true: no option is left out, and each command does what the page says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from team import Person
from test_pdf2img import make_pdf
from test_repro import make_project

from ocrtune.labels.verdicts import REASONS
from ocrtune.params.teacher_label import BudgetParams, TeacherLabelParams
from ocrtune.params.teachers import Api, ChatRequest, Generation, ImageSizing, Local, Prices, Service, Tesseract
from ocrtune.readers.postprocess import PROCESSORS, postprocess

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/teachers.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line.split("  #")[0].strip() for block in blocks("bash") for line in block.splitlines()]


def test_no_option_and_no_verdict_is_left_out():
    sections = (Api, Service, Tesseract, ImageSizing, Generation, ChatRequest, Prices, TeacherLabelParams, BudgetParams)
    options = {name for section in sections for name in section.model_fields} | Local.__annotations__.keys() | REASONS.keys()
    assert [name for name in sorted(options | PROCESSORS.keys()) if not re.search(rf"(?<![\w-]){name}(?![\w-])", PAGE)] == []


def test_the_example_of_post_processing():
    raw, text = re.search(r"^```\n(<\|ref.*?)\n```\n\nbecomes `(.*?)`", PAGE, re.MULTILINE | re.DOTALL).groups()
    assert postprocess("deepseek-document", raw) == text


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    """Return somebody in a project with documents of two lines, whose teacher is the page's server."""
    root = tmp_path_factory.mktemp("teachers")
    person = Person(root / "project", root / "home")
    person.folder.mkdir()
    make_project(person.folder)
    shutil.copytree(ROOT / "tools", person.folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(person.folder / "data/site")
    for folder in ("data/site", "my_documents"):
        (person.folder / folder).mkdir(parents=True)
        make_pdf(person.folder / folder / "letter.pdf", pages=2)
    shutil.copytree(ROOT / "data/canary/images", person.folder / "scans")
    for image in sorted((person.folder / "scans").iterdir())[2:]:
        image.unlink()
    shutil.copy(next((person.folder / "scans").iterdir()), person.folder / "line.png")
    server = start(person, next(command for command in commands() if "tools.serve" in command).replace("--port 8000", "--port 0"))
    port = re.search(r":(\d+)/v1", server.stdout.readline())[1]
    params = yaml.safe_load((person.folder / "params.yaml").read_text())
    params["teacher"] = "api"
    params["teachers"]["api"] |= {"base_url": f"http://127.0.0.1:{port}/v1", "model_name": "tiny"}
    params["pdf2img"] |= {"workers": 1}
    (person.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    person.run("git init -q && dvc init -q && git add -A && git commit -qm begin")
    person.words = {"./run ": "", "http://localhost:8000": f"http://127.0.0.1:{port}", "/mnt/team/readings": str(root / "readings")}
    if shutil.which("tesseract") is None:
        person.words["--reader tesseract"] = "--reader text-layer"
    yield person
    server.terminate()
    server.wait()


def start(person: Person, command: str) -> subprocess.Popen:
    return subprocess.Popen(command.removeprefix("./run ").split(), cwd=person.folder, env=person.environment, text=True,
                            stdout=subprocess.PIPE)


def do(person: Person, command: str) -> str:
    """Run a command of the page and return what it printed."""
    for name, place in person.words.items():
        command = command.replace(name, place)
    return person.run(command)


STEPS = [
    ("repro teacher_label", r"Running stage 'teacher_label'(.|\n)*teacher api: 8 pages, 0 in the store, 4 to read"),  # both pages are alike
    ("metrics show", r"text_layer\.cer"),
    ("--force", r"teacher api: 8 pages, 8 in the store, 0 to read"),
    ("store list", r'4 readings +0 failures(.|\n)*"model": "tiny"'),
    ("store verify", r" 0 damaged lines"),
    ("store export", r"readings\.jsonl: [0-9]+ readings"),
    ("store import", r", 0 of them new"),
    ("store refill", r"8 readings in the rows of the workspace and HEAD, 0 of them new"),
    ("store prune", r"would remove 0 readings"),
    ("store pack", r"segments joined"),
    ("OCRTUNE_STORE", r"didn't change|up to date"),
    ("--list-prompts", r"ocr \(the model's own\): Extract all text"),
    ("--output texts", r"1 documents written, 2 pages read, 0 refused"),
    ("--output rows", r"1 documents written, 2 pages read, 0 refused"),
    ("--output pages", r"2 documents written, 2 pages read, 0 refused"),
    ("--image_path", r"1 documents written, 1 pages read, 0 refused"),
]


@pytest.mark.slow
def test_each_command_does_what_the_page_says(person):
    rest = [command for command in commands() if "tools.serve" not in command]  # the fixture has started that
    for command, (words, expected) in zip(rest, STEPS, strict=True):
        assert words in command
        assert re.search(expected, output := do(person, command)), f"{command}\n{output}"
    assert (person.folder / "texts/letter.md").is_file()
    assert len((person.folder / "rows/infer.jsonl").read_text().splitlines()) == 2
    assert len(list((person.folder / "pages/images").iterdir())) == 2
