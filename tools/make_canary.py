"""Write data/canary: lines of clean print, read by every evaluated model to see what it forgot.

    python -m tools.make_canary

Typefaces are among those that the embedded student was trained on; the texts are not.
"""

import hashlib
import io
import random
from pathlib import Path
from typing import Annotated

import typer


def make_canary(out: Path, num_lines: int, max_chars: int) -> None:
    """Write `num_lines` images and canary.jsonl; the same files each time where the same fonts are installed."""
    from PIL import Image

    from ocrtune.line_image import render_line
    from ocrtune.line_text import random_prose
    from ocrtune.rows import write_rows
    from ocrtune.typefaces import seen_typefaces

    families = list(seen_typefaces().values())
    rng, rows = random.Random("canary"), []
    (out / "images").mkdir(parents=True, exist_ok=True)
    while len(rows) < num_lines:
        typeface = rng.choice(rng.choice(families))
        text = random_prose(rng, typeface.characters, rng.randint(12, max_chars))
        try:
            line = render_line(text, typeface, rng, clean=True)
        except ValueError:  # too wide
            continue
        buffer = io.BytesIO()
        Image.fromarray(line.pixels).save(buffer, "PNG", optimize=True)
        page_id = f"canary_l{len(rows) + 1:03d}"
        (out / "images" / f"{page_id}.png").write_bytes(buffer.getvalue())
        rows.append({"page_id": page_id, "image": f"images/{page_id}.png", "text": text,
                     "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()})
    write_rows(out / "canary.jsonl", rows)
    print(f"{out}: {len(rows)} lines")


def main(
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("data/canary"),
    lines: Annotated[int, typer.Option(help="how many lines")] = 120,
    max_chars: Annotated[int, typer.Option(help="longest line")] = 60,
) -> None:
    """Write the canary set."""
    make_canary(out, lines, max_chars)


if __name__ == "__main__":
    typer.run(main)
