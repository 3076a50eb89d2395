"""The page Results: what one reader made of the pages, worst first, with its edits in colour."""

import html
from collections.abc import Sequence
from types import SimpleNamespace
from urllib.parse import quote

from ocrtune.studio.fragments import PICK, cer_pill, figures, notice, page_views, percent, say_errors, text_block
from ocrtune.studio.marked_edits import mark, show
from ocrtune.studio.page_address import ask, mark_query, write_query
from ocrtune.studio.paging import ROWS, lay_out_steps, place, say_place, turn_by
from ocrtune.studio.params_file import pdf2img_json
from ocrtune.studio.pictures import THUMB_WIDTH, Gallery
from ocrtune.studio.project import Project
from ocrtune.studio.result_files import list_files
from ocrtune.studio.result_sets import Result, load_results
from ocrtune.studio.selection import ANY, ORDERS, Query, choose, list_kinds, list_verdicts, name_score, pool

LEGEND = '<mark class="changed">read wrong</mark> <mark class="added">made up</mark> <del class="missing">missing</del>'
# What is chosen above the list, by its name in the page's address, in the order of the fields.
CHOICES = {"results": "", "order": ORDERS[0], "search": "", "document": ANY, "verdict": ANY, "slice": ANY, "from": "", "to": ""}
NOTHING = ("", "", "", 0, None, [])  # beside a message: what the others said was of other results
NO_RESULTS = "There are no results yet. Run the pipeline (./run dvc repro), or name a folder of results with --eval_dir."


def list_row(result: Result, gallery: Gallery, is_picked: bool) -> str:
    """Return a line of the list."""
    address = gallery.hang(result.image, THUMB_WIDTH) if result.image else None
    thumb = f'<img loading="lazy" src="{address}" alt="">' if address else '<span class="quiet">no picture</span>'
    f1 = "" if result.char_f1 is None else f'<span class="quiet">F1 {result.char_f1:.3f}</span>'
    chips = "".join(f'<span class="chip">{show(verdict)}</span>' for verdict in result.verdicts)
    return (f'<button class="row{" picked" if is_picked else ""}" data-pick="{html.escape(result.page_id, quote=True)}">'
            f'<span class="thumb">{thumb}</span><span class="what"><span class="id">{show(result.page_id)}</span>'
            f'<span class="said" dir="auto">{show(result.prediction[:160]) or "(nothing)"}</span></span>'
            f'<span class="score">{cer_pill(result.cer)}{f1}{chips}</span></button>')


def show_list(found: list[Result], gallery: Gallery, start: int, picked: str | None) -> str:
    """Return the part of a list that begins at `start`."""
    if not found:
        return notice("No page fits these filters.")
    rows = (list_row(result, gallery, result.page_id == picked) for result in found[start:start + ROWS])
    return f'<div class="list">{"".join(rows)}</div>'


def show_figures(results: list[Result], found: list[Result]) -> str:
    """Return the figures of all pages, and of those chosen where they are fewer."""
    everything, chosen = pool(results), pool(found)

    def entry(title: str, key: str, say=percent) -> tuple[str, str, str]:
        here = "" if len(found) == len(results) else f"chosen: {say(chosen.get(key))}"
        return title, say(everything.get(key)), here

    return figures([
        entry(f"{name_score(results)}, pooled", "cer"),
        entry("character F1", "char_f1", lambda share: "–" if share is None else f"{share:.4f}"),
        entry("perfect", "perfect_rate"), ("pages", f"{len(results):,}", "" if len(found) == len(results) else f"chosen: {len(found):,}"),
        entry("edits", "edits", lambda number: "–" if number is None else f"{number:,}")])


def show_counts(result: Result) -> str:
    """Return one page's scores as a sentence."""
    if not result.counts:
        return '<p class="counts">no reference: nothing to score against</p>'
    counts = result.counts
    return (f'<p class="counts">{cer_pill(result.cer)} {name_score([result])} · F1 {result.char_f1:.4f} · '
            f'{counts["substitutions"]} substituted, {counts["insertions"]} inserted, '
            f'{counts["deletions"]} missing of {counts["reference_chars"]:,} characters'
            f'{"".join(f" · {show(name)} {show(value)}" for name, value in result.slices.items())}</p>')


def show_detail(project: Project, gallery: Gallery, result: Result, query: str) -> str:
    """Return a page with its pictures, reference and coloured prediction; `query`: its address."""
    page = project.pages().get(result.page_id) if (project.pages_folder / "pages.jsonl").is_file() else None
    if result.reference is None:
        texts = text_block("prediction", show(result.prediction) or "(nothing)", "prediction")
    else:
        reference, prediction = mark(result.reference, result.prediction)
        texts = text_block("reference", reference or "(empty)", "reference")
        texts += text_block("prediction", prediction or "(nothing)", "prediction", LEGEND)
    link = (f'<a class="correct" href="/review?page={quote(result.page_id)}">correct this label</a>'
            if page and result.reference is not None else "")
    picture, where = page_views(project, gallery, page, result.image, pdf2img_json(project))
    return (f'<div class="detail" {mark_query(query)}><h3>{show(result.page_id)}{link}</h3>{show_counts(result)}{picture}'
            f'<div class="texts">{texts}</div>{where}</div>')


def read_bound(text: str) -> float | None:
    """Return a bound of the CER in percent; what is no number is a `ValueError`."""
    text = (text or "").strip().rstrip("%").replace(",", ".")
    try:
        return float(text) if text else None
    except ValueError:
        raise ValueError(f"CER: {text!r} is no number; write 5 for 5 %, or nothing") from None


