"""Show a model's layers, its towers, what each training mode would train, and the memory that takes.

    python -m tools.inspect tiny
    python -m tools.inspect deepseek-ocr --depth 2 --batch-size 4
    python -m tools.inspect models/merged

MODEL is a profile of params.yaml or a folder; of an adapter its base is shown. Weights are not read: config.json is enough, and is
fetched where it is not there.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

PAGES = {"page": (1654, 2339), "block": (1200, 400), "line": (1200, 40)}  # pixels: A4 at 200 dpi, a paragraph of it, a line
ANSWER = 1000  # tokens: a full page


def find_model(name: str) -> tuple[Path, object]:
    """Return the folder and the profile of a student or of a folder; a folder's profile is the one it tells, or the chosen student's."""
    from ocrtune.models.adapters import find_base, is_adapter
    from ocrtune.models.contract import student_of
    from ocrtune.models.downloads import fetch_settings
    from ocrtune.params.load import load_section, read_params
    from ocrtune.params.students import StudentProfile

    values, folder = read_params(), Path(name)
    if name in values["students"]:
        profile = load_section(f"students.{name}", StudentProfile)
        return fetch_settings(Path("models/base") / name, profile), profile
    if not folder.is_dir():
        raise ValueError(f"{name}: neither a student (params.yaml has: {', '.join(values['students'])}) nor a folder")
    student = student_of(folder, values["students"]) or values["student"]
    if is_adapter(folder):
        print(f"{folder}: an adapter; this is its base")
        folder = find_base(folder)
    return folder, load_section(f"students.{student}", StudentProfile)


def print_tree(model, depth: int) -> None:
    """Print the tree down to `depth`, equal layers folded into one line."""
    from ocrtune.checks.anatomy import fold_tree

    for branch in fold_tree(model):
        if branch.depth <= depth:
            label = "  " * branch.depth + f"{branch.name} " * bool(branch.name) + branch.kind
            print(f"{label:<90} {branch.parameters:>15,}  {branch.shape}".rstrip())


def print_modes(model, rank: int, dtype: str, load, batch: int) -> None:
    """Print what each mode trains with LoRA of this rank and whole, and the memory of a step of `batch` pages."""
    from ocrtune.checks.anatomy import count, measure_mode
    from ocrtune.checks.memory import estimate
    from ocrtune.training.lora_targets import TOWERS, bare_parameters

    total, choices = count(model.parameters()), [(mode, False, False) for mode in TOWERS]
    choices += [("vision", True, False), ("both", True, False)]
    choices += [("llm", False, True), ("both", True, True)] if bare_parameters(model)["llm"] else []
    print(f"\n{'mode':<34} {'matrices':>8} {'LoRA r ' + str(rank):>14} {'share':>8} {'full':>15} {'share':>7}")
    for mode, projector, experts in choices:
        try:
            size = measure_mode(model, mode, rank, projector, experts)
        except ValueError as error:
            print(f"{mode:<34} {error}")
            continue
        label = mode + " + projector" * projector + " + experts" * experts
        whole = f"{size.full:>15,} {size.full / total:>7.1%}"
        print(f"{label:<34} {size.layers:>8} {size.trainable:>14,} {size.trainable / total:>8.3%} {whole}")
        if load:
            towers = {tower for tower in TOWERS[mode] if projector or tower != "projector"}
            for checkpointing in (False, True):
                memory = estimate(model, load, dtype, size.trainable, batch, towers, checkpointing, lora=True)
                parts = [f"{name} {in_units(getattr(memory, name))}" for name in ("weights", "gradients", "optimizer", "activations")]
                print(f"    {dtype}{', gradient checkpointing' * checkpointing}: {in_units(memory.total)} at most ({', '.join(parts)})")


def in_units(size: int) -> str:
    """Return bytes as MiB or GiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def inspect(name: str, depth: int, rank: int, batch: int, page: tuple[int, int] | None, answer: int | None, dtype: str | None) -> None:
    """Print everything about a model; the memory only where its processor's files are there to lay a page."""
    if page and min(page) < 1:
        raise ValueError(f"--page: {page[0]} x {page[1]}: expected pixels from 1 on")
    from ocrtune.checks.anatomy import build_empty, tower_sizes
    from ocrtune.checks.memory import measure_load
    from ocrtune.models.vlm import load_processor, quiet_libraries

    quiet_libraries()
    folder, profile = find_model(name)
    model = build_empty(folder, profile)
    print(f"{name}: {folder}, prompt {profile.prompt!r}, image {profile.image}")
    print_tree(model, depth)
    print()
    for tower, size in tower_sizes(model).items():
        print(f"{tower:<22} {size:>15,}")
    load = None
    if (folder / "tokenizer.json").is_file():
        page, answer = page or PAGES[profile.unit], answer or min(ANSWER, profile.max_new_tokens)
        load = measure_load(model, load_processor(folder, profile), profile.prompt, page, answer)
        print(f"\na {profile.unit} of {page[0]} x {page[1]} pixels: {load.patches:,} patches, {load.image_tokens:,} image tokens, "
              f"{load.tokens:,} tokens with prompt and an answer of {answer}; memory for a batch of {batch}")
    else:
        print(f"\n{folder}: no tokenizer.json, so no estimate of memory")
    print_modes(model, rank, dtype or profile.dtype, load, batch)


def main(
    model: Annotated[str, typer.Argument(help="a student of params.yaml, or a model's folder")],
    depth: Annotated[int, typer.Option(help="levels of the tree shown", min=0)] = 99,
    rank: Annotated[int, typer.Option(help="r of LoRA", min=1)] = 16,
    batch_size: Annotated[int, typer.Option(help="pages a batch in the memory estimate", min=1)] = 1,
    page: Annotated[tuple[int, int] | None, typer.Option(help="width and height of an image in pixels", show_default="A4 at 200 dpi, "
                                                         "or a line or block of it, as the profile's unit")] = None,
    answer: Annotated[int | None, typer.Option(help="tokens of an answer", min=1, show_default="1000, or the profile's "
                                               "max_new_tokens")] = None,
    dtype: Annotated[Literal["float32", "bfloat16", "float16"] | None, typer.Option(help="of the weights",
                                                                                    show_default="the profile's")] = None,
) -> None:
    """Show a model's layers and what training would touch."""
    from ocrtune.params.load import report_errors

    with report_errors():
        inspect(model, depth, rank, batch_size, page, answer, dtype)


if __name__ == "__main__":
    typer.run(main)
