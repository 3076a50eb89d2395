"""Score pages beside jiwer and dinglehopper, draw bootstraps, and score many stored predictions anew at flat memory.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install jiwer==4.0.0 dinglehopper==0.11.0 'multimethod<2'
    python -m benchmarks.scoring --peers /tmp/peers/bin/python

The peers have an environment of their own, for they want other versions than ours; without it ours is timed alone. Rounds
of all programs take turns, the best of each counts. What they count is compared with what we count.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
WEIGHTS = [120, 90, 80, 75, 70, 67, 63, 61, 60, 42, 40, 28, 28, 24, 22, 24, 23, 20, 19, 10, 15, 20, 8, 2, 1, 1]
ERRORS = (0.02, 0.05, 0.2)  # shares of characters that are misread
SLOW_PAGES = 40  # that dinglehopper gets of each set


def make_pairs(count: int, chars: int, rate: float) -> list[tuple[str, str]]:
    """Return references of so many characters, in made-up words, and predictions with this share of them misread."""
    chance = random.Random(f"{count} {rate}")
    words = ["".join(chance.choices(LETTERS, weights=WEIGHTS, k=chance.randint(1, 11))) for _ in range(20_000)]

    def misread(char: str) -> str:
        place = chance.random() / rate
        return char if place > 1 else chance.choice("etaoin ,.") if place < 0.5 else "" if place < 0.75 else char + chance.choice("etaoin")

    pairs = []
    for _ in range(count):
        text = "".join(word + chance.choice([" "] * 12 + [", ", ". ", "\n"]) for word in chance.choices(words, k=chars // 4))[:chars]
        pairs.append((text, "".join(map(misread, text))))
    return pairs


def count_alone(reference: str, prediction: str) -> int:
    """Count edits of characters and words, and nothing else: jiwer's work."""
    from ocrtune.scoring.edits import count_edits, count_numbered_edits, number_units
    from ocrtune.texts.words import find_words

    edits = count_edits(reference, prediction)
    count_numbered_edits(*number_units(find_words(reference), find_words(prediction)))
    return edits.total


def score(reference: str, prediction: str, unit: str) -> dict:
    """Make a page's whole row, as evaluate does: normalizer, edits, words, F1, loops."""
    from ocrtune.scoring.scores import score_page

    return score_page(reference, prediction, "nfc_ws", unit)


def time_ours(pairs: list, work, *options) -> float:
    """Return the CPU seconds that some work takes for a pair: others on the machine count less."""
    work(*pairs[0], *options)
    began = time.process_time()
    for pair in pairs:
        work(*pair, *options)
    return (time.process_time() - began) / len(pairs)


