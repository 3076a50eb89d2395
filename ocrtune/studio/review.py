"""The page Review: labels for a person to check, the most worthwhile first; each decision is on disk at once.

What is decided on, and whose row stood there when it was shown, comes from the browser together with the text: what the
server remembers may be a page further, or gone with the server. `shown` is {page_id, row, text}, or None; `drafts` are
the texts that were changed and not saved, {text, row} by page_id, which outlive a reload of the page.
"""

import html
import json
from types import SimpleNamespace

from ocrtune.labels.gold import ConflictError, put_gold, take_back
from ocrtune.studio.fragments import PICK, figures, notice, page_views, say_errors, text_block
from ocrtune.studio.git_state import count_new_lines
from ocrtune.studio.gold_commits import commit_gold
from ocrtune.studio.guard import name_account
from ocrtune.studio.marked_edits import mark, show
from ocrtune.studio.params_file import pdf2img_json
from ocrtune.studio.pictures import Gallery
from ocrtune.studio.project import Project
from ocrtune.studio.review_order import Task, find_task, find_tasks, neighbour

ROWS = 40
WAIT, DECIDE = ["waits"], ["waits", "decides"]  # see studio.js
DRAFTS = "() => [JSON.parse(sessionStorage.getItem('drafts') || '{}')]"
ANSWERED = "drafts => { document.dispatchEvent(new CustomEvent('answered', {detail: drafts})); return []; }"
NO_TEXT = "there is no text to accept: press e and type what it says, b where the picture is blank, r where it can't be used"
KEYS = ("<b>a</b> accept · <b>e</b> edit, then <b>Ctrl+Enter</b> saves · <b>r</b> reject · <b>b</b> blank · "
        "<b>u</b> undo · <b>j</b> <b>k</b> next, previous · "
        "<b>1</b> <b>2</b> … take that reader's text · <b>z</b> large picture · <b>Esc</b> leaves the text")


def queue_row(task: Task, is_picked: bool, is_changed: bool) -> str:
    """Return a line of the queue."""
    chips = "".join(f'<span class="chip">{show(reason)}</span>' for reason in (*["changed, not saved"] * is_changed, *task.reasons))
    return (f'<button class="row{" picked" if is_picked else ""}" data-pick="{html.escape(task.page_id, quote=True)}">'
            f'<span class="what"><span class="id">{show(task.page_id)}</span>'
            f'<span class="said" dir="auto">{show(task.text[:120]) or "(no text)"}</span><span class="why">{chips}</span></span></button>')


def show_queue(tasks: list[Task], picked: str | None, drafts: dict) -> str:
    """Return the next pages of the queue, around the one that is picked."""
    at = next((number for number, task in enumerate(tasks) if task.page_id == picked), 0)
    begin = max(0, at - 5)
    rows = "".join(queue_row(task, task.page_id == picked, task.page_id in drafts) for task in tasks[begin:begin + ROWS])
    return f'<div class="list queue">{rows}</div>' if rows else notice("Nothing is left to check.", "good")


def show_task(project: Project, gallery: Gallery, task: Task, row: dict | None) -> tuple[str, str]:
    """Return a page's picture, and how other readers read it, with what differs from the label, above its place on the page."""
    page = project.pages()[task.page_id]
    note = "coloured: what differs from the label" if task.text else ""
    others = "".join(text_block(f"{name} reads", mark(task.text, text)[1] or "(nothing)", "other", note + take_button(number, text))
                     for number, (name, text) in enumerate(task.others.items(), 1))
    chips = "".join(f'<span class="chip">{show(reason)}</span>' for reason in task.reasons if reason)
    picture, where = page_views(project, gallery, page, project.pages_folder / page["image"], pdf2img_json(project))
    shown = html.escape(json.dumps({"page_id": task.page_id, "row": row}), quote=True)
    return (f'<div class="detail" data-shown="{shown}"><h3>{show(task.page_id)}<span class="chips">{chips}</span></h3>{picture}</div>',
            f'<div class="detail"><div class="texts">{others}</div>{where}</div>')


def take_button(number: int, text: str) -> str:
    """Return the button that puts another reader's text into the field; the browser does it."""
    if not text or number > 9:
        return ""
    said = html.escape(json.dumps(text), quote=True)
    return f'<button class="take key-{number}" data-take="{said}" data-into="#review-text textarea">take ({number})</button>'


