"""Look at what the pipeline made, compare readers, correct labels, try prompts: one app in the browser.

    python -m tools.studio                                  # http://localhost:7860
    python -m tools.studio --eval_dir ~/results --server_port 8000
    python -m tools.studio --model1 base.jsonl --model2 tuned.jsonl
    OCRTUNE_STUDIO_AUTH=anna:secret,ben:other python -m tools.studio --server_name 0.0.0.0
    OCRTUNE_STUDIO_AUTH=anna:secret python -m tools.studio --public_origin https://studio.example   # behind a proxy with TLS
"""

from pathlib import Path
from typing import Annotated

import typer


def main(
    eval_dir: Annotated[list[Path] | None, typer.Option("--eval_dir", "--eval-dir", help="a folder or file of results; repeat")] = None,
    model1: Annotated[Path | None, typer.Option(help="a file of results that Compare opens with")] = None,
    model2: Annotated[Path | None, typer.Option(help="the file beside it")] = None,
    server_name: Annotated[str, typer.Option("--server_name", "--server-name", help="address to serve on")] = "127.0.0.1",
    server_port: Annotated[int, typer.Option("--server_port", "--server-port", help="port to serve on", min=1, max=65535)] = 7860,
    public_origin: Annotated[str | None, typer.Option("--public_origin", "--public-origin", help="https://name under which a proxy "
                                                      "serves it to others; needs accounts")] = None,
) -> None:
    """Look at results, compare readers, correct labels and try prompts in the browser."""
    from ocrtune.params.load import report_errors

    with report_errors():
        from ocrtune.studio.guard import check_host, read_accounts, read_origin
        from ocrtune.studio.project import Project

        accounts, origin = read_accounts(), read_origin(public_origin)
        check_host(server_name, accounts, origin)
        places = [*(eval_dir or []), *(path for path in (model1, model2) if path)]
        missing = [str(path) for path in places if not path.exists()]
        if missing:
            raise ValueError(f"{', '.join(missing)}: no such file or folder")
        if not places and not Path("params.yaml").is_file():
            raise ValueError("params.yaml: no such file; run from the root of the project, or name results with --eval_dir")
        try:
            import gradio  # noqa: F401

            from ocrtune.studio.app import serve
        except ModuleNotFoundError as error:
            raise ValueError(f"the studio needs Gradio ({error}): ./run uv sync --inexact --extra studio") from None
        serve(Project(Path.cwd(), places), server_name, server_port, accounts, origin, (model1, model2))


if __name__ == "__main__":
    typer.run(main)