def time_peers(python: Path, pairs: list, folder: Path) -> dict:
    """Return what the peers took and found."""
    path = folder / "pairs.json"
    path.write_text(json.dumps(pairs), encoding="utf-8")
    command = [python, Path(__file__).with_name("scoring_peers.py"), path, str(SLOW_PAGES)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def check_found(pairs: list, found: dict) -> None:
    """Hold the peers' figures to ours: edits of characters, and rates of grapheme clusters."""
    if "jiwer" in found:  # it drops blanks at the ends
        assert found["jiwer"]["found"] == [count_alone(one.strip(), two.strip()) for one, two in pairs], "jiwer counts otherwise"
    for (one, two), rate in zip(pairs, found.get("dinglehopper", {"found": []})["found"], strict=False):
        ours = score(one, two, "grapheme")["cer"]
        assert abs(ours - rate) < 2e-3, f"dinglehopper has {rate}, ours is {ours}"  # it keeps the line breaks


def time_scoring(python: Path | None, count: int, chars: int, rounds: int) -> None:
    """Print milliseconds a page and how many times as long the peers take."""
    for rate in ERRORS:
        pairs = make_pairs(count, chars, rate)
        best: dict[str, float] = {}
        for _ in range(rounds):
            taken = {"counts": time_ours(pairs, count_alone), "row": time_ours(pairs, score, "codepoint"),
                     "clusters": time_ours(pairs, score, "grapheme")}
            if python:
                with tempfile.TemporaryDirectory() as folder:
                    found = time_peers(python, pairs, Path(folder))
                check_found(pairs, found)
                taken |= {name: values["seconds"] for name, values in found.items()}
            best = {name: min(seconds, best.get(name, seconds)) for name, seconds in taken.items()}
        shown = {name: 1000 * seconds for name, seconds in best.items()}
        print(f"{count:,} pages of {chars:,} characters, {rate:.0%} misread: counts {shown['counts']:.2f} ms a page, whole rows "
              f"{shown['row']:.2f} ms, of grapheme clusters {shown['clusters']:.2f} ms", flush=True)
        if "jiwer" in best:
            print(f"  jiwer's counts {shown['jiwer']:.2f} ms: {best['jiwer'] / best['counts']:.1f} times as long as ours, "
                  f"{best['jiwer'] / best['row']:.1f} times as long as whole rows")
        if "dinglehopper" in best:
            print(f"  dinglehopper's rates {shown['dinglehopper']:.0f} ms: {best['dinglehopper'] / best['clusters']:.0f} times as long as "
                  "whole rows of clusters")


def time_bootstrap(documents: int, draws: int) -> None:
    """Print the seconds of a bootstrap of two readers, and of the sign flips."""
    import numpy as np

    from ocrtune.comparing.paired import draw_rates, sign_flip_p

    chance = np.random.default_rng(0)
    lengths = chance.integers(500, 5000, documents)
    edits = chance.binomial(lengths[:, None], [0.05, 0.04])
    began = time.perf_counter()
    draw_rates(edits, lengths, draws, 0)
    drawn = time.perf_counter()
    sign_flip_p(edits[:, 0], edits[:, 1], draws, 0)
    print(f"bootstrap of {draws:,} draws over {documents:,} documents, two readers: {drawn - began:.2f} s; "
          f"as many sign flips: {time.perf_counter() - drawn:.2f} s", flush=True)


def write_stored(folder: Path, count: int, pairs: list) -> None:
    """Write so many references and predictions, repeating some texts."""
    with (folder / "test.jsonl").open("w") as references, (folder / "ours.jsonl").open("w") as predictions:
        for number in range(count):
            page, (reference, prediction) = f"d{number // 20:05}_p{number:06}", pairs[number % len(pairs)]
            row = {"page_id": page, "doc_id": page.partition("_")[0], "image": "x.png", "text": reference, "origin": "gold"}
            references.write(json.dumps(row) + "\n")
            predictions.write(json.dumps({"page_id": page, "text": prediction, "finish_reason": "stop"}) + "\n")


def time_rescoring(counts: list[int], chars: int) -> None:
    """Print seconds and largest resident memory of scoring stored predictions anew, in a process of its own."""
    pairs = make_pairs(200, chars, 0.05)
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_stored(folder, count, pairs)
            size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
            began = time.perf_counter()
            process = subprocess.Popen([sys.executable, "-m", "tools.rescore", folder / "ours.jsonl", "--references", folder / "test.jsonl",
                                        "--out", folder / "out"], stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            assert status == 0, "rescore failed"
            seconds = time.perf_counter() - began
            print(f"{count:,} stored predictions of {chars:,} characters ({size:,.0f} MB) scored anew in {seconds:.0f} s, "
                  f"{used.ru_maxrss / 1024:.0f} MiB resident at most", flush=True)


def main(
    peers: Annotated[Path | None, typer.Option(help="a Python that has jiwer and dinglehopper")] = None,
    pages: Annotated[int, typer.Option(help="pairs of pages")] = 1000,
    chars: Annotated[int, typer.Option(help="characters of a page")] = 3000,
    rounds: Annotated[int, typer.Option(help="of which the best counts")] = 3,
    stored: Annotated[list[int] | None, typer.Option(help="stored predictions to score anew; repeat for more")] = None,
) -> None:
    """Print times and ratios."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    time_scoring(peers, pages, chars, rounds)
    time_bootstrap(2000, 10_000)
    time_rescoring(stored or [1000, 10_000, 100_000], chars)


if __name__ == "__main__":
    typer.run(main)
