"""Serve a student as OpenAI's API does, for `type: api` profiles and any other client.

    python -m tools.serve models/merged --student tiny --port 8000
"""

from pathlib import Path
from typing import Annotated

import typer


def serve(model: Path, student: str, name: str, host: str, port: int, key_env: str) -> None:
    """Serve until interrupted (SIGINT, SIGTERM)."""
    import signal

    from ocrtune.models.contract import check_contract
    from ocrtune.models.vlm import load_model, load_processor
    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.students import StudentProfile
    from ocrtune.readers.keys import environment_key
    from ocrtune.serving.chat_server import ChatServer
    from ocrtune.serving.served_model import ServedModel

    students = read_params().get("students") or {}
    if student not in students:
        raise ValueError(f"students has no {student!r} in params.yaml; it has: {', '.join(students)}")
    profile = load_section(f"students.{student}", StudentProfile)
    key = environment_key(key_env) if key_env else ""
    if key_env and not key:
        raise ValueError(f"--key-env: the environment variable {key_env} is not set")
    check_contract(model, profile)
    served = ServedModel(load_model(model, profile), load_processor(model, profile), profile)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ChatServer((host, port), served, name or model.name, key) as server:
        print(f"serving {server.model_name} at http://{host}:{server.server_port}/v1, batches of {profile.batch_size}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"stopped; {served.num_answers} answers in {served.num_batches} batches", flush=True)
        finally:
            served.close()


def main(
    model: Annotated[Path, typer.Argument(help="the model's folder")],
    student: Annotated[str, typer.Option(help="the profile in params.yaml that says how it is asked")] = "tiny",
    name: Annotated[str, typer.Option(help="the name that clients call it by; empty: the folder's")] = "",
    host: Annotated[str, typer.Option(help="0.0.0.0 for other machines, too")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free", min=0, max=65535)] = 8000,
    key_env: Annotated[str, typer.Option(help="environment variable with the key that clients must show; empty: none")] = "",
) -> None:
    """Serve a student as OpenAI's API does."""
    from ocrtune.params.load import report_errors

    with report_errors():
        serve(model, student, name, host, port, key_env)


if __name__ == "__main__":
    typer.run(main)
