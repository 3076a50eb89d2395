"""Each stage and tool says what it is for, at once: nobody waits for torch to read a help."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(f"{room}.{path.stem}" for room in ("stages", "tools") for path in (ROOT / room).glob("*.py") if path.stem != "__init__")
HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "scrapy", "twisted", "pymupdf", "numpy", "PIL", "matplotlib", "openai",
         "pydantic"}
LIMIT_S = 1.0

ASK = """
import runpy, sys, time
sys.argv = [{script!r}, "--help"]
try:
    runpy.run_module({script!r}, run_name="__main__")
except SystemExit as stop:
    print("status", stop.code or 0)
print("heavy", *sorted({heavy!r} & sys.modules.keys()))
print("seconds", time.process_time())
"""


def ask_for_help(script: str) -> tuple[float, list[str]]:
    """Return the seconds and the lines of a help, then `status N` and `heavy` with the packages that were loaded.

    Seconds of the processor, not of the wall clock: those of a quiet machine, however busy this one is.
    """
    code = ASK.format(script=script, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *lines, seconds = done.stdout.splitlines()
    return float(seconds.split()[1]), lines


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_answers_at_once(script):
    seconds, lines = ask_for_help(script)
    assert lines[-2:] == ["status 0", "heavy"]
    room, name = script.split(".")
    tree = ast.parse((ROOT / room / f"{name}.py").read_text(encoding="utf-8"))
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    purpose = ast.get_docstring(main).split("\n")[0].split()
    assert " ".join(purpose[:4]) in " ".join(" ".join(lines).split())
    assert min(seconds, *(ask_for_help(script)[0] for _ in range(2 if seconds >= LIMIT_S else 0)), LIMIT_S * 99) < LIMIT_S


def test_there_are_stages_and_tools():
    assert len([script for script in SCRIPTS if script.startswith("stages.")]) == 8
    assert "tools.pretrain" in SCRIPTS


def test_a_heavy_import_would_be_seen():
    done = subprocess.run([sys.executable, "-c", ASK.format(script="calendar", heavy={"argparse", "torch"})],
                          cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-3:-1] == ["status 0", "heavy argparse"]
