"""Let the teacher read every page that it has not read before; keep what is fit to learn from.

    python -m stages.teacher_label data/pages data/gold.jsonl data/labels metrics/teacher_label.json
"""

from pathlib import Path
from typing import Annotated

import typer

PICTURES = "teachers tesseract, rapidocr and api read pictures"

def label(pages: Path, gold: Path, labels: Path, metrics: Path) -> None:
    """Write labels.jsonl and refused.jsonl, together one row a page, and the metrics.

    Where a second teacher reads, too, its readings stand in second.jsonl, lest a colleague pay for them again.
    """
    from functools import partial

    from pydantic import TypeAdapter
    from tqdm import tqdm

    from ocrtune.labels.gold import read_gold
    from ocrtune.labels.ledger import INK_VERDICTS, Ledger, iterate_pages
    from ocrtune.labels.letter_places import PlaceCounter
    from ocrtune.labels.verdicts import REASONS
    from ocrtune.machines.spreading import spread
    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.teacher_label import TeacherLabelParams
    from ocrtune.params.teachers import Reader
    from ocrtune.readers.open import open_reader
    from ocrtune.readers.postprocess import postprocess
    from ocrtune.rows import check_counts, write_json
    from ocrtune.sorted_rows import SortedRows
    from ocrtune.store.budget import Budget
    from ocrtune.store.readings import read_pages
    from ocrtune.store.store import open_store

    params = load_section("teacher_label", TeacherLabelParams)
    values = read_params()
    names = values["teacher"], params.second_teacher
    profiles = [TypeAdapter(Reader).validate_python(values["teachers"][name]) for name in names]
    process = [partial(postprocess, getattr(profile, "postprocess", "default")) for profile in profiles]
    checked = {digest: row["text"] for digest, row in read_gold(gold).items()}
    store, budget = open_store(), Budget(**params.budget.model_dump(), name="teacher_label.budget")

    def opened(profile):
        return spread(open_reader(profile, values["prompts"]), values["executor"], has_model=profile.type == "local")

    reader, title = opened(profiles[0]), f"teacher {names[0]}"
    readings = read_pages(reader, iterate_pages(pages), store, title, budget, params.retry)
    ledger = Ledger(names[0], params, readings, process[0], checked, compares_text_layer=profiles[0].type != "text-layer")
    if names[0] != names[1] and profiles[1].type != "text-layer":  # the text layer is compared with anyway
        second_reader, title = opened(profiles[1]), f"second teacher {names[1]}"
        ledger.seconds, ledger.process_second = read_pages(second_reader, iterate_pages(pages), store, title, budget), process[1]
        with SortedRows(labels / "second.jsonl") as second:
            for page_id, (key, reading) in ledger.seconds.items():
                second.add({"page_id": page_id, "text": reading.text, "key": key, "finish_reason": reading.finish_reason})
    else:
        (labels / "second.jsonl").unlink(missing_ok=True)
    if INK_VERDICTS & set(params.refuse):
        ledger.places = read_pages(spread(PlaceCounter(), values["executor"]), iterate_pages(pages), store, "ink")
    with SortedRows(labels / "labels.jsonl") as kept, SortedRows(labels / "refused.jsonl") as refused:
        for is_label, row in tqdm(ledger.rows(iterate_pages(pages)), total=len(readings), desc="verdicts", unit="page"):
            (kept if is_label else refused).add(row)
        store.flush()
        check_failures(ledger, params.allow_failed)
    write_json(metrics, ledger.figures())
    for verdict, count in ledger.refusals.most_common():
        print(f"  refused {count}: {REASONS[verdict]}" + (f" ({PICTURES})" if verdict == "none" else ""))
    check_counts("teacher_label", len(readings), len(kept), len(refused))
    if not len(kept):
        raise ValueError(f"{labels}: no page got a label (see refused.jsonl); choose another teacher in params.yaml")


def check_failures(ledger, allowed: float) -> None:
    """Stop where the teacher failed on too many pages: DVC would keep their refusal for good, and never ask again."""
    failed, total = ledger.verdicts["error"], len(ledger.readings)
    if failed > allowed * total:
        told = ledger.readings.absent.values()
        problem = next((reading.problem for reading in told if reading.finish_reason == "error" and reading.problem), "see above")
        raise ValueError(f"teacher {ledger.name} failed on {failed} of {total} pages, the first time with: {problem}. What was read is "
                         "kept: run again, and only these are asked for; or raise teacher_label.allow_failed to go on without them")


def main(
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl and images")],
    gold: Annotated[Path, typer.Argument(help="texts that people checked")],
    labels: Annotated[Path, typer.Argument(help="folder to write labels.jsonl to")],
    metrics: Annotated[Path, typer.Argument(help="JSON file to write figures to")],
) -> None:
    """Let the teacher read the pages that are new."""
    from ocrtune.params.load import report_errors

    with report_errors():
        label(pages, gold, labels, metrics)


if __name__ == "__main__":
    typer.run(main)
