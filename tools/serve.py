"""Serve a student as OpenAI's API does, for `type: api` profiles and any other client.

    python -m tools.serve models/merged --port 8000
"""

from pathlib import Path
from typing import Annotated

import typer


def choose_student(model: Path, student: str) -> str:
    """Return the name of the profile that says how a model is asked: the one asked for, or the one that its folder tells."""
    from ocrtune.models.contract import student_of
    from ocrtune.params.load import read_params

    students = read_params().get("students") or {}
    found = student or student_of(model, students)
    if not found:
        raise ValueError(f"{model}: does not tell how it is asked; name its profile with --student: {', '.join(students)}")
    if found not in students:
        raise ValueError(f"students has no {found!r} in params.yaml; it has: {', '.join(students)}")
    return found


def serve(model: Path, student: str, name: str, host: str, port: int, key_env: str) -> None:
    """Serve until interrupted (SIGINT, SIGTERM)."""
    import signal

    from ocrtune.models.contract import CONTRACT
    from ocrtune.params.load import load_section
    from ocrtune.params.students import StudentProfile
    from ocrtune.readers.keys import environment_key
    from ocrtune.readers.student import StudentReader
    from ocrtune.serving.chat_server import ChatServer
    from ocrtune.serving.served_model import ServedModel
    from ocrtune.serving.vllm import served_name

    student = choose_student(model, student)
    profile = load_section(f"students.{student}", StudentProfile)
    key = environment_key(key_env) if key_env else ""
    if key_env and not key:
        raise ValueError(f"--key-env: the environment variable {key_env} is not set")
    served = ServedModel(*StudentReader(model, profile).load(), profile)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ChatServer((host, port), served, name or served_name(model), key, is_trained=(model / CONTRACT).is_file()) as server:
        print(f"serving {server.model_name} at http://{host}:{server.server_port}/v1, batches of {profile.batch_size}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(f"stopped; {served.num_answers} answers in {served.num_batches} batches", flush=True)
        finally:
            served.close()


def main(
    model: Annotated[Path, typer.Argument(help="the model's folder, or an adapter's")],
    student: Annotated[str, typer.Option(help="the profile in params.yaml that says how it is asked; empty: the folder's own")] = "",
    name: Annotated[str, typer.Option(help="the name that clients call it by; empty: the folder's, or of a model trained here its "
                                           "student's with a mark of the weights")] = "",
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
