"""Write the card of a merged model: what it came from, what it learnt on, how it is asked, under which licence.

A card lies among the model's files, which DVC tracks: no clock and no commit may stand in it, or the same
training would give other bytes. It names the adapter's hash instead, as dvc.lock does, and one git
command finds by that the commit, and with it data, parameters and scores.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ocrtune.models.downloads import origin_of
from ocrtune.rows import write_text

LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")
HUB_LICENCES = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0", "gemma")


def dvc_hash(folder: Path) -> str:
    """Return the hash under which dvc.lock names a folder: MD5 over the JSON list of its files' hashes, and `.dir`.

    As dvc-data 3.18 makes it (`dvc_data.hashfile.tree.Tree.as_bytes`).
    """
    entries = [{"md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(), "relpath": path.relative_to(folder).as_posix()}
               for path in folder.rglob("*") if path.is_file()]
    listing = json.dumps(sorted(entries, key=lambda entry: entry["relpath"]), sort_keys=True)
    return f"{hashlib.md5(listing.encode(), usedforsecurity=False).hexdigest()}.dir"


def licence_of(base: Path) -> str:
    """Return the licence that a base's own files state: its card's header or words, or a licence file; else that none does."""
    card = base / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    for pattern in (r"^license_name:\s*(\S+)", r"^license:\s*(?!other\b)(\S+)", r"\*\*Licen[cs]e\*\*:\s*([\w.+-]*\w)",
                    r"^Licence of the weights: (.+?), as their publisher states it"):
        if found := re.search(pattern, text, re.MULTILINE):
            return found[1]
    present = [name for name in LICENCE_FILES if (base / name).is_file()]
    return f"see {present[0]} of the base" if present else "unknown: the base's files state none; ask its makers before you pass this on"


def header_of(licence: str, origin: str | None) -> str:
    """Return the card's header, as model hubs read it; they know licences by lower-case names, and others as `other`."""
    named = licence.lower() in HUB_LICENCES
    lines = [f"license: {licence.lower() if named else 'other'}"]
    if not named and not licence.startswith(("see ", "unknown")):
        lines.append(f"license_name: {re.sub('[^a-z0-9.]+', '-', licence.lower())}")
    if origin:
        lines.append(f"base_model: {origin}")
    return "\n".join(["---", *lines, "pipeline_tag: image-text-to-text", "---"])


def describe_rows(rows: Sequence[Mapping]) -> str:
    """Return how many images of how many documents, and who wrote their texts."""
    origins = sorted({str(row.get("origin", "teacher")) for row in rows})
    counts = ", ".join(f"{sum(row.get('origin', 'teacher') == origin for row in rows)} {origin}" for origin in origins)
    return f"{len(rows)} images of {len({row.get('doc_id') for row in rows})} documents" + (f" (texts: {counts})" if rows else "")


def describe_training(training: Mapping) -> tuple[str, str, str]:
    """Return, of a training's record (`inference.json`), the clean print it mixed in, how it learnt, and a line on its best reading."""
    if not training:
        return "", "", ""
    clean = f", and {training['clean_print']} lines of clean print" if training["clean_print"] else ""
    learnt = (f"; {training['steps']} steps of {training['examples_a_step']} examples, learning rate {training['learning_rate']:g} "
              f"({training['schedule']}), seed {training['seed']}")
    judged = (f"- **Validation**: CER {training['best_val_cer']:.2%} on pages not trained on, after step {training['best_step']}, "
              "whose weights these are.\n" if "best_val_cer" in training else "")
    return clean, learnt, judged


def write_card(file: Path, base: Path, adapter: Path, contract: Mapping, splits: Mapping[str, Sequence[Mapping]], gate: Mapping,
               serving: str) -> None:
    """Write the card; `contract` is the adapter's inference.json, `gate` are merge's figures, `splits` the rows of train and val.

    `serving` is the command that serves the model.
    """
    settings = adapter / "adapter_config.json"
    lora = json.loads(settings.read_bytes()) if settings.is_file() else {}
    how = f"LoRA, rank {lora['r']}, alpha {lora['lora_alpha']}" if lora else "all weights of the adapted towers"
    digest, licence, origin = dvc_hash(adapter), licence_of(base), origin_of(base)
    asked = json.dumps({name: contract.get(name) for name in ("prompt", "image", "decoding", "postprocess")}, ensure_ascii=False)
    versions = ", ".join(f"{name} {number}" for name, number in contract.get("versions", {}).items())
    clean, learnt, judged = describe_training(contract.get("training", {}))
    height = contract.get("image", {}).get("min_height")
    low = f"\n  Plain transformers doesn't know `min_height`: there, scale lower images up to {height} px yourself." if height else ""
    agreed = f"on {gate['num_pages']} pages {gate['equal_texts']} texts equal"
    fetched = f"{origin[0]} at commit {origin[1]}, " if origin else ""
    write_text(file, f"""{header_of(licence, origin[0] if origin else None)}
# {contract["student"]}, fine-tuned

- **Base**: `{contract["student"]}`: {fetched}weights {contract["base_sha256"][:16]} (SHA-256 over its files).
- **Licence**: that of the base: {licence}.
- **Trained on**: {describe_rows(splits["train"])}{clean}; judged in training by {describe_rows(splits["val"])}.
- **Training**: {how}; towers adapted: {contract["mode"]}{learnt}. {versions}.
{judged}- **Merged** into {gate["dtype"]}: {gate["changed_tensors"]} tensors changed; {agreed}
  to the adapter's, logits within {gate["logit_difference"]:.1e}.
- **Ask it as it was trained**: `{asked}`; the same stands in inference.json.{low}

```bash
{serving}
```

Which commit made this model, with which data, parameters and scores on the test split:

```bash
git log --all --oneline -S {digest} -- dvc.lock
git show <commit>:metrics/compare.md
git show <commit>:params.yaml
```
""")
