"""The page Compare: two or more readers, commits or experiments on the same pages, side by side."""

import html
from pathlib import Path
from types import SimpleNamespace

from ocrtune.studio.findings import measure_finding, say_finding
from ocrtune.studio.fragments import PICK, cer_pill, figures, notice, page_views, percent, say_errors, text_block
from ocrtune.studio.last_verdict import names_of, say_verdict
from ocrtune.studio.marked_edits import mark, show
from ocrtune.studio.page_address import ask, mark_query, write_query
from ocrtune.studio.paging import ROWS, lay_out_steps, place, say_place, turn_by
from ocrtune.studio.params_file import pdf2img_json, read_params
from ocrtune.studio.pictures import THUMB_WIDTH, Gallery
from ocrtune.studio.project import Project, settle
from ocrtune.studio.revisions import Source, list_sources, load_source
from ocrtune.studio.selection import ANY, name_score, pool
from ocrtune.studio.side_by_side import KINDS, ORDERS, Row, choose_rows, join

AGAINST = ("the reference", "the first reader")
# What is chosen beside the readers, by its name in the page's address, in the order of the fields.
CHOICES = {"order": ORDERS[0], "pages": ANY, "document": ANY, "search": "", "colour": AGAINST[0]}
TOO_FEW = "Fewer than two readings are here. ./run dvc pull gets them where someone pushed them, ./run dvc repro makes them."
NOTHING = ("", "", "", "", 0, None, [])  # beside a message: what the others said was of other readers


def points(change: float) -> str:
    """Return a change of a share in percentage points."""
    return f"{100 * change:+.1f} points"


def show_figures(names: list[str], rows: list[Row], left_out: int) -> str:
    """Return the pooled figures of each reader over the pages that all share."""
    entries = []
    for number, name in enumerate(names):
        pooled = pool([row.results[number] for row in rows])
        f1 = pooled.get("char_f1")
        score = name_score([row.results[number] for row in rows])
        note = "" if f1 is None else f"{score} · F1 {f1:.4f} · perfect {percent(pooled['perfect_rate'])}"
        entries.append((name, percent(pooled.get("cer")), note))
    better, worse = sum(row.gain > 0 for row in rows), sum(row.gain < 0 for row in rows)
    entries.append(("pages", f"{len(rows):,}", f"{better:,} better, {worse:,} worse" + (f"; {left_out:,} not shared" if left_out else "")))
    return figures(entries)


def list_row(row: Row, gallery: Gallery, is_picked: bool) -> str:
    """Return a line of the list: the page, each reader's CER, and the gain."""
    image = row.results[0].image
    address = gallery.hang(image, THUMB_WIDTH) if image else None
    thumb = f'<img loading="lazy" src="{address}" alt="">' if address else '<span class="quiet">no picture</span>'
    kind = "up" if row.gain > 0 else "down" if row.gain < 0 else "quiet"
    gain = f'<span class="gain {kind}">{points(-row.gain) if row.gain else "±0"}</span>'
    return (f'<button class="row{" picked" if is_picked else ""}" data-pick="{html.escape(row.page_id, quote=True)}">'
            f'<span class="thumb">{thumb}</span><span class="what"><span class="id">{show(row.page_id)}</span>'
            f'<span class="said" dir="auto">{show((row.results[0].reference or row.results[-1].prediction)[:160])}</span></span>'
            f'<span class="score"><span>{" → ".join(cer_pill(result.cer) for result in row.results)}</span>{gain}</span></button>')


def judge(project: Project, names: list[str], rows: list[Row]) -> str:
    """Return which of the first and the last reader reads better: as stage compare found where it compared them, else measured here."""
    pair = names[0], names[-1]
    if pair == names_of(project):
        return say_verdict(project)
    params = (read_params(project).get("compare") or {}) if project.params_file.is_file() else {}
    finding = project.keep_while(("finding", pair), (rows, params), lambda: measure_finding(
        pair, [(row.results[0], row.results[-1]) for row in rows], params))
    if finding is None:
        return notice("No verdict: no page that both read has a reference.")
    over = '<span class="quiet">measured over the pages that these readers share</span>'
    return f'<div class="notice {finding.kind}">{say_finding(finding)} {over}</div>'


