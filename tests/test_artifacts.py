"""Versions of models: the artifacts of dvc.yaml, registered by GTO's tags and fetched by name, as another clone would."""

import subprocess
from pathlib import Path

import yaml
from clean_environment import clean_environment

ROOT = Path(__file__).parents[1]


def run(folder: Path, *command: str) -> str:
    """Run a command of the environment in a folder and return what it prints."""
    environment = clean_environment() | {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER")
                                         for part, value in (("NAME", "Toni"), ("EMAIL", "toni@example.org"))}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_registered_model_is_fetched_by_version_and_by_stage(tmp_path):
    project = tmp_path / "project"
    artifacts = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"]
    assert {name: entry["path"] for name, entry in artifacts.items()} == {"adapter": "models/adapter", "tuned": "models/merged"}
    for entry in artifacts.values():
        (project / entry["path"]).mkdir(parents=True)
        (project / entry["path"] / "model.safetensors").write_text("first")
    (project / "dvc.yaml").write_text(yaml.safe_dump({"artifacts": artifacts}))
    run(project, "git", "init", "-q", "-b", "main")
    run(project, "dvc", "init", "-q")
    for version in ("first", "second"):
        (project / "models/merged/model.safetensors").write_text(version)
        run(project, "dvc", "add", "-q", "models/merged", "models/adapter")
        run(project, "git", "add", "--all")
        run(project, "git", "commit", "-qm", version)
        run(project, "gto", "register", "tuned", *(["--version", "v1.0.0"] if version == "first" else []))
        if version == "first":
            run(project, "gto", "assign", "tuned", "--version", "v1.0.0", "--stage", "prod")
    assert run(project, "git", "tag", "--list").split() == ["tuned#prod#1", "tuned@v1.0.0", "tuned@v1.0.1"]
    assert run(project, "git", "cat-file", "-t", "tuned@v1.0.0").strip() == "tag"  # annotated: it says who and when
    for words, expected in (((), "second"), (("--rev", "v1.0.0"), "first"), (("--stage", "prod"), "first")):
        folder = f"got-{'-'.join(words).strip('-')}"
        run(tmp_path, "dvc", "artifacts", "get", str(project), "tuned", "--out", folder, *words)
        assert (tmp_path / folder / "model.safetensors").read_text() == expected, words
