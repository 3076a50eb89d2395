"""Put the studio together: pages, pictures and guard in one app that uvicorn serves."""

import os
import socket
import warnings
from contextlib import suppress
from pathlib import Path

from ocrtune.studio.guard import Guard, is_loopback
from ocrtune.studio.pictures import Gallery
from ocrtune.studio.project import Project
from ocrtune.studio.result_sets import evaluated_file

HERE = Path(__file__).parent


def build_app(project: Project, accounts: dict[str, str], is_local: bool, origin: str, files: tuple[Path | None, Path | None]):
    """Return the ASGI app; `origin`: that of a proxy before it, if any; `files`: two files of results that Compare opens with."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr
    from fastapi import FastAPI, Response

    from ocrtune.studio import compare, prompts, results, review, runs

    given = [place.parent if place.is_file() else place for place in project.eval_dirs]
    gallery = Gallery([project.root / "data", project.root / "metrics", evaluated_file(project).parent, *given])
    with gr.Blocks(title="ocrtune studio", fill_width=True, analytics_enabled=False) as demo:
        gr.Navbar(main_page_name="Results")
        results.build(demo, project, gallery)
    for title, build in (
        ("Compare", lambda: compare.build(demo, project, gallery, files)),
        ("Review", lambda: review.build(demo, project, gallery)),
        ("Prompts", lambda: prompts.build(demo, project, gallery)),
        ("Runs", lambda: runs.build(demo, project)),
    ):
        with demo.route(title, f"/{title.lower()}"):
            gr.Navbar(main_page_name="Results")
            build()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/studio/pictures/{key}")
    def picture(key: str, width: int = 0) -> Response:
        drawn = gallery.draw(key, is_small=width > 0)
        if drawn is None:
            return Response("no such picture", 404)
        return Response(drawn[0], media_type=drawn[1], headers={"cache-control": "private, max-age=600"})

    script = (HERE / "studio.js").read_text(encoding="utf-8")
    theme = gr.themes.Base(primary_hue="teal", neutral_hue="stone", font=["system-ui", "Noto Sans", "sans-serif"],
                           font_mono=["ui-monospace", "Noto Sans Mono", "monospace"], radius_size="sm", spacing_size="sm", text_size="md")
    warnings.filterwarnings("ignore", "SSR mode is not supported")  # nor wanted: it needs Node.js
    gr.mount_gradio_app(app, demo, path="/", theme=theme, css=(HERE / "studio.css").read_text(encoding="utf-8"),
                        head=f"<script>{script}</script>", footer_links=[], show_error=True, ssr_mode=False, allowed_paths=[])
    return Guard(app, accounts, is_local, origin)


def serve(project: Project, host: str, port: int, accounts: dict[str, str], origin: str, files: tuple[Path | None, Path | None]) -> None:
    """Serve until interrupted; an address that can't be had is an `OSError` before anything is built."""
    import uvicorn

    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = error.strerror.partition(" (")[0]
        raise OSError(f"{host}, port {port}: {reason}; choose others with --server_name and --server_port") from None
    with listening, suppress(KeyboardInterrupt):
        server = uvicorn.Server(uvicorn.Config(build_app(project, accounts, is_loopback(host), origin, files), log_level="warning"))
        print(f"ocrtune studio: http://{'localhost' if is_loopback(host) else host}:{port}  (stop: Ctrl+C)", flush=True)
        server.run(sockets=[listening])
