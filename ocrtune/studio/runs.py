"""The page Runs: is the pipeline up to date, what did experiments reach, how does training go."""

from ocrtune.studio.curves import draw_curve, find_curves
from ocrtune.studio.fragments import cer_pill, notice, say_errors
from ocrtune.studio.marked_edits import show
from ocrtune.studio.pipeline_state import Run, ask_status, list_runs, list_stages
from ocrtune.studio.project import Project

SECONDS = 3.0  # between two looks at the curves
MOST_LINES = 5  # of what changed in a stage


def show_stages(stages: list[str], changed: dict[str, list[str]]) -> str:
    """Return the stages in their order, each up to date or with what changed; stages of one `foreach` stand together."""
    cards = []
    for stage in stages:
        parts = {name: lines for name, lines in changed.items() if name == stage or name.startswith(f"{stage}@")}
        places: dict[str, list[str]] = {}
        for name, found in parts.items():
            for line in found:
                places.setdefault(line, []).append(name.partition("@")[2])
        lines = [f"{', '.join(names)}: {line}" if any(names) and len(names) < len(parts) else line for line, names in places.items()]
        more = [f"and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
        said = "".join(f"<li>{show(line)}</li>" for line in lines[:MOST_LINES] + more)
        kind, state = ("stale", "to run") if parts else ("fresh", "up to date")
        cards.append(f'<div class="stage-card {kind}"><b>{show(stage)}</b><span>{state}</span><ul>{said}</ul></div>')
    told = notice("Run ./run dvc repro: it runs what changed.") if changed else notice("Everything is up to date.", "good")
    return f'{told}<div class="stages">{"<i>→</i>".join(cards)}</div>'


def show_runs(runs: list[Run]) -> str:
    """Return a table of what was reached."""
    if not runs:
        return notice("No figures yet: they come with metrics/compare.json (./run dvc repro), commits and ./run dvc exp run.")
    readers = list(dict.fromkeys(name for run in runs for name in run.figures))
    head = "".join(f"<th>{show(name)} CER</th><th>F1</th>" for name in readers)
    rows = []
    for run in runs:
        cells = "".join(f"<td>{cer_pill(run.figures[name][0])}</td><td>{run.figures[name][1]:.4f}</td>" if name in run.figures
                        else "<td>–</td><td>–</td>" for name in readers)
        chips = "".join(f'<span class="chip">{show(param)}</span>' for param in run.params)
        rows.append(f"<tr><td>{show(run.title)}</td>{cells}<td>{chips}</td></tr>")
    return (f'<div class="wide"><table class="runs"><thead><tr><th>run</th>{head}<th>parameters unlike today\'s</th></tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table></div>')


def show_curves(project: Project) -> str:
    """Return the curves of the last training, or of the one under way."""
    curves = find_curves(project.root / "metrics" / "train")
    if not curves:
        return notice("No curves yet: they appear here while stage train runs.")
    first = [name for name in ("loss", "val_cer", "eval_loss") if name in curves]
    others = [name for name in curves if name not in first]
    return f'<div class="curves">{"".join(draw_curve(name, curves[name]) for name in [*first, *others])}</div>'


def build(blocks, project: Project) -> None:
    """Lay out the page in Gradio's `blocks`."""
    import gradio as gr

    gr.HTML("<h3>Training</h3>")
    curves = gr.HTML(elem_id="runs-curves")
    gr.HTML("<h3>Pipeline</h3>")
    stages = gr.HTML(notice("Asking DVC …"), elem_id="runs-stages")
    with gr.Row():
        again = gr.Button("ask again", size="sm", elem_id="runs-again", scale=0, min_width=140)
    gr.HTML("<h3>Commits and experiments</h3>")
    table = gr.HTML(elem_id="runs-table")
    drawn = gr.State("")

    @say_errors(1)
    def look():
        return show_stages(list_stages(project), ask_status(project))

    @say_errors(1)
    def list_figures():
        return show_runs(list_runs(project))

    def watch(before: str):
        try:
            now = show_curves(project)
        except OSError as error:  # the stage clears its folder as it starts
            now = notice(str(error))
        return (gr.skip(), gr.skip()) if now == before else (now, now)

    blocks.load(watch, drawn, [curves, drawn]).then(list_figures, None, table).then(look, None, stages)
    again.click(look, None, stages).then(list_figures, None, table)
    gr.Timer(SECONDS).tick(watch, drawn, [curves, drawn], show_progress="hidden")