def settle(chosen: Sequence[str | None]) -> list[str]:
    """Return what is chosen above the list, to tell whether it is what is shown."""
    return [value or "" for value in chosen]


def lay_out() -> SimpleNamespace:
    """Lay out the page and return its parts."""
    import gradio as gr

    start, picked, asked = gr.State(0), gr.State(None), gr.State([])
    summary = gr.HTML(elem_id="results-figures")
    with gr.Row():
        name = gr.Dropdown([], label="results", scale=2, elem_id="results-name")
        order = gr.Dropdown(list(ORDERS), value=ORDERS[0], label="order", scale=2)
        document = gr.Dropdown([ANY], value=ANY, label="document", scale=2)
        verdict = gr.Dropdown([ANY], value=ANY, label="verdict", scale=1)
        kind = gr.Dropdown([ANY], value=ANY, label="slice", scale=1)
        low = gr.Textbox(label="CER ≥ %", scale=1, min_width=90, placeholder="any", elem_id="results-low")
        high = gr.Textbox(label="CER ≤ %", scale=1, min_width=90, placeholder="any")
        search = gr.Textbox(label="search (/)", placeholder="in texts and names", scale=2, elem_id="results-search",
                            elem_classes=["key-slash"])
    with gr.Row():
        with gr.Column(scale=5, min_width=360):
            rows = gr.HTML(js_on_load=PICK, elem_id="results-list")
            before, told, after, up, down = lay_out_steps()
        with gr.Column(scale=6, min_width=420):
            detail = gr.HTML(elem_id="results-detail")
    return SimpleNamespace(**locals())


def make_acts(project: Project, gallery: Gallery) -> SimpleNamespace:
    """Return what happens on the page."""
    import gradio as gr

    @say_errors(7, NOTHING)
    def see(*values, turn: int = 0, step: int = 0):
        *chosen, begin, page_id = values
        files = list_files(project)
        if chosen[0] not in files:
            return notice(NO_RESULTS), *NOTHING
        results, query = load_results(project, files[chosen[0]]), Query(*chosen[1:6], *map(read_bound, chosen[6:]))

        def find() -> tuple[list[Result], str]:
            found = choose(results, query)
            return found, show_figures(results, found)

        found, told = project.keep_while(("results found", chosen[0]), (results, query), find)
        page_id, begin = place([result.page_id for result in found], None if turn else page_id, begin + turn * ROWS, step)
        one = next((result for result in found if result.page_id == page_id), None)
        address = write_query(dict(zip(CHOICES, chosen, strict=True)) | {"page_id": page_id}, CHOICES)
        shown = show_detail(project, gallery, one, address) if one else notice("No page fits these filters.")
        return shown, show_list(found, gallery, begin, page_id), told, say_place(begin, len(found)), begin, page_id, settle(chosen)

    def pick(event: gr.EventData, *values):
        return see(*values[:-1], str(event.pick))

    def refilter(*values):
        *chosen, asked = values
        if settle(chosen) == asked:  # a field was filled in from the address
            return tuple(gr.skip() for _ in range(7))
        return see(*chosen, 0, None)

    def fill(current: str | None, request: gr.Request):
        files, asked = list_files(project), request.query_params
        current = current if current in files else "tuned" if "tuned" in files else next(iter(files), None)
        name = ask(asked, "results", files, current)
        choices = [list(files), list(ORDERS), None, *list_choices(name), None, None]
        values = [asked.get(key, default) if known is None else ask(asked, key, known, default)
                  for (key, default), known in zip((CHOICES | {"results": name}).items(), choices, strict=True)]
        fields = [value if known is None else gr.update(choices=known, value=value) for known, value in zip(choices, values, strict=True)]
        return *fields, asked.get("page_id"), settle(values)

    def list_choices(name: str | None) -> list[list[str]]:
        files = list_files(project)
        try:
            results = load_results(project, files[name]) if name in files else []
        except (ValueError, OSError):
            results = []
        documents = [ANY, *sorted({result.doc_id for result in results if result.doc_id})]
        return [documents, list_verdicts(results), list_kinds(results)]

    def fill_filters(name: str | None):
        return [gr.update(choices=choices, value=ANY) for choices in list_choices(name)]

    return SimpleNamespace(**locals())


def build(blocks, project: Project, gallery: Gallery) -> None:
    """Make the page in Gradio's `blocks`."""
    import gradio as gr

    part, act = lay_out(), make_acts(project, gallery)
    filters = [part.name, part.order, part.search, part.document, part.verdict, part.kind, part.low, part.high]
    outputs = [part.detail, part.rows, part.summary, part.told, part.start, part.picked, part.asked]
    everything, choices, quick = [*filters, part.start, part.picked], [part.document, part.verdict, part.kind], {"show_progress": "hidden"}
    blocks.load(act.fill, part.name, [*filters, part.picked, part.asked]).then(act.see, everything, outputs)
    part.name.input(act.fill_filters, part.name, choices).then(act.refilter, [*filters, part.asked], outputs)
    # A text field's `input` hears keys alone: not what is pasted, dictated or composed by an input method.
    typed = [part.search, part.low, part.high]
    gr.on([entry.change if entry in typed else entry.input for entry in filters[1:]], act.refilter, [*filters, part.asked], outputs,
          trigger_mode="always_last", **quick)
    part.rows.select(act.pick, everything, outputs, **quick)
    for button, options in ((part.before, {"turn": -1}), (part.after, {"turn": 1}), (part.up, {"step": -1}), (part.down, {"step": 1})):
        button.click(turn_by(act.see, **options), everything, outputs, **quick)
