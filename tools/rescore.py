"""Score stored predictions anew, with another normalizer or other references; no model runs.

    python -m tools.rescore data/predictions --normalizer text --out /tmp/text
    python -m tools.rescore ours.jsonl theirs.jsonl --references my_test_set/test.jsonl --out metrics/others

Each file of predictions (rows of page_id and text) gives <name>.json and <name>.csv, as evaluate writes them, in a folder's
subfolders as it lies there. Files of a folder that are all of other pages (those of clean print) are left aside.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

Normalizer = Enum("Normalizer", {name: name for name in ("raw", "nfc_ws", "text", "alnum")}, type=str)
Folding = Enum("Folding", {name: name for name in ("arabic", "width")}, type=str)
Unit = Enum("Unit", {name: name for name in ("codepoint", "grapheme")}, type=str)


def list_files(sources: list[Path], references: Path) -> dict[str, Path]:
    """Return the files of predictions by what results are called; a folder stands for its .jsonl of pages that have references."""
    from ocrtune.evaluation.rescoring import is_of_other_pages, list_ids

    known = set(list_ids(references)) if any(source.is_dir() for source in sources) else set()
    found, aside = [], []
    for source in sources:
        for path in sorted(source.rglob("*.jsonl")) if source.is_dir() else [source]:
            is_aside = source.is_dir() and known and is_of_other_pages(path, known)
            (aside if is_aside else found).append((str(path.relative_to(source).with_suffix("")) if source.is_dir() else path.stem, path))
    names = [name for name, _ in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two files are called {twice[0]}.jsonl; name results apart, or rescore them one by one")
    if aside:
        print(f"  left aside: {', '.join(str(path) for _, path in aside)}, of pages that {references} lacks")
    if not found:
        raise ValueError(f"{', '.join(map(str, sources))}: no .jsonl file with predictions of pages in {references}")
    return dict(found)


def main(
    predictions: Annotated[list[Path], typer.Argument(help="files of predictions, or folders of them")],
    out: Annotated[Path, typer.Option(help="folder to write <name>.json and <name>.csv to")],
    references: Annotated[Path, typer.Option(help="true texts: rows of page_id, doc_id, text, origin")] = Path("data/splits/test.jsonl"),
    normalizer: Annotated[Normalizer, typer.Option(help="what both texts go through first")] = Normalizer.nfc_ws,
    fold: Annotated[list[Folding] | None, typer.Option(help="a script's rule on top; repeat for more")] = None,
    unit: Annotated[Unit, typer.Option(help="what a character is")] = Unit.codepoint,
    structure: Annotated[bool, typer.Option("--structure", help="compare tables and the order of blocks too")] = False,
    slices: Annotated[list[str] | None, typer.Option("--slice", help="scores by this column of the references; repeat for more")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="so many pages only, as evaluate.top_k draws them")] = None,
    confusions: Annotated[int, typer.Option(min=0, help="most frequent confusions kept")] = 20,
    missing_as_empty: Annotated[bool, typer.Option("--missing-as-empty", help="pages without prediction count as failed")] = False,
) -> None:
    """Score stored predictions anew without running a model."""
    from ocrtune.evaluation.reader_scores import Rules
    from ocrtune.evaluation.rescoring import rescore
    from ocrtune.params.load import report_errors
    from ocrtune.scoring.slices import UNKNOWN, list_slices
    from ocrtune.scoring.summaries import name_rate, plain_rates
    from ocrtune.texts.normalizers import find_normalizer

    with report_errors():
        rules = Rules(find_normalizer(normalizer.value, [option.value for option in fold or []]).label, unit.value, structure)
        for name, path in list_files(predictions, references).items():
            figures = rescore(path, references, (out / name).parent, rules, confusions, missing_as_empty, top_k=top_k,
                              find_slices=lambda row: list_slices(slices or [], row, {}, {}))
            unknown = [column for column in slices or [] if figures["slices"][column].keys() == {UNKNOWN}]
            if unknown:
                raise ValueError(f"--slice {unknown[0]}: no row of {references} has such a column")
            plain, (cer, wer) = plain_rates(figures), (name_rate(rate, figures["origins"]) for rate in ("CER", "WER"))
            print(f"{name}: {plain['num_pages']} pages, {cer} {plain['cer']:.4f}, {wer} {plain['wer']:.4f}, "
                  f"character F1 {plain['char_f1']:.4f}, {rules.normalizer}")


if __name__ == "__main__":
    typer.run(main)
