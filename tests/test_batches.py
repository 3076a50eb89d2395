"""Batches hold examples of like length, an epoch's order is drawn from seed and epoch, and the loss is that of all logits."""

import random

import pytest
import torch
from transformers.loss.loss_utils import ForCausalLMLoss
from transformers.trainer_pt_utils import get_length_grouped_indices

from ocrtune.training.batches import LengthBuckets
from ocrtune.training.trainer import answer_loss, answer_width

LENGTHS = [random.Random(number).randrange(20, 240) for number in range(187)]
SIZE = 12


def batches(order: list[int]) -> list[list[int]]:
    return [order[start : start + SIZE] for start in range(0, len(order), SIZE)]


def padded(order: list[int]) -> float:
    """Return how many times its own length an epoch has with the padding of its batches."""
    return sum(max(LENGTHS[index] for index in batch) * len(batch) for batch in batches(order)) / sum(LENGTHS)


def test_each_example_comes_once_an_epoch_and_little_is_padding():
    order = list(LengthBuckets(LENGTHS, SIZE, seed=0))
    assert sorted(order) == list(range(len(LENGTHS)))
    torch.manual_seed(0)
    theirs = get_length_grouped_indices(LENGTHS, SIZE)
    drawn = random.Random(0).sample(range(len(LENGTHS)), len(LENGTHS))
    assert padded(order) < 1.1 < padded(theirs) < padded(drawn)


def test_an_order_depends_on_seed_and_epoch_alone():
    buckets = LengthBuckets(LENGTHS, SIZE, seed=0)
    first = list(buckets)
    assert list(buckets) == first
    buckets.set_epoch(3)
    third = list(buckets)
    assert third != first
    again = LengthBuckets(LENGTHS, SIZE, seed=0)
    again.set_epoch(3)
    assert list(again) == third
    assert list(LengthBuckets(LENGTHS, SIZE, seed=1)) != first


def test_batches_come_in_no_order_of_length_but_the_longest_first():
    buckets = LengthBuckets(LENGTHS, SIZE, seed=0)
    tops = [max(LENGTHS[index] for index in batch) for batch in batches(list(buckets))[:-1]]
    assert tops[0] == max(tops)
    assert tops[1:] not in (sorted(tops[1:]), sorted(tops[1:], reverse=True))


@pytest.mark.parametrize("number", [0, 1, 11, 12, 13])
def test_few_examples_make_their_batches(number):
    assert sorted(LengthBuckets(LENGTHS[:number], SIZE, seed=0)) == list(range(number))


@pytest.mark.parametrize("items", [None, torch.tensor(9)])
def test_logits_of_answers_alone_give_the_loss_of_all(items):
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 20, 50), torch.full((3, 20), -100)
    for row, (start, end) in enumerate([(8, 12), (11, 14), (9, 11)]):
        labels[row, start:end] = torch.randint(50, (end - start,))
    width = answer_width(labels)
    assert width == 13, "from the token before the first answer's first"
    whole = ForCausalLMLoss(logits, labels, 50, num_items_in_batch=items)
    for kept in (logits[:, -width:], logits):
        outputs = type("Outputs", (), {"logits": kept})
        assert torch.allclose(answer_loss(outputs, labels, items), whole)


def test_an_answer_that_begins_a_row_and_none_at_all_keep_every_logit():
    labels = torch.full((2, 5), -100)
    assert answer_width(labels) == 5
    labels[0, 0] = 1
    assert answer_width(labels) == 5
