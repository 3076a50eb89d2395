"""Bring examples of other tools into the pipeline, and ours, or our results, into the formats of other tools.

    python -m tools.convert their/train.jsonl my_documents --to documents     # images that bring their text, for stage crawl
    python -m tools.convert data/splits exported --to messages --copy-images  # train, val and test for another trainer
    python -m tools.convert data/predictions/tuned.jsonl report.json --to report

docs/formats.md has all formats. What can't be used is refused with its line and reason, and the rest goes on.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

FROM = Literal["image-text", "deepseek", "img-ocr", "messages", "trl", "ground-truth", "rows", "readings"]
TO = Literal["image-text", "deepseek", "img-ocr", "messages", "trl", "ground-truth", "documents", "report"]
FOLDERS = ("documents", "ground-truth")  # formats that are no file
SHOWN = 20  # refused rows


def find_files(source: Path) -> list[Path]:
    """Return the files of rows that a source is or holds; a folder that holds none is one of texts beside images."""
    if not source.exists():
        raise ValueError(f"{source}: no such file or folder")
    rows = sorted(path for path in source.glob("*.json*") if path.suffix in (".json", ".jsonl") and path.stem != "refused")
    for path in rows:
        if not path.stat().st_size:
            print(f"convert: {path} is empty and left out", file=sys.stderr)
    rows = [path for path in rows if path.stat().st_size]
    return [source] if source.is_file() else rows or [source]


def check_dest(dest: Path, files: list[Path], form: str, is_many: bool) -> None:
    """Raise ValueError where writing would mix with, or write over, what is there."""
    if (form in FOLDERS or is_many) and dest.is_file():
        raise ValueError(f"{dest}: a file; format {form} here wants a folder")
    if form in FOLDERS and dest.is_dir() and any(dest.iterdir()):
        raise ValueError(f"{dest}: not empty; name a new folder, lest old and new get mixed")
    if form not in FOLDERS and not is_many and dest.is_dir():
        raise ValueError(f"{dest}: a folder; format {form} is one file")
    targets = {dest / file.name for file in files} | {dest}
    if any(file.exists() and target.exists() and file.samefile(target) for file in files for target in targets):
        raise ValueError(f"{dest}: would write over what it reads")


def report_refused(refused: list) -> None:
    """Print how many were refused, by kind, and the first of them."""
    from collections import Counter

    for kind, count in Counter(row.reason.partition(":")[0] for row in refused).most_common():
        print(f"  refused {count}: {kind}")
    for row in refused[:SHOWN]:
        print(f"  {row.where}: {row.reason}", file=sys.stderr)
    if len(refused) > SHOWN:
        print(f"  and {len(refused) - SHOWN} more", file=sys.stderr)


def next_steps(dest: Path, count: int, gold: Path | None) -> str:
    """Return what to do with a folder of documents."""
    limit = f" -S crawl.max_pages={2 * count}" if count > 400 else ""
    return (f"next, in params.yaml or for once: ./run dvc exp run -S crawl.folder={dest}{limit} -S teacher=text-layer\n"
            "      with -S pdf2img.unit=page where an image shows more than one line"
            + (f"\n      {gold} knows these images as pdf2img makes them now; with other settings they are others" if gold else ""))


def convert(source: Path, dest: Path, form: TO, read_as: FROM | None, prompt: str | None, folders: tuple[Path, Path | None],
            copy_images: bool) -> tuple[int, list]:
    """Write the examples of a source; `folders`: pages of ours, and where relative image paths start. Return written and refused."""
    from dataclasses import replace

    from ocrtune.formats.example_files import detect_format, find_examples
    from ocrtune.formats.example_formats import CONVERSATIONS
    from ocrtune.formats.example_writers import write_documents, write_file, write_ground_truth
    from ocrtune.readers.prompts import own_tasks
    from ocrtune.rows import check_counts

    files, seen = find_files(source), {}
    is_many = source.is_dir() and files != [source]
    check_dest(dest, files, form, is_many)
    parts, refused, words = {}, [], prompt or own_tasks("")["ocr"]
    by_question = form in CONVERSATIONS and prompt is None
    for file in files:
        found, lost = find_examples(file, read_as or detect_format(file), *folders, seen, by_question)
        parts[file] = [replace(item, example=replace(item.example, prompt=words)) if prompt or item.example.prompt is None else item
                       for item in found]
        refused += lost
    num_rows = sum(map(len, parts.values())) + len(refused)
    if form in FOLDERS:
        write = write_documents if form == "documents" else write_ground_truth
        written, lost = write(dest, [item for found in parts.values() for item in found])
        refused += lost
    else:
        written = 0
        for file, found in parts.items():
            target = dest / f"{file.stem}{'.json' if form == 'img-ocr' else '.jsonl'}" if is_many else dest
            count, lost = write_file(target, form, found, copy_images)
            written += count
            refused += lost
    check_counts("convert", num_rows, written, len(refused))
    return written, refused


def write_report(predictions: Path, dest: Path, references: Path, name: str | None) -> int:
    """Write the report of one reader's predictions and return how many pages it has."""
    import os
    from datetime import UTC, datetime

    from ocrtune.evaluation.reader_scores import Rules
    from ocrtune.formats.results_report import describe_results
    from ocrtune.params.evaluate import EvaluateParams
    from ocrtune.params.load import load_section
    from ocrtune.rows import index_rows, read_rows, write_json
    from ocrtune.scoring.evaluated_pages import read_references
    from ocrtune.texts.normalizers import find_normalizer

    params = load_section("evaluate", EvaluateParams)
    rules = Rules(find_normalizer(params.normalizer, params.fold).label, params.unit)
    rows = read_references(references)
    found = index_rows(read_rows(predictions, ("page_id", "text")), source=str(predictions))
    texts = {page_id: row["text"] for page_id, row in found.items()}
    rows = [row | {"image": Path(os.path.relpath(references.parent / row["image"], dest.parent)).as_posix()} for row in rows]
    unread = sum(row["page_id"] not in texts for row in rows)
    if unread == len(rows):
        raise ValueError(f"{predictions}: reads none of the {len(rows)} pages of {references}; name others with --references")
    report = describe_results(rows, texts, rules)
    written = {"timestamp": datetime.now(UTC).isoformat(timespec="seconds"), "model_name": name or predictions.stem}
    samples = {"samples": report.pop("samples")}
    write_json(dest, report | written | samples)
    if unread:
        print(f"convert: {unread} of {len(rows)} pages have no prediction and count as empty", file=sys.stderr)
    unknown = len(texts) - (len(rows) - unread)
    if unknown:
        print(f"convert: {unknown} predictions left out: of pages that {references} lacks", file=sys.stderr)
    kind = "CER" if report["measures"] == "CER" else "agreement (CER against a teacher)"
    print(f"convert: {len(rows)} pages, {kind} {report['overall_cer']:.4f}, character F1 {report['overall_f1']:.4f}, {rules.normalizer}")
    return len(rows)


