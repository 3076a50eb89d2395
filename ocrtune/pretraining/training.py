"""Teach a student its letters: rendered lines in batches of one width, two losses, a run that can be killed.

Beside the language-model loss stands an alignment loss: which character stands in which 4 px column.
The renderer knows, so the vision tower learns letters in minutes; its head is dropped on export.
"""

import random
from pathlib import Path

CHUNK = 2048  # lines rendered, sorted by width and batched together; a checkpoint falls between chunks
SLOTS = 4  # alignment columns a token: 4 px each
FULL_LENGTH = 88  # characters
DECAY = 0.30  # share of the run in which the learning rate falls to zero
WARMUP = 60  # steps


def length_limit(line: int, num_lines: int, growth: float) -> int:
    """Return how many characters line number `line` may have: 10 at first, all after `growth` of the run."""
    progress = min(1.0, max(0.0, line / num_lines - 0.05) / max(growth, 1e-9))
    return round(10 + (FULL_LENGTH - 10) * progress)


def collate(lines: list):
    """Return pixels (n, 32, width) uint8, ids (n, t), labels (n, t) and alignment targets (n, columns)."""
    import numpy as np
    import torch

    from ocrtune.pretraining.student import BOS, EOS, PAD, encode

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
    """A dataset of chunks; item `i` is (chunk number, shuffled batches of lines of one width).

    Line `n` is a function of the seed and `n` alone. `budget` bounds the vision patches of a batch.
    """

    def __init__(self, first: int, num_lines: int, seed: int, growth: float, budget: int, families: list, writer, size: int = CHUNK):
        self.size = size
        self.first, self.num_lines, self.seed, self.growth, self.budget = first, num_lines, seed, growth, budget
        self.families, self.writer = families, writer

    def __len__(self) -> int:
        return max(0, self.num_lines // self.size - self.first)

    def render(self, chunk: int) -> list:
        from ocrtune.pretraining.line_image import render_line

        lines = []
        for index in range(chunk * self.size, (chunk + 1) * self.size):
            rng = random.Random(f"{self.seed}:{index}")
            typeface = rng.choice(rng.choice(self.families))
            limit = length_limit(index, self.num_lines, self.growth)
            # Long and short lines alike: half the draws take any length, half the upper half.
            text = self.writer.line(rng, typeface.characters, limit // 2 if rng.random() < 0.5 else 1, limit)
            try:
                lines.append(render_line(text, typeface, rng))
            except ValueError:  # too wide
                continue
        return lines

    def __getitem__(self, item: int):
        if item >= len(self):
            raise IndexError(item)
        chunk, by_width, batches = self.first + item, {}, []
        for line in self.render(chunk):
            by_width.setdefault(line.pixels.shape[1], []).append(line)
        for width, lines in by_width.items():
            size = max(1, self.budget // (width // 2))  # a line of `width` px has width / 2 patches
            batches += [collate(lines[at : at + size]) for at in range(0, len(lines), size)]
        random.Random(f"batches:{chunk}").shuffle(batches)
        return chunk, batches


class Pretraining:
    """A student in training: model, alignment head, optimizers, and how far it is.

    `plan` is what else makes the run what it is, by name: numbers and words that its checkpoint keeps and that it goes on with alone.
    """

    def __init__(self, folder: Path, device: str, seed: int, matrix_lr: float, other_lr: float, bf16: bool, plan: dict | None = None):
        import torch

        from ocrtune.models.packed_attention import use_packed_attention
        from ocrtune.pretraining.student import build_model

        torch.manual_seed(seed)
        self.folder, self.device, self.bf16 = folder, device, bf16
        self.plan = plan or {}
        self.chunk, self.step = -1, 0
        self.model = build_model().to(device)
        use_packed_attention(self.model)
        text = self.model.config.text_config
        self.head = torch.nn.Linear(2 * text.hidden_size, SLOTS * text.vocab_size).to(device)
        # Muon for the matrices inside the towers, AdamW for embeddings, norms and the alignment head.
        inside = {name: weight for name, weight in self.model.named_parameters()
                  if weight.ndim == 2 and "embed" not in name and "lm_head" not in name}
        outside = [weight for name, weight in self.model.named_parameters() if name not in inside] + list(self.head.parameters())
        self.optimizers = [
            torch.optim.Muon(inside.values(), lr=matrix_lr, weight_decay=0.01, ns_steps=4, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(outside, lr=other_lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        ]
        self.rates = [matrix_lr, other_lr]

    def losses(self, batch):
        """Return the language-model loss and the alignment loss of a batch from `collate`."""
        import torch
        from torch.nn.functional import cross_entropy

        pixels, ids, labels, alignment = (part.to(self.device) for part in batch)
        count, height, width = pixels.shape
        pixels = ((pixels.float() / 255 - 0.5) / 0.5)[:, None].expand(-1, 3, -1, -1)
        core = self.model.model
        vision = torch.stack(core.get_image_features(pixels, image_sizes=[(height, width)] * count).pooler_output)
        text = self.model.get_input_embeddings()(ids)
        hidden = core.language_model(inputs_embeds=torch.cat([vision.to(text.dtype), text], 1), use_cache=False).last_hidden_state
        logits = self.model.lm_head(hidden[:, vision.shape[1] :])
        language = cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-100)

        grid = vision.view(count, height // 16, width // 16, -1).transpose(1, 2).flatten(2)  # both rows of a column side by side
        columns = self.head(grid).view(count * width // 16 * SLOTS, -1).float()
        target = alignment.flatten()
        weight = torch.where(target == 0, 0.3, 1.0)
        return language, (cross_entropy(columns, target, reduction="none") * weight).sum() / weight.sum()

    def train_step(self, batch, progress: float) -> tuple[float, float]:
        """Take one step at `progress` (0 to 1) of the run and return both losses."""
        import torch

        scale = min(1.0, (self.step + 1) / WARMUP, max(0.005, (1 - progress) / DECAY))
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * scale
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            language, aligned = self.losses(batch)
        (language + aligned).backward()
        torch.nn.utils.clip_grad_norm_([*self.model.parameters(), *self.head.parameters()], 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return language.item(), aligned.item()

    def resume(self) -> bool:
        """Load the checkpoint in the folder, if there is one, and say whether there was; one of another plan is a `ValueError`."""
        import torch

        saved = self.folder / "checkpoint.pt"
        if not saved.exists():
            return False
        state = torch.load(saved, map_location=self.device, weights_only=True)
        begun = state.get("plan", {})
        others = [name for name in self.plan if begun.get(name) != self.plan[name]]
        if others:
            raise ValueError(f"{saved}: begun with {', '.join(f'{name} {begun.get(name)}' for name in others)}, now asked for "
                             f"{', '.join(f'{name} {self.plan[name]}' for name in others)}; ask as before, or name another --out")
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        for optimizer, tensors in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(tensors)
        self.chunk, self.step = state["chunk"], state["step"]
        return True

    def save(self) -> None:
        """Write a checkpoint, whole or not at all, and export the model as it stands."""
        import torch

        partial = self.folder / "checkpoint.partial"
        torch.save({"model": self.model.state_dict(), "head": self.head.state_dict(), "chunk": self.chunk, "step": self.step,
                    "plan": self.plan, "optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}, partial)
        partial.replace(self.folder / "checkpoint.pt")
        self.export(self.folder / "model")

    def export(self, folder: Path) -> None:
        """Write weights (fp16), configuration and processor as `from_pretrained` reads them."""
        import copy

        from ocrtune.pretraining.student import build_processor

        half = copy.deepcopy(self.model).cpu().half()
        half.config.vision_config._attn_implementation = None
        half.save_pretrained(folder)
        build_processor().save_pretrained(folder)
