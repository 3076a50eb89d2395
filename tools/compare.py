"""Compare two or more files of predictions of the same pages, whoever made them: verdict, intervals, report; no model, no pipeline.

    python -m tools.compare runs/may.jsonl runs/june.jsonl --out /tmp/versus
    python -m tools.compare theirs.jsonl ours.jsonl other.jsonl --references my_test_set/test.jsonl --out /tmp/versus

The first is the baseline, the second the candidate; rows have page_id and text. Writes compare.json, .csv, .md and .html, plots
and tables, and in scores what evaluate would write of each. Rules, top_k and slices are those of params.yaml, section evaluate;
the gate is not asked. A reader is called as its file, with `-` for what is no letter, digit, space, `_`, `.` or `-`.
"""

import re
from pathlib import Path
from typing import Annotated

import typer

PAGES, DOCUMENTS = Path("data/pages"), Path("data/documents")
LEARNT = {name: Path(f"data/splits/{name}.jsonl") for name in ("train", "val")}


def name_files(files: list[Path]) -> dict[str, Path]:
    """Return the files by name: the stem without what would be markup, with the folder's name before it where two are called alike."""
    from ocrtune.comparing.scored_readers import RESERVED

    if len(files) < 2:
        raise ValueError("name two files of predictions or more: the baseline first, then what is set beside it")
    folders = [path for path in files if path.is_dir()]
    if folders:
        raise ValueError(f"{folders[0]}: a folder, not a file of predictions; name the files, the baseline first")
    stems = [path.stem for path in files]
    names = [path.stem if stems.count(path.stem) == 1 else f"{path.absolute().parent.name}-{path.stem}" for path in files]
    names = [re.sub(r"[^\w. -]", "-", name) for name in names]
    reserved = [name for name in names if name in RESERVED]
    if reserved:
        raise ValueError(f"a reader can't be called {reserved[0]!r}: the figures have a key of that name; rename the file")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two files are called {twice[0]}; rename one, lest the report mix them up")
    return dict(zip(names, files, strict=True))


def name_missing_slices(reader) -> list[str]:
    """Return the columns that no page of a `ScoredReader` has."""
    from ocrtune.scoring.scores_csv import SLICE
    from ocrtune.scoring.slices import UNKNOWN

    return [column.removeprefix(SLICE) for column in reader.slice_columns if all(row[column] == UNKNOWN for row in reader.rows.values())]


def compare(files: dict[str, Path], references: Path, out: Path, missing_as_empty: bool = False) -> None:
    """Score files of predictions by name against a split's file, and write the comparison into a folder."""
    from ocrtune.comparing.comparison import compare_readers
    from ocrtune.comparing.files import Outputs, write_comparison
    from ocrtune.comparing.scored_readers import check_readers, index_references, read_reader
    from ocrtune.comparing.verdict import count, find_unit, say_quote, say_verdict
    from ocrtune.evaluation.reader_scores import Rules
    from ocrtune.evaluation.rescoring import rescore
    from ocrtune.params.compare import CompareParams
    from ocrtune.params.evaluate import EvaluateParams
    from ocrtune.params.load import load_section
    from ocrtune.scoring.evaluated_pages import open_slices
    from ocrtune.splits.leaks import find_learnt
    from ocrtune.texts.normalizers import find_normalizer

    evaluated, params = load_section("evaluate", EvaluateParams), load_section("compare", CompareParams)
    rules = Rules(find_normalizer(evaluated.normalizer, evaluated.fold).label, evaluated.unit, evaluated.structure)
    find_slices, top_k = open_slices(evaluated.slices, PAGES, DOCUMENTS), evaluated.top_k
    for name, path in files.items():
        figures = rescore(path, references, out / "scores", rules, evaluated.confusions, missing_as_empty, name, top_k, find_slices)
        if figures["num_missing"]:
            print(f"  {name}: {count(figures['num_missing'], 'page')} without prediction, counted as failed")
    readers = [read_reader(out / "scores", name) for name in files]
    check_readers(readers)
    absent = name_missing_slices(readers[0])
    if absent:
        print(f"  no slices by {', '.join(absent)}: neither {references} nor {PAGES} and {DOCUMENTS} say what they are of these pages")
    comparison = compare_readers(readers, params, learnt=find_learnt(references, LEARNT), has_gate=False)
    rows = {page_id: row | {"image": references.parent / row["image"]}
            for page_id, row in index_references(references, top_k, readers[0]).items()}
    outputs = Outputs(*(out / f"compare.{kind}" for kind in ("json", "csv", "md", "html")), out / "plots", out / "tables")
    unit = find_unit(rows)
    write_comparison(comparison, rows, tuple(list(files.values())[:2]), outputs, unit, params.worst)
    print(say_verdict(comparison, unit), say_quote(comparison, unit), f"the report: {outputs.page}", sep="\n")


def main(
    predictions: Annotated[list[Path], typer.Argument(help="files of predictions: baseline, candidate, others")],
    out: Annotated[Path, typer.Option(help="folder to write to")],
    references: Annotated[Path, typer.Option(help="true texts: rows as in a split")] = Path("data/splits/test.jsonl"),
    missing_as_empty: Annotated[bool, typer.Option("--missing-as-empty", help="pages without prediction count as failed")] = False,
) -> None:
    """Compare files of predictions of the same pages."""
    from ocrtune.params.load import report_errors

    with report_errors():
        compare(name_files(predictions), references, out, missing_as_empty)


if __name__ == "__main__":
    typer.run(main)
