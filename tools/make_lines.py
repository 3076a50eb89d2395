"""Write sets of rendered lines that the student is measured on, and that training never draws.

    python -m tools.make_lines                                        # data/canary: clean print, to see what was forgotten
    python -m tools.make_lines --lines 300 --out data/rehearsal       # clean print, to mix into training
    python -m tools.make_lines --worn --out tests/lines/seen
    python -m tools.make_lines --worn --unseen --out tests/lines/unseen
    python -m tools.make_lines --worn --loose --lines 60 --out tests/lines/loose
    python -m tools.make_lines --worn --min-chars 61 --max-chars 84 --lines 60 --out tests/lines/long

Without --unseen, typefaces are among those that the student was trained on; the texts are not.
"""

import hashlib
import io
import random
from pathlib import Path
from typing import Annotated

import typer


def make_lines(out: Path, num_lines: int, min_chars: int, max_chars: int, worn: bool, unseen: bool, loose: bool) -> None:
    """Write `num_lines` images and their rows; the same files each time where the same fonts and dictionaries are installed."""
    from PIL import Image

    from ocrtune.pretraining.line_image import render_line
    from ocrtune.pretraining.line_text import LineWriter
    from ocrtune.pretraining.typefaces import seen_typefaces, unseen_typefaces
    from ocrtune.rows import write_rows

    families = list((unseen_typefaces() if unseen else seen_typefaces()).values())
    writer, rng, rows = LineWriter.from_dictionaries(), random.Random(f"lines:{out.name}"), []
    (out / "images").mkdir(parents=True, exist_ok=True)
    while len(rows) < num_lines:
        typeface = rng.choice(rng.choice(families))
        text = writer.prose(rng, typeface.characters, rng.randint(min_chars, max_chars))
        try:
            line = render_line(text, typeface, rng, clean=not worn, loose=float(loose))
        except ValueError:  # too wide
            continue
        buffer = io.BytesIO()
        Image.fromarray(line.pixels).save(buffer, "PNG", optimize=True)
        page_id = f"{out.name}_l{len(rows) + 1:03d}"
        (out / "images" / f"{page_id}.png").write_bytes(buffer.getvalue())
        rows.append({"page_id": page_id, "image": f"images/{page_id}.png", "text": text,
                     "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()})
    write_rows(out / f"{out.name}.jsonl", rows)
    print(f"{out}: {len(rows)} lines")


def main(
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("data/canary"),
    lines: Annotated[int, typer.Option(help="how many lines")] = 120,
    min_chars: Annotated[int, typer.Option(help="shortest line")] = 12,
    max_chars: Annotated[int, typer.Option(help="longest line")] = 60,
    worn: Annotated[bool, typer.Option(help="as scanned: skewed, blurred, noisy")] = False,
    loose: Annotated[bool, typer.Option(help="with room, neighbouring lines and ragged cuts around")] = False,
    unseen: Annotated[bool, typer.Option(help="typefaces never trained on")] = False,
) -> None:
    """Write a set of rendered lines."""
    make_lines(out, lines, min_chars, max_chars, worn, unseen, loose)


if __name__ == "__main__":
    typer.run(main)
