"""Paired statistics against values worked out by hand or by brute force."""

from itertools import product

import numpy as np
import pytest

from ocrtune.comparing.paired import count_outcomes, draw_rates, holm, percentile_interval, sign_flip_p, smallest_effect


def test_outcomes():
    assert count_outcomes([5, 5, 5, 0], [1, 5, 9, 1]) == (1, 1, 2)


def test_draws_pair_the_readers_and_pool():
    rates = draw_rates([[10, 5], [30, 15], [2, 1]], [100, 50, 10], 400, 0)
    assert rates.shape == (400, 2)
    assert np.allclose(rates[:, 1] * 2, rates[:, 0])  # the same documents for both in each draw
    assert rates[:, 0].min() >= 0.1 and rates[:, 0].max() <= 0.6


def test_draws_of_two_documents_are_the_three_possible():
    rates = draw_rates([[1], [9]], [10, 30], 4000, 1)[:, 0]
    values, counts = np.unique(rates, return_counts=True)
    assert values == pytest.approx([1 / 10, 10 / 40, 9 / 30])
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_seed_decides():
    edits, lengths = [[3, 1], [5, 9], [0, 2]], [50, 60, 70]
    assert (draw_rates(edits, lengths, 700, 4) == draw_rates(edits, lengths, 700, 4)).all()
    assert not (draw_rates(edits, lengths, 700, 4) == draw_rates(edits, lengths, 700, 5)).all()


def test_empty_references_do_not_divide_by_zero():
    rates = draw_rates([[0, 3], [0, 0]], [0, 0], 100, 0)
    assert np.isfinite(rates).all() and (rates[:, 0] == 0).all() and set(rates[:, 1]) == {0.0, 1.0}


def test_interval_leaves_out_both_ends():
    assert percentile_interval(np.arange(101), 0.9) == (pytest.approx(5), pytest.approx(95))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        lengths = generator.integers(200, 800, 40)
        before, after = generator.binomial(lengths, 0.2), generator.binomial(lengths, 0.1)
        rates = draw_rates(np.stack([before, after], axis=1), lengths, 500, trial)
        low, high = percentile_interval(rates[:, 1] - rates[:, 0], 0.9)
        covered += low <= -0.1 <= high
    assert 160 <= covered <= 196


@pytest.mark.parametrize(("before", "after"), [
    ([5, 7, 9], [1, 2, 3]), ([5, 7, 9, 2], [6, 3, 9, 4]), ([0, 0], [1, 2]), ([1], [2]), ([3], [3])])
def test_p_equals_brute_force(before, after):
    change = [b - a for a, b in zip(before, after, strict=False)]
    swaps = [abs(sum(sign * number for sign, number in zip(signs, change, strict=False))) for signs in product((1, -1), repeat=len(change))]
    assert sign_flip_p(before, after, 1000, 0) == pytest.approx(sum(value >= abs(sum(change)) for value in swaps) / len(swaps))


def test_p_by_draws_is_near_the_exact_one():
    generator = np.random.default_rng(3)
    before, after = generator.integers(0, 20, 13), generator.integers(0, 20, 13) + 2
    assert sign_flip_p(before, after, 4000, 0) == pytest.approx(sign_flip_p(before, after, 10_000, 0), abs=0.03)
    assert sign_flip_p([9] * 70, [0] * 70, 999, 0) == 1 / 1000


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == [] and holm([0.2]) == [0.2]


def test_readings_that_never_differ_have_no_smallest_effect():
    assert smallest_effect(np.zeros(100), 0.95) is None


def test_the_smallest_effect_is_found_about_as_often_as_it_says():
    generator = np.random.default_rng(5)
    lengths = generator.integers(300, 600, 30)

    def draw(rate: float) -> np.ndarray:
        spread = np.clip(generator.normal(rate, 0.05, 30), 0, 1)  # documents differ
        edits = np.stack([generator.binomial(lengths, 0.3), generator.binomial(lengths, spread)], axis=1)
        return draw_rates(edits, lengths, 400, 0)

    smallest = np.median([smallest_effect(rates[:, 1] - rates[:, 0], 0.95) for rates in (draw(0.3) for _ in range(20))])
    found = sum(percentile_interval(rates[:, 1] - rates[:, 0], 0.95)[1] < 0 for rates in (draw(0.3 - smallest) for _ in range(150)))
    assert 100 <= found <= 140  # four times in five, a little more with so few documents
