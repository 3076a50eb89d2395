"""Keep a model that reads from writing the same line over and over."""


def build_repeat_guard(size: int, window: int, start: int, exempt: list[int]):
    """Return a logits processor for transformers' generate: no run of `size` tokens twice within `window`.

    The rule is DeepSeek-OCR's (size 30, window 90, its cells of tables exempt): a token is barred where it would
    end a run that stands among the last `window` tokens of the answer. `start` is the length of the prompt, which
    does not count. `exempt` tokens may always follow.
    """
    import torch
    from transformers import LogitsProcessor

    class RepeatGuard(LogitsProcessor):
        def __call__(self, input_ids, scores):
            """input_ids (n, t), prompt and answer so far; scores (n, vocabulary) of the next token."""
            answer = input_ids[:, start:]
            if answer.shape[1] < size:
                return scores
            runs = answer[:, -window:].unfold(1, size, 1)  # (n, runs, size)
            repeats = (runs[..., :-1] == answer[:, None, -(size - 1) :]).all(-1)
            barred = torch.zeros_like(scores, dtype=torch.int32).scatter_add_(1, runs[..., -1], repeats.int()) > 0
            barred[:, exempt] = False
            return scores.masked_fill(barred, -torch.inf)

    return RepeatGuard()
