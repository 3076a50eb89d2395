"""Deal labelled pages to train, val and test, document by document; what people checked replaces labels.

    python -m stages.split data/pages data/labels data/gold.jsonl data/splits
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

LACK = {"train": "there is nothing to learn from", "val": "nothing tells train which weights read best, so it keeps the last",
        "test": "evaluate has nothing to score"}
FEW = 20  # examples: one misread more or less is then a different CER


def split(pages: Path, labels: Path, gold: Path, splits: Path) -> None:
    """Write train, val and test, and refused.jsonl: pages without label or rejected by a person (gold text null), near-duplicates."""
    from ocrtune.labels.gold import read_gold
    from ocrtune.params.load import load_section
    from ocrtune.params.split import SplitParams
    from ocrtune.rows import check_counts, index_rows, read_rows, write_rows
    from ocrtune.splits.dealing import choose_split, take_out_twins

    params = load_section("split", SplitParams)
    rows = index_rows(read_rows(pages / "pages.jsonl", ("page_id", "doc_id", "image", "sha256")), source=str(pages))
    labelled = index_rows(read_rows(labels / "labels.jsonl", ("page_id", "text")), source=str(labels))
    texts = {page_id: row["text"] for page_id, row in labelled.items()}
    origins = {page_id: "text_layer" if row.get("teacher") == "text-layer" else "teacher" for page_id, row in labelled.items()}
    unknown = sorted(texts.keys() - rows.keys())
    if unknown:
        raise ValueError(f"{labels}: {unknown[0]} and {len(unknown) - 1} more are no pages of {pages}; run teacher_label again")
    checked = read_gold(gold)
    dealt: dict[str, list[dict]] = {"train": [], "val": [], "test": []}
    refused, golden = [], set()
    for page_id, row in rows.items():
        origin = "gold" if row["sha256"] in checked else origins.get(page_id)
        if origin == "gold" and checked[row["sha256"]]["text"] is None:  # a person looked: it can't be used
            origin = None
            golden.add(row["sha256"])
        if origin is None:
            refused.append({"page_id": page_id, "reason": "a person rejected it" if row["sha256"] in golden else "neither label nor gold"})
            continue
        golden |= {row["sha256"]} & checked.keys()
        text = checked[row["sha256"]]["text"] if origin == "gold" else texts[page_id]
        dealt[choose_split(row["doc_id"], params)].append(
            {"page_id": page_id, "doc_id": row["doc_id"], "image": f"../{pages.name}/{row['image']}", "text": text, "origin": origin})
    splits.mkdir(parents=True, exist_ok=True)  # images are looked for from there, and DVC has just removed it
    if params.max_likeness is not None:
        refused += take_out_twins(dealt, splits, params.max_likeness)
    write_rows(splits / "refused.jsonl", refused)
    for name, part in dealt.items():
        write_rows(splits / f"{name}.jsonl", part)
        documents, gold_rows = {row["doc_id"] for row in part}, sum(row["origin"] == "gold" for row in part)
        print(f"  {name}: {len(part)} examples of {len(documents)} documents, {gold_rows} gold")
        if not part:
            print(f"split: warning: no document fell to {name}: {LACK[name]}; add documents, or change the shares or salt of `split`",
                  file=sys.stderr)
        elif name == "val" and len(part) < FEW:
            print(f"split: warning: val has {len(part)} examples of {len(documents)} documents: which weights read best is then chance; "
                  "add documents, or raise split.val", file=sys.stderr)
    if len(golden) < len(checked):
        print(f"  {gold}: {len(checked) - len(golden)} of {len(checked)} rows belong to no image of {pages}: "
              "rendered otherwise now (dpi, unit, format), or gone")
    check_counts("split", len(rows), sum(map(len, dealt.values())), len(refused))


def main(
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl")],
    labels: Annotated[Path, typer.Argument(help="folder of labels.jsonl")],
    gold: Annotated[Path, typer.Argument(help="texts that people checked")],
    splits: Annotated[Path, typer.Argument(help="folder to write train, val and test to, beside the pages' folder")],
) -> None:
    """Deal labelled pages to train, val and test by document."""
    from ocrtune.params.load import report_errors

    with report_errors():
        split(pages, labels, gold, splits)


if __name__ == "__main__":
    typer.run(main)