def show_progress(project: Project, tasks: list[Task]) -> str:
    """Return how far the checking is."""
    gold = project.gold()
    return figures([
        ("checked", f"{sum(row['text'] is not None for row in gold.values()):,}", "rows of data/gold.jsonl"),
        ("rejected", f"{sum(row['text'] is None for row in gold.values()):,}", "left out of all splits"),
        ("in doubt", f"{sum(task.worth > 0 for task in tasks):,}", "something speaks against the label"),
        ("unchecked", f"{len(tasks):,}", ""),
        ("not committed", f"{count_new_lines(project.root, project.gold_file):,}", "rows that git does not hold yet")])


def decide(project: Project, shown: dict, text: str | None, author: str | None) -> str:
    """Write a decision on the page that was shown, and return what to say of it; `text` None rejects."""
    page_id = shown["page_id"]
    page = project.pages().get(page_id)
    if page is None:
        raise ValueError(f"{page_id}: no such page in data/pages/pages.jsonl any more")
    put_gold(project.gold_file, page_id, page["sha256"], text, shown["row"], author)
    done = "rejected; it is left out of all splits" if text is None else "saved" if text else "saved as blank"
    return f"{page_id}: {done} in data/gold.jsonl. Use it: ./run dvc repro"


def record_gold(project: Project, asking: str | None) -> str:
    """Commit data/gold.jsonl and return what to say of it; `asking`: who is logged in, None: who git says."""
    try:
        titles = commit_gold(project, asking)
    except (ValueError, OSError) as error:
        return notice(str(error), "bad")
    return notice("\n".join(f"committed {title}" for title in titles) or "Nothing to commit: git holds all of data/gold.jsonl.", "good")


def keep_draft(drafts: dict, shown: dict | None, text: str) -> dict:
    """Return the drafts with the text of the page that is left, if it was changed."""
    if shown is None:
        return drafts
    rest = without(drafts, shown["page_id"])
    return rest if text == shown["text"] else rest | {shown["page_id"]: {"text": text, "row": shown["row"]}}


def without(drafts: dict, page_id: str) -> dict:
    return {name: draft for name, draft in drafts.items() if name != page_id}


def lay_out() -> SimpleNamespace:
    """Lay out the page and return its parts."""
    import gradio as gr

    shown, drafts = gr.JSON(visible=False), gr.JSON({}, visible=False)
    progress = gr.HTML(elem_id="review-progress")
    with gr.Row():
        with gr.Column(scale=4, min_width=320):
            queue = gr.HTML(js_on_load=PICK, elem_id="review-queue", elem_classes=WAIT)
        with gr.Column(scale=7, min_width=460):
            said = gr.HTML(elem_id="review-said")
            picture = gr.HTML(elem_id="review-picture")
            text = gr.Textbox(label="text (e)", lines=2, max_lines=30, elem_id="review-text", elem_classes=["key-e", "reading"])
            with gr.Row():
                off = {"interactive": False, "min_width": 116}
                accept = gr.Button("accept (a)", variant="primary", elem_id="review-accept",
                                   elem_classes=[*DECIDE, "key-a", "key-ctrl-enter"], **off)
                reject = gr.Button("reject (r)", variant="stop", elem_id="review-reject", elem_classes=[*DECIDE, "key-r"], **off)
                blank = gr.Button("blank (b)", elem_id="review-blank", elem_classes=[*DECIDE, "key-b"], **off)
                undo = gr.Button("undo (u)", elem_id="review-undo", elem_classes=[*WAIT, "key-u"], min_width=116)
                up = gr.Button("↑ k", elem_classes=[*WAIT, "key-k"], min_width=40)
                down = gr.Button("↓ j", elem_classes=[*WAIT, "key-j"], min_width=40)
                commit = gr.Button("commit to git", elem_id="review-commit", elem_classes=WAIT)
            gr.HTML(f'<p class="counts">{KEYS}</p>')
            more = gr.HTML(elem_id="review-more")
    outputs = [said, picture, more, text, queue, progress, shown, drafts, accept, reject, blank]
    return SimpleNamespace(**locals())


