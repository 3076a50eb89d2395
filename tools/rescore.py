"""Score stored predictions anew, with another normalizer or other references; no model runs.

    python -m tools.rescore data/predictions --normalizer text --out /tmp/text
    python -m tools.rescore ours.jsonl theirs.jsonl --references my_test_set/test.jsonl --out metrics/others

Each file of predictions (rows of page_id and text) gives <name>.json and <name>.csv, as evaluate writes them.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

Normalizer = Enum("Normalizer", {name: name for name in ("raw", "nfc_ws", "text", "alnum")}, type=str)
Folding = Enum("Folding", {name: name for name in ("arabic", "width")}, type=str)
Unit = Enum("Unit", {name: name for name in ("codepoint", "grapheme")}, type=str)


def list_files(sources: list[Path]) -> list[Path]:
    """Return the files of predictions; a folder stands for all its .jsonl, subfolders too."""
    files = [path for source in sources for path in (sorted(source.rglob("*.jsonl")) if source.is_dir() else [source])]
    twice = sorted({path.stem for path in files if sum(other.stem == path.stem for other in files) > 1})
    if twice:
        raise ValueError(f"two files are called {twice[0]}.jsonl; name results apart, or rescore them one by one")
    if not files:
        raise ValueError(f"{', '.join(map(str, sources))}: no .jsonl file of predictions")
    return files


def main(
    predictions: Annotated[list[Path], typer.Argument(help="files of predictions, or folders of them")],
    out: Annotated[Path, typer.Option(help="folder to write <name>.json and <name>.csv to")],
    references: Annotated[Path, typer.Option(help="true texts: rows of page_id, doc_id, text, origin")] = Path("data/splits/test.jsonl"),
    normalizer: Annotated[Normalizer, typer.Option(help="what both texts go through first")] = Normalizer.nfc_ws,
    fold: Annotated[list[Folding] | None, typer.Option(help="a script's rule on top; repeat for more")] = None,
    unit: Annotated[Unit, typer.Option(help="what a character is")] = Unit.codepoint,
    structure: Annotated[bool, typer.Option("--structure", help="compare tables and the order of blocks too")] = False,
    confusions: Annotated[int, typer.Option(min=0, help="most frequent confusions kept")] = 20,
    missing_as_empty: Annotated[bool, typer.Option("--missing-as-empty", help="pages without prediction count as failed")] = False,
) -> None:
    """Score stored predictions anew without running a model."""
    from ocrtune.evaluation.reader_scores import Rules
    from ocrtune.evaluation.rescoring import rescore
    from ocrtune.params.load import report_errors
    from ocrtune.scoring.summaries import AGREEMENT, plain_rates
    from ocrtune.texts.normalizers import find_normalizer

    with report_errors():
        rules = Rules(find_normalizer(normalizer.value, [option.value for option in fold or []]).label, unit.value, structure)
        for path in list_files(predictions):
            figures = rescore(path, references, out, rules, confusions, missing_as_empty)
            plain = plain_rates(figures)
            kind = "CER" if "cer" in figures else f"{AGREEMENT.removesuffix('_')} (CER against a teacher)"
            print(f"{path.stem}: {plain['num_pages']} pages, {kind} {plain['cer']:.4f}, WER {plain['wer']:.4f}, "
                  f"character F1 {plain['char_f1']:.4f}, {rules.normalizer}")


if __name__ == "__main__":
    typer.run(main)
