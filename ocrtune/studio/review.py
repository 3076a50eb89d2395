"""The page Review: labels for a person to check, the most worthwhile first; each decision is on disk at once."""

import html
from types import SimpleNamespace

from ocrtune.labels.gold import ConflictError, put_gold, restore_gold
from ocrtune.studio.fragments import PICK, figures, notice, page_views, say_errors, text_block
from ocrtune.studio.git_state import commit_file, count_new_lines
from ocrtune.studio.guard import name_account
from ocrtune.studio.marked_edits import mark, show
from ocrtune.studio.params_file import pdf2img_json
from ocrtune.studio.pictures import Gallery
from ocrtune.studio.project import Project
from ocrtune.studio.result_files import list_files
from ocrtune.studio.review_order import Task, leave_out_checked, list_tasks

ROWS = 40
KEYS = ("<b>a</b> accept · <b>e</b> edit, then <b>Ctrl+Enter</b> saves · <b>r</b> reject · <b>u</b> undo · "
        "<b>j</b> <b>k</b> next, previous · <b>z</b> large picture · <b>Esc</b> leaves the text")


def find_tasks(project: Project) -> list[Task]:
    """Return what is to be checked. The order is kept until a file changes; what gets checked meanwhile drops out of it."""
    predictions = [path for name, path in sorted(list_files(project).items(), key=lambda entry: entry[0] == "base")
                   if path.parent == project.root / "data" / "predictions"]
    second = project.labels_folder / "second.jsonl"
    readings = {path.stem: path for path in predictions} | ({"second teacher": second} if second.is_file() else {})
    files = [project.pages_folder / "pages.jsonl", project.labels_folder / "labels.jsonl",
             project.labels_folder / "refused.jsonl", project.splits_folder / "test.jsonl", *readings.values()]
    tasks = project.keep("tasks", files, lambda: list_tasks(
        project, {name: project.rows(path, ("page_id", "text")) for name, path in readings.items()}))
    return leave_out_checked(tasks, project.gold())


def find_task(project: Project, page_id: str) -> Task:
    """Return the task of a page, one that is checked already too."""
    found = next((task for task in find_tasks(project) if task.page_id == page_id), None)
    if found:
        return found
    page = project.pages().get(page_id)
    if page is None:
        raise ValueError(f"{page_id}: no such page in data/pages/pages.jsonl")
    row = project.gold().get(page["sha256"])
    label = project.labels().get(page_id, {"text": ""})
    text = label["text"] if row is None or row["text"] is None else row["text"]
    return Task(page_id, page["sha256"], text, {"label": label["text"]}, ("checked already" if row else "",), 0.0)


def queue_row(task: Task, is_picked: bool) -> str:
    """Return a line of the queue."""
    chips = "".join(f'<span class="chip">{show(reason)}</span>' for reason in task.reasons)
    return (f'<button class="row{" picked" if is_picked else ""}" data-pick="{html.escape(task.page_id, quote=True)}">'
            f'<span class="what"><span class="id">{show(task.page_id)}</span>'
            f'<span class="said" dir="auto">{show(task.text[:120]) or "(no text)"}</span><span class="why">{chips}</span></span></button>')


def show_queue(tasks: list[Task], picked: str | None) -> str:
    """Return the next pages of the queue, around the one that is picked."""
    at = next((number for number, task in enumerate(tasks) if task.page_id == picked), 0)
    begin = max(0, at - 5)
    rows = "".join(queue_row(task, task.page_id == picked) for task in tasks[begin:begin + ROWS])
    return f'<div class="list queue">{rows}</div>' if rows else notice("Nothing is left to check.", "good")


def show_task(project: Project, gallery: Gallery, task: Task) -> tuple[str, str]:
    """Return a page's picture, and how other readers read it, with what differs from the label, above its place on the page."""
    page = project.pages()[task.page_id]
    others = "".join(text_block(f"{name} reads", mark(task.text, text)[1] or "(nothing)", "other", "coloured: what differs from the label")
                     for name, text in task.others.items())
    chips = "".join(f'<span class="chip">{show(reason)}</span>' for reason in task.reasons if reason)
    picture, where = page_views(project, gallery, page, project.pages_folder / page["image"], pdf2img_json(project))
    return (f'<div class="detail"><h3>{show(task.page_id)}<span class="chips">{chips}</span></h3>{picture}</div>',
            f'<div class="detail"><div class="texts">{others}</div>{where}</div>')


def show_progress(project: Project, tasks: list[Task]) -> str:
    """Return how far the checking is."""
    gold = project.gold()
    return figures([
        ("checked", f"{sum(row['text'] is not None for row in gold.values()):,}", "rows of data/gold.jsonl"),
        ("rejected", f"{sum(row['text'] is None for row in gold.values()):,}", "left out of all splits"),
        ("in doubt", f"{sum(task.worth > 0 for task in tasks):,}", "something speaks against the label"),
        ("unchecked", f"{len(tasks):,}", ""),
        ("not committed", f"{count_new_lines(project.root, project.gold_file):,}", "rows that git does not hold yet")])


def neighbour(tasks: list[Task], page_id: str | None, step: int) -> str | None:
    """Return the page `step` places on in the queue; of one that is not in it, the first."""
    ids = [task.page_id for task in tasks]
    if not ids:
        return None
    return ids[min(max(ids.index(page_id) + step, 0), len(ids) - 1)] if page_id in ids else ids[0]


