"""Train the embedded student from nothing, on text lines rendered as they are needed.

    python -m tools.pretrain --out build/student --lines 1000000

Line `i` is a function of the seed and `i` alone, so a run killed at any moment goes on from its last
checkpoint with the very lines it would have seen. Short lines come first, then ever longer ones.
Beside the language-model loss stands an alignment loss: which character stands in which 4 px column.
The renderer knows, so the vision tower learns letters in minutes; its head is dropped on export.
"""

import random
import time
from pathlib import Path
from typing import Annotated

import typer

CHUNK = 2048  # lines rendered, sorted by width and batched together; a checkpoint falls between chunks
SLOTS = 4  # alignment columns a token: 4 px each
FULL_LENGTH = 88  # characters
DECAY = 0.30  # share of the run in which the learning rate falls to zero


def length_limit(line: int, num_lines: int, growth: float) -> int:
    """Return how many characters line number `line` may have: 10 at first, all after `growth` of the run."""
    progress = min(1.0, max(0.0, line / num_lines - 0.05) / max(growth, 1e-9))
    return round(10 + (FULL_LENGTH - 10) * progress)


def render_chunk(chunk: int, seed: int, num_lines: int, growth: float, families: list) -> list:
    """Return the rendered lines of one chunk."""
    from ocrtune.line_image import render_line
    from ocrtune.line_text import random_line

    lines = []
    for index in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = random.Random(f"{seed}:{index}")
        typeface = rng.choice(rng.choice(families))
        limit = length_limit(index, num_lines, growth)
        # Long and short lines alike: half the draws take any length, half the upper half.
        text = random_line(rng, typeface.characters, limit // 2 if rng.random() < 0.5 else 1, limit)
        try:
            lines.append(render_line(text, typeface, rng))
        except ValueError:
            continue
    return lines


def collate(lines: list):
    """Return pixels (n, 32, width) uint8, ids (n, t), labels (n, t) and alignment targets (n, columns)."""
    import numpy as np
    import torch

    from ocrtune.student import BOS, EOS, PAD, encode

    width = lines[0].pixels.shape[1]
    columns, step = width // 16 * SLOTS, 16 // SLOTS
    texts = [encode(line.text) for line in lines]
    longest = max(map(len, texts)) + 1
    ids = torch.full((len(lines), longest), PAD)
    labels = torch.full((len(lines), longest), -100)
    alignment = torch.zeros((len(lines), columns), dtype=torch.long)
    for row, (line, tokens) in enumerate(zip(lines, texts, strict=True)):
        ids[row, : len(tokens) + 1] = torch.tensor([BOS, *tokens])
        labels[row, : len(tokens) + 1] = torch.tensor([*tokens, EOS])
        for token, centre in zip(tokens, line.centres, strict=True):
            slot = min(max(int(centre // step), 0), columns - 1)
            if alignment[row, slot] and slot + 1 < columns:
                slot += 1
            alignment[row, slot] = token
    return torch.from_numpy(np.stack([line.pixels for line in lines])), ids, labels, alignment


class Chunks:
    """A dataset of chunks; each item is a shuffled list of batches of lines of one width."""

    def __init__(self, first: int, last: int, seed: int, num_lines: int, growth: float, budget: int):
        from ocrtune.typefaces import seen_typefaces

        self.families = list(seen_typefaces().values())
        self.first, self.last, self.settings, self.budget = first, last, (seed, num_lines, growth), budget

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, item: int):
        if item >= len(self):
            raise IndexError(item)
        chunk = self.first + item
        by_width: dict[int, list] = {}
        for line in render_chunk(chunk, *self.settings, self.families):
            by_width.setdefault(line.pixels.shape[1], []).append(line)
        batches = []
        for width, lines in by_width.items():
            size = max(1, self.budget // (width // 2))  # a line of `width` px has width / 2 patches
            batches += [collate(lines[at : at + size]) for at in range(0, len(lines), size)]
        random.Random(f"batches:{chunk}").shuffle(batches)
        return chunk, batches


def losses(model, head, batch, device):
    """Return the language-model loss and the alignment loss of a batch."""
    import torch
    from torch.nn.functional import cross_entropy

    pixels, ids, labels, alignment = (part.to(device) for part in batch)
    count, height, width = pixels.shape
    pixels = ((pixels.float() / 255 - 0.5) / 0.5)[:, None].expand(-1, 3, -1, -1)
    vision = torch.stack(model.model.get_image_features(pixels, image_sizes=[(height, width)] * count).pooler_output)
    text = model.get_input_embeddings()(ids)
    hidden = model.model.language_model(inputs_embeds=torch.cat([vision.to(text.dtype), text], 1), use_cache=False).last_hidden_state
    logits = model.lm_head(hidden[:, vision.shape[1] :])
    language = cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100)

    rows = height // 16
    grid = vision.view(count, rows, width // 16, -1).transpose(1, 2).flatten(2)
    columns = head(grid).view(count * width // 16 * SLOTS, -1).float()
    target = alignment.flatten()
    weight = torch.where(target == 0, 0.3, 1.0)
    aligned = (cross_entropy(columns, target, reduction="none") * weight).sum() / weight.sum()
    return language, aligned


def build_optimizers(model, head, matrix_lr: float, other_lr: float) -> list:
    """Return Muon for the matrices inside the towers and AdamW for embeddings, norms and the alignment head."""
    import torch

    inside = {name: weight for name, weight in model.named_parameters() if weight.ndim == 2 and "embed" not in name and "lm_head" not in name}
    outside = [weight for name, weight in model.named_parameters() if name not in inside] + list(head.parameters())
    return [
        torch.optim.Muon(inside.values(), lr=matrix_lr, weight_decay=0.01, ns_steps=4, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(outside, lr=other_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def held_out(num_lines: int, seen: bool, max_chars: int) -> list:
    """Return lines that training never draws, in seen or unseen typefaces; the same ones each time."""
    from ocrtune.line_image import render_line
    from ocrtune.line_text import random_line
    from ocrtune.typefaces import seen_typefaces, unseen_typefaces

    families = list((seen_typefaces() if seen else unseen_typefaces()).values())
    lines, rng = [], random.Random(f"held out:{seen}:{max_chars}")
    while len(lines) < num_lines:
        typeface = rng.choice(rng.choice(families))
        text = random_line(rng, typeface.characters, 1, max_chars)
        try:
            lines.append(render_line(text, typeface, rng))
        except ValueError:
            continue
    return lines


def read_lines(model, processor, lines: list, batch_size: int = 16) -> list[str]:
    """Return the model's readings of rendered lines, through processor and generate as every user's."""
    import torch
    from PIL import Image

    order = sorted(range(len(lines)), key=lambda index: lines[index].pixels.shape[1])
    prompt = processor.apply_chat_template([{"role": "user", "content": [{"type": "image"}]}], tokenize=False, add_generation_prompt=True)
    texts = [""] * len(lines)
    model.eval()
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        images = [[Image.fromarray(lines[index].pixels).convert("RGB")] for index in batch]
        inputs = processor(images=images, text=[prompt] * len(batch), padding=True, return_tensors="pt").to(model.device)
        with torch.no_grad():
            tokens = model.generate(**inputs, do_sample=False, max_new_tokens=100)
        for index, text in zip(batch, processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True), strict=True):
            texts[index] = text
    model.train()
    return texts


def corpus_cer(texts: list[str], lines: list) -> float:
    """Return all edits over all reference characters."""
    from rapidfuzz.distance import Levenshtein

    edits = sum(Levenshtein.distance(text, line.text) for text, line in zip(texts, lines, strict=True))
    return edits / sum(len(line.text) for line in lines)


def export(model, folder: Path) -> None:
    """Write weights (fp16), configuration and processor as `from_pretrained` reads them."""
    import copy

    from ocrtune.student import build_processor

    half = copy.deepcopy(model).cpu().half()
    half.config.vision_config._attn_implementation = None
    half.save_pretrained(folder)
    build_processor().save_pretrained(folder)


def main(
    out: Annotated[Path, typer.Option(help="folder for checkpoint, log and exported model")] = Path("build/student"),
    lines: Annotated[int, typer.Option(help="how many lines to train on")] = 1_000_000,
    seed: Annotated[int, typer.Option()] = 0,
    matrix_lr: Annotated[float, typer.Option(help="Muon's learning rate")] = 3e-3,
    other_lr: Annotated[float, typer.Option(help="AdamW's learning rate")] = 2e-3,
    growth: Annotated[float, typer.Option(help="share of the run in which lines grow to full length")] = 0.25,
    budget: Annotated[int, typer.Option(help="vision patches a batch")] = 6000,
    threads: Annotated[int, typer.Option(help="CPU threads for training, beside one that renders")] = 2,
    workers: Annotated[int, typer.Option(help="processes that render")] = 1,
    checkpoint_s: Annotated[float, typer.Option(help="seconds between checkpoints")] = 120,
    evaluate_s: Annotated[float, typer.Option(help="seconds between readings of held-out lines")] = 600,
    bf16: Annotated[bool, typer.Option(help="matrix products in bfloat16")] = True,
) -> None:
    """Train, or go on training, and export the student."""
    import torch
    from dvclive import Live

    from ocrtune.packed_attention import use_packed_attention
    from ocrtune.student import build_model, build_processor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    model = build_model().to(device)
    use_packed_attention(model)
    vocabulary = model.config.text_config.vocab_size
    head = torch.nn.Linear(2 * model.config.text_config.hidden_size, SLOTS * vocabulary).to(device)
    optimizers = build_optimizers(model, head, matrix_lr, other_lr)
    rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    saved, chunk, step = out / "checkpoint.pt", -1, 0
    if saved.exists():
        state = torch.load(saved, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        head.load_state_dict(state["head"])
        for optimizer, tensors in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(tensors)
        chunk, step = state["chunk"], state["step"]
        print(f"goes on after {(chunk + 1) * CHUNK:,} lines, step {step:,}")
    processor, tests = build_processor(), {}
    for name, seen in (("seen", True), ("unseen", False)):
        tests[name] = held_out(96, seen, FULL_LENGTH - 4)

    def save() -> None:
        partial = saved.with_suffix(".partial")
        torch.save({"model": model.state_dict(), "head": head.state_dict(), "chunk": chunk, "step": step,
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers]}, partial)
        partial.replace(saved)
        export(model, out / "model")

    chunks = torch.utils.data.DataLoader(
        Chunks(chunk + 1, lines // CHUNK, seed, lines, growth, budget), batch_size=None, num_workers=workers, prefetch_factor=2 if workers else None
    )
    with Live(str(out / "log"), resume=True, dvcyaml=None, save_dvc_exp=False, report=None) as live:
        began, last_save, last_test, total, count = time.monotonic(), time.monotonic(), time.monotonic(), [0.0, 0.0], 0
        for chunk, batches in chunks:
            for number, batch in enumerate(batches):
                progress = (chunk * CHUNK + number / len(batches) * CHUNK) / lines
                scale = min(1.0, (step + 1) / 60, max(0.005, (1 - progress) / DECAY))
                for group, rate in zip((group for optimizer in optimizers for group in optimizer.param_groups), rates, strict=True):
                    group["lr"] = rate * scale
                with torch.autocast(device, torch.bfloat16, enabled=bf16):
                    language, aligned = losses(model, head, batch, device)
                (language + aligned).backward()
                torch.nn.utils.clip_grad_norm_([*model.parameters(), *head.parameters()], 1.0)
                for optimizer in optimizers:
                    optimizer.step()
                    optimizer.zero_grad(set_to_none=True)
                step += 1
                total = [total[0] + language.item(), total[1] + aligned.item()]
                count += 1
            now = time.monotonic()
            live.step = chunk
            live.log_metric("loss/language", total[0] / count)
            live.log_metric("loss/alignment", total[1] / count)
            print(f"{(chunk + 1) * CHUNK:>9,} lines  step {step:>6,}  loss {total[0] / count:.3f} + {total[1] / count:.3f}  {now - began:,.0f} s", flush=True)
            total, count = [0.0, 0.0], 0
            if now - last_test > evaluate_s:
                for name, test in tests.items():
                    cer = corpus_cer(read_lines(model, processor, test), test)
                    live.log_metric(f"cer/{name}", cer)
                    print(f"          CER {name} {cer:.4f}", flush=True)
                last_test = time.monotonic()
            live.next_step()
            if now - last_save > checkpoint_s:
                save()
                last_save = time.monotonic()
    save()
    for name, test in tests.items():
        print(f"CER {name} {corpus_cer(read_lines(model, processor, test), test):.4f}")


if __name__ == "__main__":
    typer.run(main)
