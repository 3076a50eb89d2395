"""A run of tokens is not written twice within the window; what is exempt, and what lies farther back, may be."""

import pytest
import torch

from ocrtune.models.repeat_guard import build_repeat_guard
from ocrtune.params.students import RepeatGuard

VOCABULARY = 10


def barred(answer: list[int], size: int, window: int, exempt: tuple[int, ...] = (), prompt: tuple[int, ...] = (9, 9, 9)) -> set[int]:
    guard = build_repeat_guard(size, window, len(prompt), list(exempt))
    scores = guard(torch.tensor([[*prompt, *answer]]), torch.zeros(1, VOCABULARY))
    assert set(scores[0].tolist()) <= {0.0, -torch.inf}
    return {token for token in range(VOCABULARY) if scores[0, token] == -torch.inf}


def slow_rule(answer: list[int], size: int, window: int) -> set[int]:
    """State the rule in words of a loop: which tokens would end a run that stands in the window?"""
    seen = answer[-window:]
    return {seen[i + size - 1] for i in range(len(seen) - size + 1) if len(answer) >= size
            and seen[i : i + size - 1] == answer[len(answer) - size + 1 :]}


@pytest.mark.parametrize(("answer", "size", "window", "expected"), [
    ([1, 2, 3, 1, 2], 3, 90, {3}), ([1, 2, 3, 4, 1, 2, 5, 1, 2], 3, 90, {3, 5}), ([1, 2, 3, 4, 1, 2, 5, 1, 2], 3, 5, {5}),
    ([1, 2], 3, 90, set()), ([1, 1, 1], 3, 90, {1}), ([1, 2, 3, 4], 3, 90, set()), ([1, 2, 3, 1, 2], 2, 3, set()), ([], 2, 2, set()),
])
def test_a_token_that_would_repeat_a_run_is_barred(answer, size, window, expected):
    assert barred(answer, size, window) == expected == slow_rule(answer, size, window)


def test_the_rule_on_many_answers():
    torch.manual_seed(0)
    for _ in range(300):
        answer = torch.randint(0, 3, (int(torch.randint(0, 40, ())),)).tolist()
        size = int(torch.randint(2, 6, ()))
        window = size + int(torch.randint(0, 30, ()))
        assert barred(answer, size, window) == slow_rule(answer, size, window), (answer, size, window)


def test_exempt_tokens_and_the_prompt_do_not_count():
    assert barred([1, 2, 3, 1, 2], 3, 90, exempt=(3,)) == set()
    assert barred([1, 2], 3, 90, prompt=(1, 2, 3)) == set()


def test_rows_are_judged_apart():
    guard = build_repeat_guard(3, 90, 0, [])
    scores = guard(torch.tensor([[1, 2, 3, 1, 2], [4, 5, 6, 7, 8]]), torch.zeros(2, VOCABULARY))
    assert (scores == -torch.inf).nonzero().tolist() == [[0, 3]]


def test_a_window_must_hold_a_run():
    with pytest.raises(ValueError, match="window 20 is shorter than a run of size 30"):
        RepeatGuard(size=30, window=20)
