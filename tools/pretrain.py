"""Train the embedded student from nothing, on text lines rendered as they are needed.

    python -m tools.pretrain --out build/student --lines 112640

Short lines come first, then ever longer ones. A run killed at any moment goes on from its last
checkpoint with the very lines it would have seen, asked with the same options. Typefaces and words come from packages of the
operating system (where there are none, an error names them all), or from --fonts and --words.
"""

import hashlib
import json
import random
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

HELD_OUT = 96  # lines read at each evaluation


def held_out(families: list, writer, max_chars: int) -> list:
    """Return lines that training never draws; the same ones each time."""
    from ocrtune.pretraining.line_image import render_line

    lines, rng = [], random.Random("held out")
    while len(lines) < HELD_OUT:
        typeface = rng.choice(rng.choice(families))
        text = writer.line(rng, typeface.characters, 1, max_chars)
        try:
            lines.append(render_line(text, typeface, rng))
        except ValueError:  # too wide
            continue
    return lines


def measure_cer(model, lines: list) -> float:
    """Return all edits over all reference characters, read through processor and generate as users do."""
    from PIL import Image
    from rapidfuzz.distance import Levenshtein

    from ocrtune.models.vlm import generate_texts
    from ocrtune.params.students import StudentProfile
    from ocrtune.pretraining.student import build_processor

    processor, profile = build_processor(), StudentProfile(prompts={"ocr": ""}, max_new_tokens=120)
    model.eval()
    lines, edits = sorted(lines, key=lambda line: line.pixels.shape[1]), 0
    for start in range(0, len(lines), 16):
        batch = lines[start : start + 16]
        texts = generate_texts(model, processor, [Image.fromarray(line.pixels).convert("RGB") for line in batch], profile)
        edits += sum(Levenshtein.distance(text, line.text) for (text, _), line in zip(texts, batch, strict=True))
    model.train()
    return edits / sum(len(line.text) for line in lines)


def find_sources(fonts: Path | None, words: Path | None):
    """Return the typeface families to train on, those to test on, and the writer of lines."""
    from ocrtune.pretraining.line_text import LineWriter, fit_words
    from ocrtune.pretraining.typefaces import seen_typefaces, typefaces_in, unseen_typefaces

    writer = LineWriter.from_dictionaries() if words is None else LineWriter(
        {"words": fit_words(words.read_text(encoding="utf-8").split())}, {"words": 1})
    if fonts is not None:
        own = list(typefaces_in(fonts).values())
        return own, {"seen": own}, writer
    seen = list(seen_typefaces().values())
    return seen, {"seen": seen, "unseen": list(unseen_typefaces().values())}, writer


