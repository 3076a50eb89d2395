"""A search space is read, checked against the params' schemas before the first trial, and drawn from."""

import copy
from pathlib import Path

import optuna
import pytest
import yaml

from ocrtune.search.space import Dimension, Space, grid_points, overrides, read_space, space_problems, suggest, values_now, with_values
from ocrtune.search.study import build_sampler

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
SHIPPED = sorted((ROOT / "search").glob("*.yaml"))


def space_of(text: str, folder: Path) -> Space:
    file = folder / "space.yaml"
    file.write_text(text)
    return read_space(file)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_spaces_are_whole(file):
    assert space_problems(read_space(file), PARAMS) == []


def test_there_are_the_three_that_users_know():
    assert [file.stem for file in SHIPPED] == ["aggressive", "conservative", "grid"]
    assert len(list(grid_points(read_space(ROOT / "search/grid.yaml")))) == 6


def test_all_that_is_wrong_is_named_at_once(tmp_path):
    space = space_of("""
        hold: {split.val: 0.3, train.lora.dropot: 1, train.seed: 1}
        search:
          train.lora.r: {range: [0, 8]}
          train.mode: {choices: [vision, eyes]}
          train.early_stopping.num_pages: {choices: [1]}
          train.seed: {choices: [1, 2]}
          trian.x: {choices: [1]}
          student: {choices: [tiny, nobody]}
    """, tmp_path)
    found = space_problems(space, PARAMS)
    for start in ("trian.x: can't be searched", "split.val: can't be searched", "train.early_stopping.num_pages: trials that differ",
                  "train.seed: held and searched", "train.lora.dropot: unknown; allowed here: ", "train.lora.r: 0: ",
                  "train.mode: 'eyes': ", "student: 'nobody': no such profile"):
        assert sum(problem.startswith(start) for problem in found) == 1, (start, found)


def test_params_that_judge_nothing_are_refused(tmp_path):
    space = space_of("search: {train.seed: {choices: [1]}}", tmp_path)
    blind = with_values(PARAMS, {"train.early_stopping": None})
    assert [problem for problem in space_problems(space, blind) if problem.startswith("train.early_stopping: null")]
    assert space_problems(space, PARAMS) == []


@pytest.mark.parametrize(("dimension", "message"), [
    ("{range: [8, 0]}", "range: two numbers, the lower one first"), ("{range: [0, 1, 2]}", "range: two numbers"),
    ("{choices: []}", "choices: at least one"), ("{choices: [1], log: true}", "choices: at least one, without log"),
    ("{choises: [1]}", "choises: unknown; allowed here: choices, log, range, step"), ("{}", "give choices or range"),
    ("{range: [0, 1], log: true}", "log: for a range above 0"), ("{range: [1, 2], step: 0}", "step: a number above 0"), ("3", "3: "),
])
def test_a_dimension_that_says_nothing_is_refused(tmp_path, dimension, message):
    with pytest.raises(ValueError, match=message):
        space_of(f"search: {{train.seed: {dimension}}}", tmp_path)


def test_files_that_are_no_spaces(tmp_path):
    with pytest.raises(ValueError, match=r"absent.yaml: no such file; there are: .*search/grid.yaml"):
        read_space(tmp_path / "absent.yaml")
    for text, message in (("a: [", "not YAML"), ("search: {}", "searches nothing"), ("[1]", "has problems"),
                          ("serach: {}", "serach: unknown")):
        with pytest.raises(ValueError, match=message):
            space_of(text, tmp_path)


def test_draws_stay_within_bounds_and_are_of_the_right_kind(tmp_path):
    space = space_of("""
        search:
          train.lora.r: {range: [4, 64], log: true}
          train.learning_rate: {range: [1.0e-4, 1.0e-2], log: true}
          train.rehearsal: {range: [0.0, 0.5], step: 0.25}
          train.mode: {choices: [vision, llm]}
          train.eval_steps_: {choices: [null, 3]}
    """, tmp_path)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest(study.ask(), space) for _ in range(60)]
    assert {type(values["train.lora.r"]) for values in drawn} == {int}
    assert all(4 <= values["train.lora.r"] <= 64 and 1e-4 <= values["train.learning_rate"] <= 1e-2 for values in drawn)
    assert {values["train.rehearsal"] for values in drawn} == {0.0, 0.25, 0.5}
    assert {values["train.mode"] for values in drawn} == {"vision", "llm"}
    assert {values["train.eval_steps_"] for values in drawn} == {None, 3}
    assert max(len(f"{values['train.learning_rate']:.10g}".replace(".", "").strip("0")) for values in drawn) <= 3


def test_a_grid_has_every_combination():
    space = Space(search={"train.seed": Dimension(range=[1, 3], step=1), "train.mode": Dimension(choices=["llm", "both"])})
    points = [tuple(point.values()) for point in grid_points(space)]
    assert points == [(1, "llm"), (1, "both"), (2, "llm"), (2, "both"), (3, "llm"), (3, "both")]
    assert Dimension(range=[0.0, 0.3], step=0.1).grid() == [0.0, 0.1, 0.2, 0.3]
    endless = Space(search={"train.seed": Dimension(range=[1, 3]), "train.mode": Dimension(choices=["llm"])})
    with pytest.raises(ValueError, match=r"train\.seed: a range without a step"):
        list(grid_points(endless))


def test_overrides_name_what_differs_and_mark_what_is_new():
    params = copy.deepcopy(PARAMS)
    del params["train"]["projector"]
    assert overrides(params, {"train.lora.r": PARAMS["train"]["lora"]["r"]}) == []
    assert overrides(params, {"train.mode": "llm", "train.projector": False, "train.epochs": None, "train.learning_rate": 1e-5}) == [
        'train.mode="llm"', "+train.projector=false", "train.epochs=null", "train.learning_rate=1e-05"]


def test_a_study_begins_with_todays_values_where_the_space_has_them():
    conservative = read_space(ROOT / "search/conservative.yaml")
    assert values_now(conservative, PARAMS) == {"train.learning_rate": 2e-3, "train.lora.r": 16, "train.rehearsal": 0.25}
    assert values_now(read_space(ROOT / "search/aggressive.yaml"), PARAMS)["train.mode"] == "both"
    for path, value in (("train.learning_rate", 1.0), ("train.lora.r", 12), ("train.rehearsal", 0.3)):
        assert values_now(conservative, with_values(PARAMS, {path: value})) is None


def test_a_grid_is_whole_whatever_seeds_its_processes_were_given():
    space = Space(search={"train.seed": Dimension(range=[1, 3], step=1), "train.mode": Dimension(choices=["llm", "both"])})
    study = optuna.create_study()
    drawn = []
    for seed in (5, 6, None, 8, 7, 5):
        study.sampler = build_sampler("grid", space, 6, seed)
        study.optimize(lambda trial: drawn.append(suggest(trial, space)) or 1.0, n_trials=1)
    assert sorted(drawn, key=str) == sorted(grid_points(space), key=str)
