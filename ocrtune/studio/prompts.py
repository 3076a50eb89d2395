"""The page Prompts: the tasks that users keep in params.yaml, and a trial of one on a page."""

import html
from types import SimpleNamespace

from ocrtune.params.prompts import LOCKED
from ocrtune.readers.prompts import Prompt
from ocrtune.studio.fragments import PICK, notice, page_views, say_errors, text_block
from ocrtune.studio.marked_edits import mark, show
from ocrtune.studio.params_file import pdf2img_json, read_params
from ocrtune.studio.pictures import Gallery
from ocrtune.studio.project import Project
from ocrtune.studio.task_edits import delete_task, save_task
from ocrtune.studio.trial import BASE, TUNED, list_readers, own_prompts, read_once

MOST_PAGES = 300  # offered in the list of pages; any other can be typed


def find_own(project: Project, reader: str | None) -> dict[str, Prompt]:
    """Return the tasks in the words of a reader's makers, which are locked."""
    return own_prompts(project, reader) if reader else {}


def is_locked(project: Project, reader: str | None, task: str | None) -> bool:
    """Return whether a task is the reader's own."""
    return task in LOCKED or task in find_own(project, reader)


def find_tasks(project: Project, reader: str | None) -> dict[str, Prompt]:
    """Return all tasks: the reader's own, then the users'."""
    own = find_own(project, reader)
    users = read_params(project).get("prompts") or {}
    return own | {name: Prompt(task.get("system", ""), task.get("user", "")) for name, task in users.items()}


def show_tasks(tasks: dict[str, Prompt], locked: set[str], picked: str | None) -> str:
    """Return the list of tasks."""
    rows = "".join(
        f'<button class="row{" picked" if name == picked else ""}" data-pick="{html.escape(name, quote=True)}"><span class="what">'
        f'<span class="id">{show(name)}{" · locked: the model’s own" if name in locked else ""}</span>'
        f'<span class="said">{show(prompt.user) or "(no words: the image alone)"}</span></span></button>' for name, prompt in tasks.items())
    return f'<div class="list tasks">{rows}</div>' if rows else notice("No tasks yet: write one and press add.")


def show_trials(project: Project, page_id: str, trials: list[tuple[str, str]]) -> str:
    """Return the newest reading beside the one before it, what differs in colour, and the reference where there is one."""
    if not trials:
        return ""
    *_, (title, text) = trials
    reference = project.examples().get(page_id, {}).get("text")
    blocks = [text_block("reference", show(reference) or "(empty)", "reference")] if reference is not None else []
    if len(trials) > 1:
        last_title, last = trials[-2]
        blocks.append(text_block(last_title, show(last) or "(nothing)", "last", "the one before"))
        blocks.append(text_block(title, mark(last, text)[1] or "(nothing)", "newest", "coloured: what differs from the one before"))
    else:
        blocks.append(text_block(title, show(text) or "(nothing)", "newest"))
    return f'<div class="texts synchronised"><div class="columns">{"".join(blocks)}</div></div>'


def list_pages(project: Project) -> list[str]:
    """Return some pages to try on: those of the test split, else any."""
    test = [page_id for page_id, row in project.examples().items() if row["split"] == "test"]
    return (test or list(project.pages()))[:MOST_PAGES]


def lay_out() -> SimpleNamespace:
    """Lay out the page and return its parts."""
    import gradio as gr

    picked, trials = gr.State(None), gr.State([])
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            listed = gr.HTML(js_on_load=PICK, elem_id="prompts-list")
        with gr.Column(scale=7, min_width=420):
            said = gr.HTML(elem_id="prompts-said")
            name = gr.Textbox(label="name", elem_id="prompts-name", placeholder="such as invoice")
            system = gr.Textbox(label="system: who the model is to be (may be empty)", lines=2, elem_id="prompts-system")
            user = gr.Textbox(label="user: the words beside the image", lines=3, elem_id="prompts-user")
            with gr.Row():
                save = gr.Button("save", variant="primary", elem_id="prompts-save", elem_classes=["key-ctrl-enter"])
                add = gr.Button("add as new", elem_id="prompts-add")
                copy = gr.Button("copy", elem_id="prompts-copy")
                delete = gr.Button("delete", elem_id="prompts-delete")
            with gr.Row():
                reader = gr.Dropdown([], label="reader", elem_id="prompts-reader", scale=2)
                page = gr.Dropdown([], label="page", allow_custom_value=True, elem_id="prompts-page", scale=4)
                attempt = gr.Button("try", variant="primary", elem_id="prompts-try", scale=1, min_width=80)
            picture = gr.HTML(elem_id="prompts-picture")
            reading = gr.HTML(elem_id="prompts-reading")
    return SimpleNamespace(**locals())