def make_views(project: Project, gallery: Gallery) -> SimpleNamespace:
    """Return what can be shown: each function returns `outputs`."""
    import gradio as gr

    def see(page_id: str | None, drafts: dict, message: str = ""):
        if not (project.pages_folder / "pages.jsonl").is_file():
            return empty(notice("No pages yet: the pipeline makes them from documents: ./run dvc repro"), "", drafts)
        tasks = find_tasks(project)
        page_id = page_id or neighbour(tasks, None, 0)
        if page_id is None:
            return empty(message or notice("Nothing is left to check.", "good"), show_progress(project, tasks), drafts)
        task = find_task(project, page_id)
        row, text = project.gold().get(project.pages()[page_id]["sha256"]), task.text
        if drafts.get(page_id, {}).get("text", text) != text:
            row, text = drafts[page_id]["row"], drafts[page_id]["text"]
            message += notice(f"{page_id}: as you changed it, not saved yet.")
        return (message, *show_task(project, gallery, task, row), text, show_queue(tasks, page_id, drafts), show_progress(project, tasks),
                {"page_id": page_id, "row": row, "text": task.text}, drafts, *[gr.update(interactive=True)] * 3)

    def empty(message: str, progress: str, drafts: dict):
        return message, "", "", "", show_queue([], None, drafts), progress, None, drafts, *[gr.update(interactive=False)] * 3

    def stay(message: str, shown: dict | None = None):
        """Leave the page as it stands, and what the person wrote."""
        return message, *[gr.skip()] * 5, shown or gr.skip(), *[gr.skip()] * 4

    def leave(shown: dict | None, text: str, drafts: dict, page_id: str | None, message: str = ""):
        """Show another page, or the same anew; a text that was changed comes back with its page."""
        return see(page_id, keep_draft(drafts, shown, text), message)

    return SimpleNamespace(**locals())


def make_acts(project: Project, view: SimpleNamespace) -> SimpleNamespace:
    """Return what happens on the page; of the texts in the browser, each takes shown, text and drafts."""
    import gradio as gr

    see, stay, leave = view.see, view.stay, view.leave

    def act(shown: dict | None, text: str | None, drafts: dict, request: gr.Request):
        if shown is None:
            return see(None, drafts)
        try:
            following = neighbour(find_tasks(project), shown["page_id"], 1)
            message = decide(project, shown, text, name_account(request.headers.get("authorization")))
        except ConflictError as error:
            # Saving again replaces the other's row, which the person has seen now.
            return stay(notice(f"{shown['page_id']}: {error}. Save again to replace it, or go on (j) to leave it.", "bad"),
                        shown | {"row": error.row})
        except (ValueError, OSError) as error:
            return stay(notice(str(error), "bad"))
        return see(following if following != shown["page_id"] else None, without(drafts, shown["page_id"]), notice(message, "good"))

    def accept(shown: dict | None, text: str, drafts: dict, request: gr.Request):
        if shown and not text.strip():
            return stay(notice(f"{shown['page_id']}: {NO_TEXT}", "bad"))
        return act(shown, text, drafts, request)

    def reject(shown: dict | None, text: str, drafts: dict, request: gr.Request):
        return act(shown, None, drafts, request)

    def blank(shown: dict | None, text: str, drafts: dict, request: gr.Request):
        if text.strip():
            return stay(notice(f"{shown['page_id']}: not blank: there is text in the field; empty it first", "bad"))
        return act(shown, "", drafts, request)

    def undo(shown: dict | None, text: str, drafts: dict, request: gr.Request):
        here = shown and shown["page_id"]
        try:
            row = take_back(project.gold_file, name_account(request.headers.get("authorization")))
        except (ValueError, OSError) as error:
            return leave(shown, text, drafts, here, notice(str(error), "bad"))
        if row is None:
            return leave(shown, text, drafts, here, notice("Nothing to undo."))
        return leave(shown, text, drafts, row["page_id"], notice(f"{row['page_id']}: undone", "good"))

    def record(shown: dict | None, text: str, drafts: dict, request: gr.Request):
        said = record_gold(project, name_account(request.headers.get("authorization")))
        return leave(shown, text, drafts, shown and shown["page_id"], said)

    def pick(shown: dict | None, text: str, drafts: dict, event: gr.EventData):
        return leave(shown, text, drafts, str(event.pick))

    def open_page(drafts: dict, request: gr.Request):
        changed = next((page_id for page_id in drafts if page_id in project.pages()), None)
        return see(request.query_params.get("page") or changed, drafts)

    def move(step: int):
        return lambda shown, text, drafts: leave(shown, text, drafts, neighbour(find_tasks(project), shown and shown["page_id"], step))

    return SimpleNamespace(**locals())


def build(blocks, project: Project, gallery: Gallery) -> None:
    """Make the page in Gradio's `blocks`."""
    part, act = lay_out(), make_acts(project, make_views(project, gallery))
    guarded = say_errors(len(part.outputs))
    blocks.load(guarded(act.open_page), part.drafts, part.outputs, js=DRAFTS)
    for event, answer in ((part.queue.select, act.pick), (part.accept.click, act.accept), (part.reject.click, act.reject),
                          (part.blank.click, act.blank), (part.undo.click, act.undo), (part.commit.click, act.record),
                          (part.up.click, act.move(-1)), (part.down.click, act.move(1))):
        asked = event(guarded(answer), [part.shown, part.text, part.drafts], part.outputs, show_progress="hidden", trigger_mode="multiple")
        asked.then(None, part.drafts, js=ANSWERED)
