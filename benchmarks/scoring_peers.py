"""Time jiwer and dinglehopper on pairs of texts, in an environment of their own; `benchmarks.scoring` starts this.

    python benchmarks/scoring_peers.py pairs.json 50

Prints JSON: CPU seconds a page and what was found, by program; those that can't be imported are left out. The second number is how
many pairs dinglehopper gets.
"""

import json
import sys
import time
from pathlib import Path


def run_jiwer(pairs: list) -> dict:
    """Count characters' and words' substitutions, insertions and deletions."""
    import jiwer

    jiwer.process_characters("warm", "worm")
    began, edits = time.process_time(), []
    for reference, prediction in pairs:
        chars, _ = jiwer.process_characters(reference, prediction), jiwer.process_words(reference, prediction)
        edits.append(chars.substitutions + chars.insertions + chars.deletions)
    return {"seconds": (time.process_time() - began) / len(pairs), "found": edits}


def run_dinglehopper(pairs: list) -> dict:
    """Take the rates of characters and words, as its command line does; its report of differences is not asked for."""
    from dinglehopper import character_error_rate_n, word_error_rate_n

    character_error_rate_n("warm", "worm")
    began, rates = time.process_time(), []
    for reference, prediction in pairs:
        (rate, _), _ = character_error_rate_n(reference, prediction), word_error_rate_n(reference, prediction)
        rates.append(rate)
    return {"seconds": (time.process_time() - began) / len(pairs), "found": rates}


def main() -> None:
    pairs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = {}
    for name, run, most in (("jiwer", run_jiwer, len(pairs)), ("dinglehopper", run_dinglehopper, int(sys.argv[2]))):
        try:
            found[name] = run(pairs[:most])
        except ImportError as error:
            print(f"left out: {error}", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
