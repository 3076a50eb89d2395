"""Commands that tests run tell nobody: DVC reports its use to its makers unless it is told not to."""

import os
import subprocess
import sys
from pathlib import Path

from clean_environment import clean_environment


def use_dvc(folder: Path, environment: dict[str, str]) -> list[str]:
    """Use DVC in a fresh project and return the reports that it left for a process that sends them, which is kept from starting."""
    (folder / "tmp").mkdir(parents=True)
    environment |= {"TMPDIR": str(folder / "tmp"), "DVC_DAEMON": "1"}
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q", "--no-scm"], cwd=folder, env=environment, check=True)
    return [file.read_text() for file in (folder / "tmp").iterdir()]


def test_commands_of_tests_report_nothing(tmp_path):
    assert use_dvc(tmp_path / "a test's own", dict(os.environ)) == []
    assert use_dvc(tmp_path / "a person's", clean_environment()) == []
    (told,) = use_dvc(tmp_path / "told", {name: value for name, value in clean_environment().items() if name != "DVC_NO_ANALYTICS"})
    assert '"cmd_class": "CmdInit"' in told


def test_no_test_cleans_an_environment_by_itself():
    here = Path(__file__)
    others = [file for file in sorted(here.parent.glob("*.py")) if file.name not in (here.name, "clean_environment.py")]
    assert [file.name for file in others if '("DVC_"' in file.read_text(encoding="utf-8")] == []
