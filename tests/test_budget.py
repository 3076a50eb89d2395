"""A run says what it will cost, and stops in good order before it costs more."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ocrtune.reading import Page, Reading
from ocrtune.store.budget import Budget, BudgetError, duration, read_log
from ocrtune.store.readings import read_pages
from ocrtune.store.store import Store


class PaidReader:
    """Counts a thousand tokens for each prompt and a hundred for each answer, and takes up to `slots` pages at once."""

    prices = SimpleNamespace(prompt_per_million=2.0, completion_per_million=10.0)

    def __init__(self, slots: int = 4, counts: bool = True):
        self.identity = {"type": "paid"}
        self.slots, self.counts, self.asked, self.rounds = slots, counts, [], 0

    def read(self, pages):
        self.rounds += 1
        waiting, flying = iter(pages), []
        while True:
            while len(flying) < self.slots and (page := next(waiting, None)):
                flying.append(page)
                self.asked.append(page.page_id)
            if not flying:
                return
            yield flying.pop(0), Reading("text", tokens=(1000, 100) if self.counts else None)


def make_pages(count: int, start: int = 0) -> list[Page]:
    return [Page(f"p{number}", Path("absent.png"), f"{number:064x}") for number in range(start, start + count)]


def test_the_cost_is_told_before_and_after(tmp_path, capsys):
    store = Store(tmp_path)
    read_pages(PaidReader(), make_pages(10), store, "teacher")
    said = capsys.readouterr().out
    assert "teacher: 10 pages, 0 in the store, 10 to read\n  tokens, cost and time are not known before this reader's first pages" in said
    assert "teacher: 10 read, 0 of them failed; 11,000 tokens, cost 0.0300" in said
    read_pages(PaidReader(), make_pages(1_010), Store(tmp_path), "teacher")
    said = capsys.readouterr().out
    assert "1010 pages, 10 in the store, 1000 to read" in said
    assert "about 1,100,000 tokens (1,000,000 prompt, 100,000 completion), cost 3.00, " in said


def test_what_was_spent_stands_in_the_log(tmp_path):
    store = Store(tmp_path)
    read_pages(PaidReader(), make_pages(10), store, "teacher")
    read_pages(PaidReader(), make_pages(10), store, "teacher")
    with (tmp_path / "spending.log").open("a") as file:
        file.write("broken\n{}\n")
    (entry,) = read_log(tmp_path)
    assert {name: entry[name] for name in ("pages", "failed", "prompt_tokens", "completion_tokens", "cost")} == {
        "pages": 10, "failed": 0, "prompt_tokens": 10_000, "completion_tokens": 1_000, "cost": 0.03}


def test_a_long_run_writes_to_the_log_on_its_way(tmp_path, monkeypatch):
    monkeypatch.setattr("ocrtune.store.budget.LOG_EVERY_S", 0)
    read_pages(PaidReader(), make_pages(5), Store(tmp_path), "teacher")
    assert [entry["pages"] for entry in read_log(tmp_path)] == [1] * 5


@pytest.mark.parametrize(("budget", "first"), [
    ({"max_pages": 7}, 7), ({"max_tokens": 7_700}, 7), ({"max_tokens": 8_799}, 7), ({"max_cost": 0.021}, 7), ({"max_cost": 0.0239}, 7),
    ({"max_pages": 9, "max_tokens": 7_700, "max_cost": 1.0}, 7), ({"max_pages": 0}, 0), ({"max_tokens": 1_100}, 1)])
@pytest.mark.parametrize("slots", [1, 4, 64])
def test_the_limit_holds_and_the_next_run_goes_on(tmp_path, budget, first, slots):
    reader = PaidReader(slots)
    remedy = "What was read is kept" if first else "Raise the budget"
    with pytest.raises(BudgetError, match=rf": {first} of 12 pages read, {12 - first} to go. {remedy}"):
        read_pages(reader, make_pages(12), Store(tmp_path), "teacher", Budget(**budget))
    assert len(reader.asked) == first
    reader = PaidReader(slots)
    readings = read_pages(reader, make_pages(12), Store(tmp_path), "teacher")
    assert (len(reader.asked), len(readings)) == (12 - first, 12)


@pytest.mark.parametrize("slots", [1, 4, 64])
@pytest.mark.parametrize("limit", [{"max_tokens": 5_000}, {"max_cost": 0.03}])
def test_the_limit_holds_where_later_pages_are_asked_for_thrice_and_answered_at_length(tmp_path, slots, limit):
    class Worse(PaidReader):
        attempts, max_completion = 3, 400
        spent = (0, 0)

        def read(self, pages):
            for page, _ in super().read(pages):
                self.spent = (self.spent[0] + 300, self.spent[1] + 1200)
                yield page, Reading("text", tokens=(300, 1200))

    class First(Worse):
        def read(self, pages):
            for page, _ in super().read(pages):
                yield page, Reading("text", tokens=(100, 10))

    store, reader = Store(tmp_path), Worse(slots)
    read_pages(First(), make_pages(1), store, "teacher")  # what is known of a page before is a hundred and ten tokens
    with pytest.raises(BudgetError, match=r"one page may (take up to 2,100|cost up to 0\.0138)"):
        read_pages(reader, make_pages(50), store, "teacher", Budget(**limit))
    prompt, completion = reader.spent
    assert prompt + completion > 0
    assert prompt + completion <= limit.get("max_tokens", 10**9)
    assert (2 * prompt + 10 * completion) / 1e6 <= limit.get("max_cost", 10**9)


def test_a_budget_is_shared_by_the_readers_of_a_run(tmp_path):
    budget, store = Budget(max_pages=15), Store(tmp_path)
    read_pages(PaidReader(), make_pages(10), store, "first", budget)
    second = PaidReader()
    second.identity = {"type": "other"}
    with pytest.raises(BudgetError, match="5 of 10 pages read"):
        read_pages(second, make_pages(10), store, "second", budget)


def test_a_budget_below_the_worst_of_one_page_is_not_called_used_up(tmp_path):
    class Careful(PaidReader):
        attempts, max_completion = 3, 400

    for limit, why in (({"max_cost": 0.01}, r"my.budget \(max_cost 0.01\) has 0.01 left, and one page may cost up to 0.012"),
                       ({"max_tokens": 1_000}, r"my.budget \(max_tokens 1,000\) has 1,000 tokens left, and one page may take up to 1,200"),
                       ({"max_cost": 0.0}, r"my.budget \(max_cost 0.0\) is used up")):
        with pytest.raises(BudgetError, match=rf"teacher: {why}: 0 of 36 pages read, 36 to go"):
            read_pages(Careful(), make_pages(36), Store(tmp_path), "teacher", Budget(**limit, name="my.budget"))


def test_before_anything_is_known_one_page_is_asked_for_alone(tmp_path):
    reader = PaidReader(slots=64)
    with pytest.raises(BudgetError, match="2 of 100 pages"):
        read_pages(reader, make_pages(100), Store(tmp_path), "teacher", Budget(max_tokens=3_000))
    assert len(reader.asked) == 2


def test_a_limit_that_can_not_be_held_is_an_error(tmp_path):
    reader = PaidReader(counts=False)
    with pytest.raises(BudgetError, match="its server counts no tokens: max_tokens and max_cost can't be held; set max_pages"):
        read_pages(reader, make_pages(100), Store(tmp_path), "teacher", Budget(max_tokens=3_000))
    assert len(reader.asked) == 1
    read_pages(reader, make_pages(10), Store(tmp_path), "teacher", Budget(max_pages=9))  # one is in the store


def test_an_engine_has_no_prices_and_costs_nothing(tmp_path):
    class Engine(PaidReader):
        prices = property()

    reader = Engine(counts=False)
    assert not hasattr(reader, "prices")
    read_pages(reader, make_pages(10), Store(tmp_path), "teacher", Budget(max_cost=0.0, max_tokens=1))
    assert len(reader.asked) == 10


def test_a_server_of_our_own_has_no_prices_and_its_tokens_can_be_limited(tmp_path):
    reader = PaidReader()
    reader.prices = None
    with pytest.raises(BudgetError, match="no prices: max_cost can't be held; give its profile prices"):
        read_pages(reader, make_pages(10), Store(tmp_path), "teacher", Budget(max_cost=1.0))
    with pytest.raises(BudgetError, match="2 of 10 pages"):
        read_pages(reader, make_pages(10), Store(tmp_path), "teacher", Budget(max_tokens=3_000))


def test_a_run_that_dies_keeps_its_readings_and_its_log(tmp_path):
    class Dying(PaidReader):
        def read(self, pages):
            for number, answer in enumerate(super().read(pages)):
                if number == 3:
                    raise ValueError("10 failures in a row")
                yield answer

    with pytest.raises(ValueError, match="in a row"):
        read_pages(Dying(), make_pages(10), Store(tmp_path), "teacher")
    assert json.loads((tmp_path / "spending.log").read_text())["pages"] == 3
    reader = PaidReader()
    read_pages(reader, make_pages(10), Store(tmp_path), "teacher")
    assert len(reader.asked) == 7


def test_durations_are_told_in_the_unit_that_fits():
    assert [duration(seconds) for seconds in (0.2, 119, 130, 7_000, 90_000)] == ["0 s", "119 s", "2 min", "117 min", "25.0 h"]
