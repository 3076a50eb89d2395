"""How a model is served: vLLM's command and its compose file where vLLM has a class for it, else our own server."""

import json
import shlex
from pathlib import Path

from ocrtune.models.contract import CONTRACT, read_contract
from ocrtune.models.vlm import weights_digest
from ocrtune.params.students import StudentProfile
from ocrtune.rows import write_text

IMAGE = "vllm/vllm-openai:v0.33.0"  # its list of classes and its flags are what params.yaml was written after
COMPOSE = "compose.yaml"


def served_name(folder: Path) -> str:
    """Return the name to serve a model under: its folder's, or, of one that was trained here, its student's with a mark of the weights.

    Who asks a server knows the model by this name and keeps readings under it: what one training read must not pass for the next one's.
    """
    if not (folder / CONTRACT).is_file():
        return folder.resolve().name
    return f"{read_contract(folder, 'merge').get('student')}-{weights_digest(folder)[:8]}"


def serve_command(name: str, profile: StudentProfile, model: str) -> str:
    """Return the shell command that serves the folder `model` under that name behind an OpenAI-compatible API."""
    if profile.vllm is None:
        return shlex.join(["./run", "python", "-m", "tools.serve", model])
    return shlex.join(["vllm", "serve", model, "--served-model-name", name, *profile.vllm])


def note_on_serving(student: str, profile: StudentProfile) -> str:
    """Return what a user should know before training: whether vLLM will serve the outcome."""
    if profile.vllm is None:
        return f"serving: vLLM has no class for {student}; python -m tools.serve has"
    return f"serving: vLLM, by the {COMPOSE} that merge writes into the model's folder"


def write_compose(file: Path, name: str, profile: StudentProfile) -> None:
    """Write a compose file beside the weights: `docker compose up` in that folder serves them on port 8000 of this machine alone."""
    if profile.vllm is None:
        return
    command = json.dumps(["/model", "--served-model-name", name, *profile.vllm], ensure_ascii=False)
    write_text(file, f"""services:
  vllm:
    image: {IMAGE}
    command: {command}
    volumes: [".:/model:ro"]
    ports: ["127.0.0.1:8000:8000"]
    ipc: host
    deploy:
      resources:
        reservations:
          devices: [{{driver: nvidia, count: 1, capabilities: [gpu]}}]
""")
