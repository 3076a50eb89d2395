"""Load one section of params.yaml for a stage, after checking all of them.

A stage imports its own section's schema alone, so a new knob of `train` never reruns `crawl`. The
check of the whole file finds the other schemas by name when it runs: it shapes no result.
"""

import importlib
import pkgutil
import re
import sys
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

PARAMS = Path("params.yaml")


class Section(BaseModel):
    """A section of params.yaml: unknown keys are refused, types are not guessed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())


class Loader(yaml.SafeLoader):
    """PyYAML's, but 5e-05 is a number and `no` a word, as in YAML 1.2 and for DVC, which writes them so after `exp run -S`."""


BOOLEAN = "tag:yaml.org,2002:bool"
Loader.yaml_implicit_resolvers = {first: [(tag, form) for tag, form in forms if tag != BOOLEAN]
                                  for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver(BOOLEAN, re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))


class ParamsError(ValueError):
    """Everything that is wrong with params.yaml, one line a problem."""


def parse_params(text: str) -> Any:
    """Return what a text of YAML holds."""
    return yaml.load(text, Loader)


def read_params(path: Path = PARAMS) -> dict[str, Any]:
    """Return params.yaml of the current folder as it stands."""
    try:
        values = parse_params(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the root of the project") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not YAML: {error}") from None
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: holds no sections")
    return values


def schemas() -> dict[str, Any]:
    """Return the schema of each section: `SCHEMAS` of every module beside this one."""
    import ocrtune.params

    found: dict[str, Any] = {}
    for module in pkgutil.iter_modules(ocrtune.params.__path__):
        found |= getattr(importlib.import_module(f"ocrtune.params.{module.name}"), "SCHEMAS", {})
    return found


def describe(where: str, error: dict, schema: Any) -> str:
    """Return one problem as a sentence: where, what, which values are allowed."""
    keys, parent = follow(schema, error["loc"][:-1] if error["type"] == "extra_forbidden" else error["loc"])
    if error["type"] == "extra_forbidden":
        place = ".".join([where, *keys, str(error["loc"][-1])])
        return f"{place}: unknown; allowed here: {', '.join(sorted(getattr(parent, 'model_fields', {})))}"
    place = ".".join([where, *keys])
    if error["type"] == "missing":
        return f"{place}: missing"
    value = error.get("input")
    message = error["msg"].removeprefix("Value error, ")
    # Whoever writes a key where a variable's name belongs, or a password into an address, should not see it printed, too.
    shown = "" if isinstance(value, dict) or place.endswith("_env") else f"{hide_secrets(repr(value))}: "
    return f"{place}: {shown}{message[0].lower()}{message[1:]}"


def hide_secrets(text: str) -> str:
    """Return a text without passwords and queries of the addresses in it."""
    return re.sub(r"\?[^\s'\"]+", "?(hidden)", re.sub(r"//[^/]*@", "//(hidden)@", text)) if "://" in text else text


def follow(schema: Any, location: tuple) -> tuple[list[str], Any]:
    """Return the keys of params.yaml on the way to an error's location, and the schema there.

    Where a profile's `type` chooses its schema, pydantic puts that type into the location; it is no key.
    """
    keys = []
    for step in location:
        while get_origin(schema) is Annotated:
            schema = get_args(schema)[0]
        choices = [choice for choice in get_args(schema) if hasattr(choice, "model_fields")]
        tagged = [choice for choice in choices if "type" in choice.model_fields and choice.model_fields["type"].default == step]
        if get_origin(schema) in (Union, UnionType) and tagged:
            schema = tagged[0]
            continue
        keys.append(str(step))
        if get_origin(schema) in (Union, UnionType) and choices:
            schema = choices[0]
        fields = getattr(schema, "model_fields", {})
        schema = fields[step].annotation if step in fields else (get_args(schema) or (None,))[-1]
    return keys, schema


def look_up(values: Any, place: str) -> Any:
    """Return what stands at a place such as `train.lora.r`; None where nothing does."""
    for step in place.split("."):
        values = values.get(step) if isinstance(values, dict) else None
    return values


def problems(values: dict[str, Any]) -> list[str]:
    """Return every problem of the whole file."""
    from pydantic import TypeAdapter

    known = schemas()
    found = [f"{name}: unknown section; allowed: {', '.join(sorted(known))}" for name in values if name not in known]
    found += [f"{name}: missing section" for name in known if name not in values]
    for name, schema in known.items():
        if name in values:
            try:
                TypeAdapter(schema).validate_python(values[name])
            except ValidationError as errors:
                found += [describe(name, error, schema) for error in errors.errors(include_url=False)]
    for place, profiles in (("student", "students"), ("teacher", "teachers"), ("teacher_label.second_teacher", "teachers"),
                            ("compare.baseline", "evaluate.readers"), ("compare.candidate", "evaluate.readers")):
        chosen, offered = look_up(values, place), look_up(values, profiles)
        names = sorted(map(str, offered)) if isinstance(offered, dict) else []
        if isinstance(chosen, str) and chosen not in names:
            found.append(f"{place}: {chosen!r}: no such profile; {profiles} has: {', '.join(names)}")
    return found


def load_section(name: str, schema: type[Section], values: dict[str, Any] | None = None) -> Any:
    """Return section `name`, checked; any problem anywhere in the file is a `ParamsError` naming them all."""
    values = read_params() if values is None else values
    found = problems(values)
    if found:
        raise ParamsError("params.yaml has problems:\n" + "\n".join(f"  {line}" for line in found))
    return schema.model_validate(look_up(values, name))


def report_errors(*kinds: type[Exception]):
    """Return a context in which errors meant for the user print as one message and exit 1, without a traceback.

    Meant for the user is a `ValueError` that our own code raised, and any `OSError`; one that a library raised is a bug's.
    """
    from contextlib import contextmanager

    @contextmanager
    def context():
        try:
            yield
        except (ValueError, OSError, *kinds) as error:
            trace = error.__traceback__
            while trace.tb_next:
                trace = trace.tb_next
            module = trace.tb_frame.f_globals["__name__"].partition(".")[0]
            if isinstance(error, ValueError) and module not in ("ocrtune", "stages", "tools", "__main__"):
                raise
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(1) from error

    return context()
