"""The page Prompts: the tasks that users keep in params.yaml, and a trial of one on a page.

`words` are a task's name, system and user; `shown` is {task, words} as they came, task None: none; `drafts` are words that
were changed and not saved, by the task that they began as.
"""

import html
from collections.abc import Sequence
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
NOTHING = {"task": None, "words": ["", "", ""]}
WORDS = "Read the text in the image."


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


def keep_draft(drafts: dict, shown: dict, words: Sequence[str]) -> dict:
    """Return the drafts with the words of the task that is left, if they were changed."""
    rest = without(drafts, shown["task"])
    return rest if shown["task"] is None or list(words) == shown["words"] else rest | {shown["task"]: list(words)}


def without(drafts: dict, task: str | None) -> dict:
    return {name: words for name, words in drafts.items() if name != task}


def show_tasks(tasks: dict[str, Prompt], locked: set[str], picked: str | None, drafts: dict) -> str:
    """Return the list of tasks."""
    notes = {name: " · locked: the model’s own" if name in locked else " · changed, not saved" if name in drafts else "" for name in tasks}
    rows = "".join(
        f'<button class="row{" picked" if name == picked else ""}" data-pick="{html.escape(name, quote=True)}"><span class="what">'
        f'<span class="id">{show(name)}{notes[name]}</span>'
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

    shown, drafts, trials = gr.JSON(NOTHING, visible=False), gr.JSON({}, visible=False), gr.State([])
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


def make_views(project: Project) -> SimpleNamespace:
    """Return what can be shown: each function returns `outputs`."""
    import gradio as gr

    @say_errors(9)
    def see(asked: str | None, task: str | None, drafts: dict, message: str = ""):
        tasks = find_tasks(project, asked)
        task = task if task in tasks else next(iter(tasks), None)
        prompt, own = tasks.get(task, Prompt()), {name for name in tasks if is_locked(project, asked, name)}
        is_open = task not in own
        if not is_open:
            message += notice("The model's own task, in its makers' words: locked. Copy it to change it.")
        words = [task, prompt.system, prompt.user]
        if is_open and task in drafts:
            message, words = message + notice(f"{task}: as you changed it, not saved yet."), drafts[task]
        lines = [gr.update(value=line, interactive=is_open) for line in words[1:]]
        buttons = [gr.update(interactive=is_open and task is not None)] * 2  # save and delete
        shown = {"task": task, "words": [task, prompt.system, prompt.user]}
        return message, show_tasks(tasks, own, task, drafts), words[0], *lines, *buttons, shown, drafts

    def stay(error: Exception):
        """Leave the page as it stands, and what the person wrote."""
        return notice(str(error), "bad"), *[gr.skip()] * 8

    return SimpleNamespace(**locals())


def make_acts(project: Project, view: SimpleNamespace) -> SimpleNamespace:
    """Return what happens on the page; what is acted on comes from the browser, as in Review."""
    import gradio as gr

    def change(edit, asked: str | None, task: str | None, drafts: dict, done: str):
        try:
            edit()
        except (ValueError, OSError) as error:
            return view.stay(error)
        return view.see(asked, task, drafts, notice(done, "good"))

    def save(asked, shown, drafts, *words):
        if words[0] != shown["task"]:
            return view.stay(ValueError(f"{words[0]}: press “add as new” for a task of another name"))
        return change(lambda: save_task(project.params_file, *words, False), asked, words[0], without(drafts, words[0]),
                      f"{words[0]}: saved in params.yaml")

    def add(asked, shown, drafts, title, *words):
        title = title.strip()

        def write():
            if is_locked(project, asked, title):
                raise ValueError(f"{title}: {asked}'s own task, in its makers' words; give yours another name")
            save_task(project.params_file, title, *words, True)

        return change(write, asked, title, without(drafts, shown["task"]), f"{title}: added to params.yaml")

    def copy(asked, shown, drafts, *words):
        tasks = find_tasks(project, asked)
        title = next(title for number in range(1, 1000) if (title := f"{shown['task'] or 'task'}_{number}") not in tasks)
        prompt, done = tasks.get(shown["task"], Prompt()), f"{title}: a copy of {shown['task']}"
        if not prompt.user:  # the image alone; a task of params.yaml has words
            prompt, done = Prompt(prompt.system, WORDS), f"{done}, which has no words; these are a beginning"
        return change(lambda: save_task(project.params_file, title, prompt.system, prompt.user, True), asked, title,
                      keep_draft(drafts, shown, words), done)

    def delete(asked, shown, drafts, *words):
        try:
            delete_task(project.params_file, shown["task"] or "")
        except (ValueError, OSError) as error:
            return view.stay(error)
        said = notice(f"{shown['task']}: deleted from params.yaml. “add as new” brings back what stands here.", "good")
        tasks, drafts = find_tasks(project, asked), without(drafts, shown["task"])
        listed = show_tasks(tasks, {name for name in tasks if is_locked(project, asked, name)}, None, drafts)
        off = [gr.update(interactive=False)] * 2
        return said, listed, *[gr.skip()] * 3, *off, {"task": None, "words": list(words)}, drafts

    def pick(asked, shown, drafts, title, system_words, user_words, event: gr.EventData):
        return view.see(asked, str(event.pick), keep_draft(drafts, shown, [title, system_words, user_words]))

    def ask_another(asked, shown, drafts, *words):
        return view.see(asked, shown["task"], keep_draft(drafts, shown, words))

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
    view = make_views(project)
    part, act, trial = lay_out(), make_acts(project, view), make_trial_acts(project, gallery)
    words, quick = [part.name, part.system, part.user], {"show_progress": "hidden"}
    outputs = [part.said, part.listed, *words, part.save, part.delete, part.shown, part.drafts]
    first = blocks.load(act.fill, None, [part.reader, part.page])
    first.then(lambda asked: view.see(asked, None, {}), part.reader, outputs).then(trial.show_page, part.page, part.picture)
    for event, answer in ((part.reader.input, act.ask_another), (part.listed.select, act.pick), (part.save.click, act.save),
                          (part.add.click, act.add), (part.copy.click, act.copy), (part.delete.click, act.delete)):
        event(answer, [part.reader, part.shown, part.drafts, *words], outputs, **quick)
    part.page.input(lambda: [], None, part.trials).then(trial.show_page, part.page, part.picture, **quick)
    part.attempt.click(trial.try_it, [part.reader, part.page, *words, part.trials], [part.reading, part.trials])