def write_address(names: list[str], chosen: list[str], page_id: str | None) -> str:
    """Return the query of the page's address."""
    readers = {f"reader{number}": name for number, name in enumerate(names, 1)}
    return write_query(readers | dict(zip(CHOICES, chosen, strict=True)) | {"page_id": page_id}, CHOICES)


def find_readers(project: Project, sources: dict[str, Source], asked, files: tuple[Path | None, Path | None]) -> list[str]:
    """Return the readers to open with: those of the address, of the command line, the pipeline's, or the first two at hand."""
    readers = [asked[name] for name in sorted(asked, key=lambda name: (len(name), name)) if name.startswith("reader")]
    wanted = [name for name in dict.fromkeys(readers) if name in sources]
    given = [settle(path) for path in files if path]
    wanted = wanted or [name for path in dict.fromkeys(given) for name, source in sources.items() if source == Source(path)]
    at_hand = [name for name, source in sources.items() if source.is_here(project.root)]
    pair = list(names_of(project))
    return wanted or (pair if set(pair) <= set(at_hand) else at_hand[:2])


def show_detail(project: Project, gallery: Gallery, row: Row, names: list[str], against: str, query: str) -> str:
    """Return a page with its pictures and the readings in columns that scroll together; `query`: its address."""
    first = row.results[0]
    page = project.pages().get(row.page_id) if (project.pages_folder / "pages.jsonl").is_file() else None
    picture, where = page_views(project, gallery, page, first.image, pdf2img_json(project)) if first.image else ("", "")
    base = first.reference if against == AGAINST[0] else first.prediction
    columns = []
    for number, (name, result) in enumerate(zip(names, row.results, strict=True)):
        plain = base is None or (against != AGAINST[0] and number == 0)
        text = show(result.prediction) if plain else mark(base, result.prediction)[1]
        columns.append(text_block(name, text or "(nothing)", "prediction", cer_pill(result.cer)))
    reference = "" if first.reference is None else text_block("reference", show(first.reference) or "(empty)", "reference")
    return (f'<div class="detail" {mark_query(query)}><h3>{show(row.page_id)}</h3>{picture}'
            f'<div class="texts synchronised">{reference}<div class="columns">{"".join(columns)}</div></div>{where}</div>')


def lay_out() -> SimpleNamespace:
    """Lay out the page and return its parts."""
    import gradio as gr

    start, picked, asked = gr.State(0), gr.State(None), gr.State([])
    verdict = gr.HTML(elem_id="compare-verdict")
    with gr.Row():
        names = gr.Dropdown([], multiselect=True, label="readers: the first is what the last is compared with", scale=5,
                            elem_id="compare-names")
        order = gr.Dropdown(list(ORDERS), value=ORDERS[0], label="order", scale=2, min_width=190, elem_id="compare-order")
        kind = gr.Dropdown(list(KINDS), value=ANY, label="pages", scale=1)
        document = gr.Dropdown([ANY], value=ANY, label="document", scale=2)
        search = gr.Textbox(label="search (/)", placeholder="in texts and names", scale=2, elem_classes=["key-slash"])
    summary = gr.HTML(elem_id="compare-figures")
    with gr.Row():
        with gr.Column(scale=5, min_width=360):
            with gr.Row():
                gains = gr.Button("biggest gains (g)", size="sm", elem_classes=["key-g"], elem_id="compare-gains")
                losses = gr.Button("biggest losses (l)", size="sm", elem_classes=["key-l"], elem_id="compare-losses")
            rows = gr.HTML(js_on_load=PICK, elem_id="compare-list")
            before, told, after, up, down = lay_out_steps()
        with gr.Column(scale=7, min_width=480):
            against = gr.Radio(list(AGAINST), value=AGAINST[0], label="colour what differs from", elem_id="compare-against")
            detail = gr.HTML(elem_id="compare-detail")
    return SimpleNamespace(**locals())


