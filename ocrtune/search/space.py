"""Read a search space: which parameters of params.yaml are searched within which bounds, and which are held.

    hold:                                           # the same in every trial
      train.epochs: 2.0
    search:
      train.mode: {choices: [vision, llm, both]}
      train.lora.r: {range: [4, 64], log: true}     # whole numbers, for both bounds are
      train.learning_rate: {range: [1.0e-4, 1.0e-2], log: true}
      train.rehearsal: {range: [0.0, 0.5], step: 0.25}
"""

import copy
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from ocrtune.params.load import Section, describe, parse_params, problems

Scalar = bool | int | float | str | None

SPACES = Path("search")
SEARCHED = ("train", "student", "students")
# These say how often training looks at itself, or on which pages: trials that differ there can't be compared.
HELD = ("train.early_stopping", "train.logging_steps", "train.save_steps", "train.eval_steps", "train.wandb")
DIGITS = 3  # of a drawn number: more would not be read, and a name or a params.yaml with 17 digits is no pleasure


class Dimension(Section):
    """What one parameter may be: one of `choices`, or a number within `range`, bounds included."""

    choices: list[Scalar] | None = None
    range: list[int | float] | None = None
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def say_one_thing(self):
        if (self.choices is None) == (self.range is None):
            raise ValueError("give choices or range, one of them")
        if self.choices is not None:
            if not self.choices or self.log or self.step is not None:
                raise ValueError("choices: at least one, without log or step")
            return self
        if len(self.range) != 2 or not self.range[0] < self.range[1]:
            raise ValueError("range: two numbers, the lower one first")
        if self.log and (self.range[0] <= 0 or self.step is not None):
            raise ValueError("log: for a range above 0, without a step")
        if self.step is not None and self.step <= 0:
            raise ValueError("step: a number above 0")
        return self

    @property
    def whole(self) -> bool:
        """Return whether this is a range of whole numbers."""
        return self.range is not None and all(isinstance(bound, int) for bound in (*self.range, self.step or 0))

    def grid(self) -> list[Scalar] | None:
        """Return every value in order; None for a range without a step, which has no end of them."""
        if self.choices is not None:
            return list(self.choices)
        if self.step is None:
            return None
        low, high = self.range
        count = int((high - low) / self.step + 1e-9) + 1
        return [low + place * self.step if self.whole else round(low + place * self.step, 10) for place in range(count)]


class Space(Section):
    """What is held and what is searched, by path in params.yaml."""

    hold: dict[str, Scalar] = Field(default_factory=dict)
    search: dict[str, Dimension]