def main(
    source: Annotated[Path, typer.Argument(help="a file of rows, a folder of such files, or a folder of images with .gt.txt files")],
    dest: Annotated[Path, typer.Argument(help="file or folder to write")],
    to: Annotated[TO, typer.Option(help="the format to write")],
    read_as: Annotated[FROM | None, typer.Option("--from", help="the format to read", show_default="told by its rows")] = None,
    prompt: Annotated[str | None, typer.Option(help="the question to write", show_default="the row's own, or a general one")] = None,
    images: Annotated[Path | None, typer.Option(help="folder from which relative image paths are seen, too")] = None,
    copy_images: Annotated[bool, typer.Option("--copy-images", help="copy the images beside the rows, into images/")] = False,
    gold: Annotated[Path | None, typer.Option(help="with --to documents: gold.jsonl, to get the texts too: people checked them")] = None,
    pages: Annotated[Path, typer.Option(help="folder of pages.jsonl, where labels and predictions have their images")] = Path("data/pages"),
    references: Annotated[Path, typer.Option(help="with --to report: the split that was read")] = Path("data/splits/test.jsonl"),
    name: Annotated[str | None, typer.Option(help="with --to report: the model's name", show_default="the file's")] = None,
) -> None:
    """Convert examples from and to the formats of other tools."""
    from ocrtune.params.load import report_errors

    with report_errors():
        if to == "report":
            write_report(source, dest, references, name)
            return
        if gold and to != "documents":
            raise ValueError("--gold goes with --to documents: it is about images that stage crawl will find")
        written, refused = convert(source, dest, to, read_as, prompt, (pages, images), copy_images)
        report_refused(refused)
        if not written:
            raise ValueError(f"{source}: not one row could be used")
        if gold:
            put_into_gold(gold, dest)
        if to == "documents":
            print(next_steps(dest, written, gold))


def put_into_gold(gold: Path, documents: Path) -> None:
    """Add the texts of documents to gold, with the images as params.yaml has them made now."""
    from ocrtune.labels.imported_gold import add_gold
    from ocrtune.params.load import load_section
    from ocrtune.params.pdf2img import Pdf2imgParams

    added, refused = add_gold(gold, sorted(documents.iterdir()), load_section("pdf2img", Pdf2imgParams))
    print(f"convert: {added} rows added to {gold}, {len(refused)} refused")
    for file, reason in refused[:SHOWN]:
        print(f"  {file}: {reason}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
