"""Find documents of a test set that a model learnt from: what it may know by heart proves nothing."""

from pathlib import Path

from ocrtune.rows import read_rows
from ocrtune.splits.near_duplicates import Twin, find_twins, sort_twins

COLUMNS = ("page_id", "doc_id", "image", "text")


def find_learnt(tested: Path, learnt: dict[str, Path]) -> str:
    """Return the name of the learnt file that is the tested one itself; an empty string where none is."""
    return next((name for name, path in learnt.items() if path.resolve() == tested.resolve()), "")


def find_leaks(tested: Path, learnt: list[Path], least: float) -> list[Twin]:
    """Return the documents of a split's file that files of learnt rows hold as well, the most alike first.

    A document is the same where its id is, and nearly the same by `ocrtune.splits.near_duplicates.find_twins`; twins between
    two learnt files are left out. A file that is missing teaches nothing; a tested file that is one of the learnt (`find_learnt`)
    needs no looking through.
    """
    files = {path.stem: path for path in learnt if path.is_file()}
    name = tested.stem if tested.stem not in files else "tested"
    splits = {split: [row | {"image": str((path.parent / row["image"]).absolute())} for row in read_rows(path, COLUMNS)]
              for split, path in (files | {name: tested}).items()}
    here = {row["doc_id"] for row in splits[name]}
    same = sorted({(row["doc_id"], split) for split in files for row in splits[split] if row["doc_id"] in here})
    twins = find_twins(splits, tested.parent, least)
    alike = [turn(twin, name) for twin in twins if name in (twin.split, twin.other_split)]
    return sort_twins([Twin(doc_id, name, doc_id, split, 1.0, "doc_id") for doc_id, split in same] + alike)


def turn(twin: Twin, name: str) -> Twin:
    """Return a pair with the document of this split first."""
    if twin.split == name:
        return twin
    return twin._replace(doc_id=twin.other_id, split=twin.other_split, other_id=twin.doc_id, other_split=twin.split)