def decide(project: Project, page_id: str, text: str | None, seen: dict | None, done: list) -> tuple[str, list]:
    """Write a decision and return what to say of it and the list of what can be undone."""
    page = project.pages().get(page_id)
    if page is None:
        raise ValueError(f"{page_id}: no such page")
    row = put_gold(project.gold_file, page_id, page["sha256"], text, seen)
    said = f"{page_id}: {'rejected; it is left out of all splits' if text is None else 'saved'} in data/gold.jsonl. Use it: ./run dvc repro"
    return said, [*done, (row, seen)][-200:]


def record_gold(project: Project, author: str | None) -> str:
    """Commit data/gold.jsonl and return what to say of it; `author`: who is logged in, None: who git says."""
    number = count_new_lines(project.root, project.gold_file)
    try:
        title = commit_file(project.root, project.gold_file, f"Gold: {number} {'row' if number == 1 else 'rows'} checked", author)
    except (ValueError, OSError) as error:
        return notice(str(error), "bad")
    return notice(f"committed {title}", "good")


def lay_out() -> SimpleNamespace:
    """Lay out the page and return its parts."""
    import gradio as gr

    picked, seen, done = gr.State(None), gr.State(None), gr.State([])
    progress = gr.HTML(elem_id="review-progress")
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            queue = gr.HTML(js_on_load=PICK, elem_id="review-queue")
        with gr.Column(scale=7, min_width=460):
            said = gr.HTML(elem_id="review-said")
            picture = gr.HTML(elem_id="review-picture")
            text = gr.Textbox(label="text (e)", lines=2, max_lines=30, elem_id="review-text", elem_classes=["key-e", "reading"])
            with gr.Row():
                accept = gr.Button("accept (a)", variant="primary", elem_classes=["key-a", "key-ctrl-enter"], elem_id="review-accept")
                reject = gr.Button("reject (r)", variant="stop", elem_classes=["key-r"], elem_id="review-reject")
                undo = gr.Button("undo (u)", elem_classes=["key-u"], elem_id="review-undo")
                up = gr.Button("↑ k", elem_classes=["key-k"], min_width=40)
                down = gr.Button("↓ j", elem_classes=["key-j"], min_width=40)
                commit = gr.Button("commit to git", elem_id="review-commit")
            gr.HTML(f'<p class="counts">{KEYS}</p>')
            more = gr.HTML(elem_id="review-more")
    return SimpleNamespace(**locals())


def make_acts(project: Project, gallery: Gallery) -> SimpleNamespace:
    """Return what happens on the page."""
    import gradio as gr

    @say_errors(9)
    def see(page_id: str | None, undone: list, message: str = ""):
        tasks = find_tasks(project)
        page_id = page_id or neighbour(tasks, None, 0)
        if page_id is None:
            message = message or notice("Nothing is left to check.", "good")
            return message, "", "", "", show_queue(tasks, None), show_progress(project, tasks), None, None, undone
        task = find_task(project, page_id)
        now = project.gold().get(project.pages()[page_id]["sha256"])
        return (message, *show_task(project, gallery, task), task.text, show_queue(tasks, page_id), show_progress(project, tasks),
                page_id, now, undone)

    def act(page_id: str | None, value: str | None, before: dict | None, undone: list):
        if page_id is None:
            return see(None, undone)
        tasks = find_tasks(project)
        following = neighbour(tasks, page_id, 1)
        try:
            message, undone = decide(project, page_id, value, before, undone)
        except ConflictError as error:
            # What this person wrote stays in the text field; saving again replaces the other's row, which they have seen now.
            said = notice(f"{page_id}: {error}. Save again to replace it, or press k and j to take what stands there.", "bad")
            return said, gr.skip(), gr.skip(), gr.skip(), gr.skip(), gr.skip(), page_id, error.row, undone
        except (ValueError, OSError) as error:
            return notice(str(error), "bad"), *(gr.skip() for _ in range(8))
        return see(following if following != page_id else None, undone, notice(message, "good"))

    def reject(page_id: str | None, before: dict | None, undone: list):
        return act(page_id, None, before, undone)

    def take_back(page_id: str | None, undone: list):
        if not undone:
            return see(page_id, [], notice("Nothing to undo."))
        *rest, (written, before) = undone
        try:
            restore_gold(project.gold_file, written, before)
        except (ValueError, OSError) as error:
            return see(page_id, rest, notice(f"{written['page_id']}: not undone: {error}", "bad"))
        return see(written["page_id"], rest, notice(f"{written['page_id']}: undone", "good"))

    def record(page_id: str | None, undone: list, request: gr.Request):
        return see(page_id, undone, record_gold(project, name_account(request.headers.get("authorization"))))

    def pick(undone: list, event: gr.EventData):
        return see(str(event.pick), undone)

    def open_page(undone: list, request: gr.Request):
        return see(request.query_params.get("page"), undone)

    def move(step: int):
        return lambda page_id, undone: see(neighbour(find_tasks(project), page_id, step), undone)

    return SimpleNamespace(**locals())


def build(blocks, project: Project, gallery: Gallery) -> None:
    """Make the page in Gradio's `blocks`."""
    part, act = lay_out(), make_acts(project, gallery)
    outputs = [part.said, part.picture, part.more, part.text, part.queue, part.progress, part.picked, part.seen, part.done]
    here, quick = [part.picked, part.done], {"show_progress": "hidden"}
    blocks.load(act.open_page, part.done, outputs)
    part.queue.select(act.pick, part.done, outputs, **quick)
    part.accept.click(act.act, [part.picked, part.text, part.seen, part.done], outputs, **quick)
    part.reject.click(act.reject, [part.picked, part.seen, part.done], outputs, **quick)
    part.undo.click(act.take_back, here, outputs, **quick)
    part.commit.click(act.record, here, outputs, **quick)
    part.up.click(act.move(-1), here, outputs, **quick)
    part.down.click(act.move(1), here, outputs, **quick)
