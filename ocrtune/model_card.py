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

from ocrtune.rows import write_text

LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE")


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
    found = re.search(r"^license(?:_name)?:\s*(\S+)", text, re.MULTILINE) or re.search(r"\*\*Licen[cs]e\*\*:\s*([\w.+-]*\w)", text)
    if found:
        return found[1]
    present = [name for name in LICENCE_FILES if (base / name).is_file()]
    return f"see {present[0]} of the base" if present else "unknown: the base's files state none; ask its makers before you pass this on"


def describe_rows(rows: Sequence[Mapping]) -> str:
    """Return how many images of how many documents, and who wrote their texts."""
    origins = sorted({str(row.get("origin", "teacher")) for row in rows})
    counts = ", ".join(f"{sum(row.get('origin', 'teacher') == origin for row in rows)} by {origin}" for origin in origins)
    return f"{len(rows)} images of {len({row.get('doc_id') for row in rows})} documents" + (f" (texts: {counts})" if rows else "")


def write_card(file: Path, base: Path, adapter: Path, contract: Mapping, splits: Mapping[str, Sequence[Mapping]], gate: Mapping,
               serving: str) -> None:
    """Write the card; `contract` is the adapter's inference.json, `gate` are merge's figures, `splits` the rows of train and val.

    `serving` is the command that serves the model.
    """
    settings = adapter / "adapter_config.json"
    lora = json.loads(settings.read_bytes()) if settings.is_file() else {}
    how = f"LoRA, rank {lora['r']}, alpha {lora['lora_alpha']}" if lora else "all weights of the adapted towers"
    digest, licence = dvc_hash(adapter), licence_of(base)
    asked = json.dumps({name: contract.get(name) for name in ("prompt", "image", "decoding", "postprocess")}, ensure_ascii=False)
    versions = ", ".join(f"{name} {number}" for name, number in contract.get("versions", {}).items())
    write_text(file, f"""---
license: {licence if " " not in licence else "other"}
pipeline_tag: image-text-to-text
---
# {contract["student"]}, fine-tuned

- **Base**: `{contract["student"]}`, weights {contract["base_sha256"][:16]} (SHA-256 over its files).
- **Licence**: that of the base: {licence}.
- **Trained on**: {describe_rows(splits["train"])}; judged in training by {describe_rows(splits["val"])}.
- **Training**: {how}; towers adapted: {contract["mode"]}. {versions}.
- **Merged** into {gate["dtype"]}: {gate["changed_tensors"]} tensors changed; on {gate["num_pages"]} pages {gate["equal_texts"]} texts equal
  to the adapter's, logits within {gate["logit_difference"]:.1e}.
- **Ask it as it was trained**: `{asked}`; the same stands in inference.json.

```bash
{serving}
```

Which commit made this model, with which data, parameters and scores:

```bash
git log --oneline -S {digest} -- dvc.lock
git show <commit>:metrics/compare.md
```
""")