def make_acts(project: Project, gallery: Gallery, files: tuple[Path | None, Path | None]) -> SimpleNamespace:
    """Return what happens on the page."""
    import gradio as gr

    @say_errors(8, NOTHING)
    def see(*values, turn: int = 0, step: int = 0):
        names, by, only, doc_id, words, base, begin, page_id = values
        sources = list_sources(project)
        chosen = [name for name in names or [] if name in sources]
        if len(chosen) < 2:
            return notice("Choose two or more readers above." if len(sources) > 1 else TOO_FEW), *NOTHING
        readers = [load_source(project, name, sources[name]) for name in chosen]

        def set_side_by_side() -> tuple[list[Row], str]:
            everything, left_out = join(readers)
            return everything, show_figures(chosen, everything, left_out)

        everything, told = project.keep_while(("compared", *chosen), readers, set_side_by_side)
        found = project.keep_while(("compared found", *chosen), (everything, by, only, doc_id, words),
                                   lambda: choose_rows(everything, by, only, doc_id, words))
        page_id, begin = place([row.page_id for row in found], None if turn else page_id, begin + turn * ROWS, step)
        one = next((row for row in found if row.page_id == page_id), None)
        lines = "".join(list_row(row, gallery, row.page_id == page_id) for row in found[begin:begin + ROWS])
        address = write_address(chosen, [by, only, doc_id, words, base], page_id)
        return (show_detail(project, gallery, one, chosen, base, address) if one else notice("No page fits."),
                f'<div class="list">{lines}</div>' if lines else "", told, say_place(begin, len(found)),
                judge(project, chosen, everything), begin, page_id, [names, by, only, doc_id, words])

    def pick(event: gr.EventData, *values):
        return see(*values[:-1], str(event.pick))

    def refilter(*values):
        *chosen, asked = values
        if chosen[:5] == asked:  # a field was filled in from the address
            return tuple(gr.skip() for _ in range(8))
        return see(*chosen, 0, None)

    def jump(to: str):
        def leap(*values):
            return to, *see(values[0], to, *values[2:], 0, None)

        return leap

    def fill(request: gr.Request):
        sources, asked = list_sources(project), request.query_params
        documents = sorted({row["doc_id"] for row in project.examples().values()}) if project.splits_folder.is_dir() else []
        known = [list(ORDERS), list(KINDS), [ANY, *documents], None, list(AGAINST)]
        values = [asked.get(key, default) if choices is None else ask(asked, key, choices, default)
                  for (key, default), choices in zip(CHOICES.items(), known, strict=True)]
        labels = [(name if source.is_here(project.root) else f"{name} (not in DVC's cache)", name) for name, source in sources.items()]
        names = find_readers(project, sources, asked, files)
        by, only, doc_id, words, base = values
        return (gr.update(choices=labels, value=names), by, only, gr.update(choices=known[2], value=doc_id), words, base,
                asked.get("page_id"), [names, by, only, doc_id, words])

    return SimpleNamespace(**locals())


def build(blocks, project: Project, gallery: Gallery, files: tuple[Path | None, Path | None]) -> None:
    """Make the page in Gradio's `blocks`; `files`: what it opens with."""
    import gradio as gr

    part, act = lay_out(), make_acts(project, gallery, files)
    filters = [part.names, part.order, part.kind, part.document, part.search, part.against]
    outputs = [part.detail, part.rows, part.summary, part.told, part.verdict, part.start, part.picked, part.asked]
    everything, quick = [*filters, part.start, part.picked], {"show_progress": "hidden"}
    blocks.load(act.fill, None, [*filters, part.picked, part.asked]).then(act.see, everything, outputs)
    # A text field's `input` hears keys alone: not what is pasted, dictated or composed by an input method.
    gr.on([part.search.change, *(entry.input for entry in filters[:4])], act.refilter, [*filters, part.asked], outputs,
          trigger_mode="always_last", **quick)
    part.against.input(act.see, everything, outputs, **quick)
    part.rows.select(act.pick, everything, outputs, **quick)
    part.gains.click(act.jump(ORDERS[0]), filters, [part.order, *outputs], **quick)
    part.losses.click(act.jump(ORDERS[1]), filters, [part.order, *outputs], **quick)
    for button, options in ((part.before, {"turn": -1}), (part.after, {"turn": 1}), (part.up, {"step": -1}), (part.down, {"step": 1})):
        button.click(turn_by(act.see, **options), everything, outputs, **quick)
