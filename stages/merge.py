"""Merge the adapter into the base, and fail if the merged model reads otherwise than the adapter.

    python -m stages.merge models/base/tiny models/adapter data/pages data/splits models/merged metrics/merge.json
"""

from pathlib import Path
from typing import Annotated

import typer


def merge_adapter(base: Path, adapter: Path, pages: Path, splits: Path, merged: Path, report: Path) -> None:
    """Write the merged model and the gate's figures; a `ValueError` where the gate does not open."""
    import shutil

    from ocrtune.models.contract import CONTRACT, read_contract
    from ocrtune.models.vlm import weights_digest
    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.merge import MergeParams
    from ocrtune.params.students import StudentProfile
    from ocrtune.rows import read_rows, write_json
    from ocrtune.serving.vllm import COMPOSE, serve_command, served_name, write_compose
    from ocrtune.training.merging import merge
    from ocrtune.training.model_card import write_card

    params = load_section("merge", MergeParams)
    profile = load_section(f"students.{read_params()['student']}", StudentProfile)
    contract = read_contract(adapter, "train")
    if contract.get("base_sha256") != weights_digest(base):
        raise ValueError(f"{adapter}: trained on another base than {base}; run train again")
    columns = ("page_id", "image", "text")
    learnt = {name: read_rows(splits / f"{name}.jsonl", columns) for name in ("train", "val")}
    known = {row["page_id"] for row in read_rows(pages / "pages.jsonl", ("page_id",))}
    strangers = [row["page_id"] for rows in learnt.values() for row in rows if row["page_id"] not in known]
    if strangers:
        raise ValueError(f"{splits}: {strangers[0]} is no page of {pages}; run split again")
    merged.mkdir(parents=True, exist_ok=True)
    shutil.copy(adapter / CONTRACT, merged / CONTRACT)  # before the model is read back: it is held to it
    figures = merge(base, adapter, profile, [learnt["val"], learnt["train"]], splits, merged, params.num_pages,
                    contract.get("load_in_4bit", False))
    name = served_name(merged)  # hashes all weights
    write_card(merged / "README.md", base, adapter, contract, learnt, figures, serve_command(name, profile, str(merged)))
    write_compose(merged / COMPOSE, name, profile)
    write_json(report, figures)
    print(f"merge: {figures['changed_tensors']} of {figures['targeted_tensors'] or 'all'} targeted tensors changed; "
          f"on {figures['num_pages']} pages {figures['equal_texts']} equal texts, logits within {figures['logit_difference']:.1e}")
    if "four_bit" in figures:
        cost = figures["four_bit"]
        print(f"  trained in 4 bits, merged without: CER {cost['cer_in_4bit']:.2%} there, {cost['cer_merged']:.2%} merged; "
              f"{cost['equal_texts']} equal texts, logits within {cost['logit_difference']:.1e}")
    bound = getattr(params.tolerance, profile.dtype)
    logits, texts = figures["logit_difference"], figures["text_difference"]
    faults = [fault for fault, holds in (  # `not <=`: what is no number (NaN) fails, too
        (f"logits differ by {logits:.1e}, allowed is {bound.logits:.1e}", not logits <= bound.logits),
        (f"texts differ by {texts:.2%}, allowed is {bound.texts:.2%}", not texts <= bound.texts),
        ("no tensor changed", not figures["changed_tensors"]),
        (f"tensors changed that were no targets: {', '.join(figures['stray_tensors'][:3])}", figures["stray_tensors"]),
        (f"settings are not the base's: {', '.join(figures['altered_settings'])}", figures["altered_settings"]),
    ) if holds]
    if faults:
        raise ValueError(f"{merged}: does not read as the adapter does (see {report}); do not use it: {'; '.join(faults)}")


def main(
    base: Annotated[Path, typer.Argument(help="the student's folder")],
    adapter: Annotated[Path, typer.Argument(help="the adapter's folder")],
    pages: Annotated[Path, typer.Argument(help="folder of pages.jsonl and images")],
    splits: Annotated[Path, typer.Argument(help="folder of the splits")],
    merged: Annotated[Path, typer.Argument(help="folder to write the merged model to")],
    report: Annotated[Path, typer.Argument(help="file to write the gate's figures to")],
) -> None:
    """Merge the adapter into the base and check the result."""
    from ocrtune.params.load import report_errors

    with report_errors():
        merge_adapter(base, adapter, pages, splits, merged, report)


if __name__ == "__main__":
    typer.run(main)