def make_acts(project: Project) -> SimpleNamespace:
    """Return what happens on the page."""
    import gradio as gr

    @say_errors(8)
    def see(asked: str | None, task: str | None, message: str = ""):
        tasks = find_tasks(project, asked)
        task = task if task in tasks else next(iter(tasks), None)
        prompt, own = tasks.get(task, Prompt()), {name for name in tasks if is_locked(project, asked, name)}
        is_open = task not in own
        lines = [gr.update(value=prompt.system, interactive=is_open), gr.update(value=prompt.user, interactive=is_open)]
        locked = notice("The model's own task, in its makers' words: locked. Copy it to change it.") if not is_open else ""
        buttons = [gr.update(interactive=is_open and task is not None)] * 2  # save and delete
        return message or locked, show_tasks(tasks, own, task), task, task, *lines, *buttons

    def change(edit, asked: str | None, task: str, done: str):
        try:
            edit()
        except (ValueError, OSError) as error:
            return notice(str(error), "bad"), *(gr.skip() for _ in range(7))
        return see(asked, task, notice(done, "good"))

    def keep(asked, current, title, system_words, user_words):
        if title != current:
            return notice(f"{title}: press “add as new” for a task of another name", "bad"), *(gr.skip() for _ in range(7))
        return change(lambda: save_task(project.params_file, title, system_words, user_words, False), asked, title,
                      f"{title}: saved in params.yaml")

    def add_task(asked, title, system_words, user_words):
        def add():
            if is_locked(project, asked, title.strip()):
                raise ValueError(f"{title.strip()}: {asked}'s own task, in its makers' words; give yours another name")
            save_task(project.params_file, title, system_words, user_words, True)

        return change(add, asked, title.strip(),
                      f"{title}: added to params.yaml")

    def copy_task(asked, current):
        tasks = find_tasks(project, asked)
        title = next(title for number in range(1, 1000) if (title := f"{current}_{number}") not in tasks)
        prompt = tasks.get(current, Prompt())
        return change(lambda: save_task(project.params_file, title, prompt.system, prompt.user, True), asked, title,
                      f"{title}: a copy of {current}")

    def remove(asked, current):
        return change(lambda: delete_task(project.params_file, current or ""), asked, None, f"{current}: deleted from params.yaml")

    def pick(asked, event: gr.EventData):
        return see(asked, str(event.pick))

    def fill():
        try:
            readers, pages = list_readers(project), list_pages(project)
        except (ValueError, OSError):
            return gr.skip(), gr.skip()
        near = next((name for name in (TUNED, BASE) if name in readers), None)  # a server of params.yaml may not be running
        return gr.update(choices=readers, value=near), gr.update(choices=pages, value=next(iter(pages), None))

    return SimpleNamespace(**locals())


def make_trial_acts(project: Project, gallery: Gallery) -> SimpleNamespace:
    """Return what happens where a prompt is tried."""
    @say_errors(2)
    def try_it(asked, page_id, title, system_words, user_words, before):
        text = read_once(project, asked, Prompt((system_words or "").strip(), (user_words or "").strip()), page_id)
        before = [*before, (f"{title} · {asked}", text)][-2:]
        return show_trials(project, page_id, before), before

    @say_errors(1)
    def show_page(page_id: str | None):
        row = project.pages().get(page_id)
        if row is None:
            return notice(f"{page_id}: no such page in data/pages/pages.jsonl", "bad")
        return "".join(page_views(project, gallery, row, project.pages_folder / row["image"], pdf2img_json(project))[:1])

    return SimpleNamespace(**locals())


def build(blocks, project: Project, gallery: Gallery) -> None:
    """Make the page in Gradio's `blocks`."""
    part, act, trial = lay_out(), make_acts(project), make_trial_acts(project, gallery)
    outputs = [part.said, part.listed, part.picked, part.name, part.system, part.user, part.save, part.delete]
    words, here, quick = [part.name, part.system, part.user], [part.reader, part.picked], {"show_progress": "hidden"}
    blocks.load(act.fill, None, [part.reader, part.page]).then(act.see, here, outputs).then(trial.show_page, part.page, part.picture)
    part.reader.input(act.see, here, outputs, **quick)
    part.page.input(lambda: [], None, part.trials).then(trial.show_page, part.page, part.picture, **quick)
    part.listed.select(act.pick, part.reader, outputs, **quick)
    part.save.click(act.keep, [*here, *words], outputs, **quick)
    part.add.click(act.add_task, [part.reader, *words], outputs, **quick)
    part.copy.click(act.copy_task, here, outputs, **quick)
    part.delete.click(act.remove, here, outputs, **quick)
    part.attempt.click(trial.try_it, [part.reader, part.page, *words, part.trials], [part.reading, part.trials])