def read_space(path: Path) -> Space:
    """Return the space in a file; one that is no space is a `ValueError` naming all that is wrong."""
    try:
        values = parse_params(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(map(str, SPACES.glob("*.yaml")))) or f"none in {SPACES}/"
        raise ValueError(f"{path}: no such file; there are: {known}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {error}") from None
    try:
        space = TypeAdapter(Space).validate_python(values)
    except ValidationError as errors:
        found = [describe("space", error, Space).removeprefix("space.") for error in errors.errors(include_url=False)]
        raise ValueError("\n  ".join([f"{path} has problems:", *found])) from None
    if not space.search:
        raise ValueError(f"{path}: searches nothing; name a parameter under search")
    return space


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a dotted path; a `KeyError` where nothing does."""
    for step in path.split("."):
        if not isinstance(values, Mapping):
            raise KeyError(path)
        values = values[step]
    return values


def with_values(values: Mapping[str, Any], changes: Mapping[str, Scalar]) -> dict[str, Any]:
    """Return params with values put at dotted paths; a section that is absent or null is begun."""
    changed = copy.deepcopy(dict(values))
    for path, value in changes.items():
        *steps, last = path.split(".")
        section = changed
        for step in steps:
            if not isinstance(section.get(step), dict):
                section[step] = {}
            section = section[step]
        section[last] = value
    return changed


def space_problems(space: Space, params: Mapping[str, Any]) -> list[str]:
    """Return all that params.yaml's schemas have against a space: unknown paths, impossible values.

    Bounds and choices are tried one at a time on params with what is held: a bad combination is found by its trial.
    """
    found = [f"{path}: can't be searched, only {', '.join(SEARCHED)}: it would change the pages that judge, or nothing"
             for path in [*space.search, *space.hold] if path.split(".")[0] not in SEARCHED]
    found += [f"{path}: trials that differ here can't be compared; put it under hold" for path in space.search if path.startswith(HELD)]
    found += [f"{path}: held and searched; drop one" for path in space.search if path in space.hold]
    base = with_values(params, space.hold)
    held = problems(base)
    found += held
    if value_at(params, "train").get("early_stopping") is None and not any(path.startswith(HELD[0]) for path in space.hold):
        found.append("train.early_stopping: null: a trial is judged by its readings of validation pages; set it in params.yaml")
    for path, dimension in space.search.items():
        for value in dimension.choices or dimension.range:
            found += [problem for problem in problems(with_values(base, {path: value})) if problem not in held and problem not in found]
    return found


def values_now(space: Space, params: Mapping[str, Any]) -> dict[str, Scalar] | None:
    """Return what params.yaml has today for each searched parameter; None where the space leaves any of it out."""
    found = {}
    for path, dimension in space.search.items():
        try:
            value = value_at(params, path)
        except KeyError:
            return None
        inside = (value in dimension.choices if dimension.choices is not None
                  else isinstance(value, (int, float)) and dimension.range[0] <= value <= dimension.range[1]
                  and (dimension.step is None or any(abs(value - point) < 1e-9 for point in dimension.grid())))
        if not inside:
            return None
        found[path] = value
    return found


def suggest(trial, space: Space) -> dict[str, Scalar]:
    """Return the parameters that an Optuna trial draws from a space."""
    return {path: draw(trial, path, dimension) for path, dimension in space.search.items()}


def draw(trial, path: str, dimension: Dimension) -> Scalar:
    if dimension.choices is not None:
        return trial.suggest_categorical(path, dimension.choices)
    low, high = dimension.range
    if dimension.whole:
        return trial.suggest_int(path, low, high, log=dimension.log, step=int(dimension.step or 1))
    value = trial.suggest_float(path, low, high, log=dimension.log, step=dimension.step)
    return min(max(float(f"{value:.{DIGITS}g}"), low), high) if dimension.step is None else round(value, 10)


def grid_of(space: Space) -> dict[str, list[Scalar]]:
    """Return every value of each parameter; ranges without a step are a `ValueError` naming them."""
    grid = {path: dimension.grid() for path, dimension in space.search.items()}
    endless = [path for path, values in grid.items() if values is None]
    if endless:
        raise ValueError(f"--search-mode grid: {', '.join(endless)}: a range without a step has no end; give a step or choices")
    return grid


def grid_points(space: Space) -> Iterator[dict[str, Scalar]]:
    """Yield every combination of a grid."""
    grid = grid_of(space)
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


@dataclass(frozen=True)
class Override:
    """A parameter's value as `dvc exp run -S` wants it."""

    path: str
    value: Scalar
    is_new: bool  # params.yaml has no such key yet: it stood at its default

    def __str__(self) -> str:
        written = self.value if isinstance(self.value, (int, float)) and not isinstance(self.value, bool) else json.dumps(self.value)
        return f"{'+' if self.is_new else ''}{self.path}={written}"


def overrides(params: Mapping[str, Any], changes: Mapping[str, Scalar]) -> list[str]:
    """Return the arguments of -S for values at dotted paths, those that params.yaml has already left out."""
    found = []
    for path, value in changes.items():
        try:
            if value_at(params, path) == value:
                continue
            found.append(str(Override(path, value, is_new=False)))
        except KeyError:
            found.append(str(Override(path, value, is_new=True)))
    return found
