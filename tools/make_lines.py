"""Write sets of rendered lines that the student is measured on, and that training never draws.

    python -m tools.make_lines                                        # data/canary: clean print, to see what was forgotten
    python -m tools.make_lines --lines 300 --out data/rehearsal       # clean print, to mix into training
    python -m tools.make_lines --worn --out tests/lines/seen
    python -m tools.make_lines --worn --unseen --out tests/lines/unseen
    python -m tools.make_lines --worn --loose --lines 60 --out tests/lines/loose
    python -m tools.make_lines --worn --min-chars 61 --max-chars 84 --lines 60 --out tests/lines/long
    python -m tools.make_lines --worn --language vi --lines 500 --out build/lines/vietnamese
    python -m tools.make_lines --worn --text characters --lines 500 --out build/lines/characters
    python -m tools.make_lines --text recipe --min-chars 1 --max-chars 84 --lines 500 --out build/lines/recipe

Without --unseen, typefaces are among those that the student was trained on; the texts are not. The folder's name is the seed.
Texts: `prose`, words of one language a line; `characters`, without sense; `recipe`, both and crops as loose as in training.
"""

import hashlib
import io
import random
from pathlib import Path
from typing import Annotated, Literal

import typer


def draw_text(writer, rng: random.Random, characters: frozenset[str], length: tuple[int, int], text: str,
              language: str | None) -> tuple[str, str]:
    """Return a line's text, of `length` (shortest, longest) characters, and its language; empty where it has none."""
    from ocrtune.pretraining.line_text import CHARACTERS, random_characters

    if text == "recipe":
        return writer.line(rng, characters, *length), ""
    count = rng.randint(*length)
    if text == "characters":
        return random_characters(rng, [character for character in CHARACTERS[1:] if character in characters], count), ""
    language = language or writer.draw_language(rng)
    return writer.prose(rng, characters, count, language), language


def make_lines(out: Path, num_lines: int, length: tuple[int, int], text: str, language: str | None, worn: bool, unseen: bool,
               loose: float) -> None:
    """Write `num_lines` images and their rows; the same files each time where the same fonts and dictionaries are installed."""
    from PIL import Image

    from ocrtune.pretraining.line_image import render_line
    from ocrtune.pretraining.line_text import LineWriter
    from ocrtune.pretraining.typefaces import seen_typefaces, unseen_typefaces
    from ocrtune.rows import write_rows

    families = list((unseen_typefaces() if unseen else seen_typefaces()).values())
    writer, rng, rows = LineWriter.from_dictionaries(), random.Random(f"lines:{out.name}"), []
    if language and language not in writer.words:
        raise ValueError(f"--language {language}: no such dictionary; there are {', '.join(writer.words)}")
    (out / "images").mkdir(parents=True, exist_ok=True)
    while len(rows) < num_lines:
        typeface = rng.choice(rng.choice(families))
        written, spoken = draw_text(writer, rng, typeface.characters, length, text, language)
        try:
            line = render_line(written, typeface, rng, clean=not worn, loose=loose)
        except ValueError:  # too wide
            continue
        buffer = io.BytesIO()
        Image.fromarray(line.pixels).save(buffer, "PNG", optimize=True)
        page_id = f"{out.name}_l{len(rows) + 1:03d}"
        (out / "images" / f"{page_id}.png").write_bytes(buffer.getvalue())
        rows.append({"page_id": page_id, "image": f"images/{page_id}.png", "text": written, "language": spoken,
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
    text: Annotated[Literal["prose", "characters", "recipe"], typer.Option(help="what is written; recipe: worn, as in training")] = "prose",
    language: Annotated[str | None, typer.Option(help="of prose, e.g. vi; all unless given")] = None,
) -> None:
    """Write a set of rendered lines."""
    from ocrtune.params.load import report_errors
    from ocrtune.pretraining.line_image import LOOSE

    with report_errors():
        if language and text != "prose":
            raise ValueError(f"--language {language}: --text {text} has none; leave one of them out")
        if not 0 < min_chars <= max_chars:
            raise ValueError(f"--min-chars {min_chars} --max-chars {max_chars}: expected 1 <= min <= max")
        room = LOOSE if text == "recipe" and not loose else float(loose)
        make_lines(out, lines, (min_chars, max_chars), text, language, worn or text == "recipe", unseen, room)


if __name__ == "__main__":
    typer.run(main)
