"""Let the teacher read every page that it has not read before; keep what is fit to learn from.

    python -m stages.teacher_label data/pages data/labels
"""

from pathlib import Path
from typing import Annotated

import typer


def label(pages: Path, labels: Path) -> None:
    """Write labels.jsonl and refused.jsonl: together, one row a page."""
    from collections import Counter

    from pydantic import TypeAdapter

    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.teacher_label import TeacherLabelParams
    from ocrtune.params.teachers import Reader
    from ocrtune.readers.open import open_reader
    from ocrtune.reading import pages_from_rows
    from ocrtune.readings import read_pages
    from ocrtune.rows import check_counts, index_rows, read_rows, write_rows
    from ocrtune.store import open_store
    from ocrtune.verdicts import judge, refusal

    params = load_section("teacher_label", TeacherLabelParams)
    values = read_params()
    teacher = values["teacher"]
    profile = TypeAdapter(Reader).validate_python(values["teachers"][teacher])
    rows = read_rows(pages / "pages.jsonl", ("page_id", "image", "sha256", "text_layer"))
    index_rows(rows, source=str(pages))
    readings = read_pages(open_reader(profile), pages_from_rows(rows, pages), open_store(), f"teacher {teacher}")
    kept, refused = [], []
    for row in rows:
        key, reading = readings[row["page_id"]]
        verdicts = judge(reading)
        reason = refusal(reading, verdicts, params)
        if reason:
            refused.append({"page_id": row["page_id"], "reason": reason})
        else:
            kept.append({"page_id": row["page_id"], "text": reading.text, "teacher": teacher, "key": key, "verdicts": verdicts})
    write_rows(labels / "labels.jsonl", kept)
    write_rows(labels / "refused.jsonl", refused)
    for reason, count in Counter(row["reason"] for row in refused).most_common():
        print(f"  refused {count}: {reason}")
    check_counts("teacher_label", len(rows), len(kept), len(refused))
    if not kept:
        raise ValueError(f"{labels}: no page got a label (see refused.jsonl); choose another teacher in params.yaml")


def main(
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl and images")],
    labels: Annotated[Path, typer.Argument(help="folder to write labels.jsonl to")],
) -> None:
    """Let the teacher read the pages that are new."""
    from ocrtune.params.load import report_errors

    with report_errors():
        label(pages, labels)


if __name__ == "__main__":
    typer.run(main)