def digest_of(values) -> str:
    return hashlib.sha256(json.dumps(values, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def lock(folder: Path):
    """Keep a folder for this process alone; one that another holds is a `ValueError`."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another run trains here; wait for it, or name another --out") from None
        yield


def draw_curves(log: Path, picture: Path, chunk_lines: int) -> None:
    """Draw both losses over the lines seen, from DVCLive's tables, as a PNG."""
    import csv

    from matplotlib.figure import Figure

    axis = (figure := Figure(figsize=(7, 3.5), layout="constrained")).subplots()
    for name in ("language", "alignment"):
        with (log / f"plots/metrics/loss/{name}.tsv").open() as file:
            # A resumed run logs some chunks twice: the last word counts.
            rows = sorted({int(row["step"]): float(row[name]) for row in csv.DictReader(file, delimiter="\t")}.items())
        axis.plot([(step + 1) * chunk_lines / 1000 for step, _ in rows], [loss for _, loss in rows], label=f"{name} loss")
    axis.set(xlabel="thousand lines", ylabel="nats a character (or column)", yscale="log")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(picture, metadata={"Software": None})


def run(training, chunks, tests: dict[str, list], workers: int, checkpoint_s: float, evaluate_s: float) -> None:
    """Train on the chunks, with curves in the training's folder; reads `tests` and saves as time goes by, and at the end."""
    import torch
    from dvclive import Live

    loader = torch.utils.data.DataLoader(chunks, batch_size=None, num_workers=workers, prefetch_factor=2 if workers else None)
    began = saved = tested = time.monotonic()
    with Live(str(training.folder / "log"), resume=True, dvcyaml=None, save_dvc_exp=False, report=None) as live:
        for chunk, batches in loader:
            losses = [training.train_step(batch, (chunk + number / len(batches)) * chunks.size / chunks.num_lines)
                      for number, batch in enumerate(batches)]
            training.chunk = live.step = chunk
            language, aligned = (sum(part) / len(losses) for part in zip(*losses, strict=True))
            live.log_metric("loss/language", language)
            live.log_metric("loss/alignment", aligned)
            print(f"{(chunk + 1) * chunks.size:>9,} lines  step {training.step:>6,}  loss {language:.3f} + {aligned:.3f}  "
                  f"{time.monotonic() - began:,.0f} s", flush=True)
            if time.monotonic() - tested > evaluate_s:
                for name, test in tests.items():
                    live.log_metric(f"cer/{name}", measure_cer(training.model, test))
                tested = time.monotonic()
            if time.monotonic() - saved > checkpoint_s:
                training.save()
                saved = time.monotonic()
            live.next_step()
    training.save()


def main(
    out: Annotated[Path, typer.Option(help="folder for checkpoint, log and exported model")] = Path("build/student"),
    lines: Annotated[int, typer.Option(help="how many lines to train on, a multiple of --chunk")] = 112_640,
    fonts: Annotated[Path | None, typer.Option(help="folder of .ttf and .otf files to use instead of the system's")] = None,
    words: Annotated[Path | None, typer.Option(help="text file of words to use instead of the system's dictionaries")] = None,
    seed: Annotated[int, typer.Option()] = 0,
    matrix_lr: Annotated[float, typer.Option(help="Muon's learning rate")] = 3e-3,
    other_lr: Annotated[float, typer.Option(help="AdamW's learning rate")] = 2e-3,
    growth: Annotated[float, typer.Option(help="share of the run in which lines grow to full length")] = 0.6,
    budget: Annotated[int, typer.Option(help="vision patches a batch")] = 5000,
    chunk: Annotated[int, typer.Option(help="lines rendered and dealt to batches together; a checkpoint falls between two chunks")] = 2048,
    threads: Annotated[int, typer.Option(help="CPU threads for training")] = 2,
    workers: Annotated[int, typer.Option(help="processes that render")] = 1,
    checkpoint_s: Annotated[float, typer.Option(help="seconds between checkpoints, taken at the next end of a chunk")] = 120,
    evaluate_s: Annotated[float, typer.Option(help="seconds between readings of held-out lines, at the next end of a chunk")] = 600,
    bf16: Annotated[bool, typer.Option(help="matrix products in bfloat16; slow on CPUs without it")] = True,
) -> None:
    """Train, or go on training, and export the student."""
    from ocrtune.params.load import report_errors

    with report_errors():
        if chunk < 1 or lines < chunk or lines % chunk:
            raise ValueError(f"--lines {lines}: expected a multiple of --chunk {chunk}, such as {max(1, lines // max(1, chunk)) * chunk}")
        families, tests, writer = find_sources(fonts, words)

        import torch

        from ocrtune.pretraining.training import FULL_LENGTH, Chunks, Pretraining

        torch.set_num_threads(threads)
        faces = [(face.family, Path(face.path)) for family in families for face in family]
        plan = {"lines": lines, "seed": seed, "matrix-lr": matrix_lr, "other-lr": other_lr, "growth": growth, "budget": budget,
                "chunk": chunk, "bf16": bf16, "words": digest_of([writer.words, writer.weights]),
                "fonts": digest_of([[family, file.name, file.stat().st_size] for family, file in faces])}
        with lock(out):
            training = Pretraining(out, "cuda" if torch.cuda.is_available() else "cpu", seed, matrix_lr, other_lr, bf16, plan)
            if training.resume():
                print(f"goes on after {(training.chunk + 1) * chunk:,} of {lines:,} lines, step {training.step:,}", flush=True)
            tests = {name: held_out(test, writer, FULL_LENGTH - 4) for name, test in tests.items()}
            chunks = Chunks(training.chunk + 1, lines, seed, growth, budget, families, writer, chunk)
            run(training, chunks, tests, workers, checkpoint_s, evaluate_s)
            draw_curves(out / "log", out / "loss.png", chunk)
            print("CER on held-out lines of the recipe's own kind, random characters and loose crops among them (for a model card's sets "
                  "see tools.make_lines and tools.measure):")
            for name, test in tests.items():
                print(f"{name} typefaces: {measure_cer(training.model, test):.4f}")


if __name__ == "__main__":
    typer.run(main)
