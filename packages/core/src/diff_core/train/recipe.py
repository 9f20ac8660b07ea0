"""Recipes: one YAML file that holds every number of a training run, typed.

A recipe's type is a frozen dataclass of frozen dataclasses; its annotations are what the file may
hold. Needs the extra `diff-core[train]` (pydantic, PyYAML).
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from diff_core.checkpoint.description import Json
from diff_core.nearest import nearest

__all__ = ["dump_recipe", "make_recipe", "read_recipe"]

R = TypeVar("R")
MODEL = ".safetensors"

# YAML 1.1 takes 1e-3 for a string: its numbers want a dot and a sign.
_FLOAT = re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$")


def read_recipe(
    kind: type[R], path: Path, overrides: Sequence[str] = (), *, what: str = "recipe"
) -> R:
    """The recipe in a YAML file, with settings like `train.steps=1000` put in place of its own.

    path: or a model (.safetensors), whose card has the recipe that made it
    what: the word for the file in errors

    Raises ValueError for a file that is missing or no YAML, a key that `kind` does not have (with
    the nearest that it has), and a value of the wrong type or out of range.
    """
    where = f"{what} {path}"
    if not path.is_file():
        raise ValueError(f"{where}: no such file")
    found = _of_card(path) if path.suffix == MODEL else _parse(path.read_text(), where)
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"{where}: expected sections with `key: value` lines")
    settings: dict[str, Any] = found or {}
    _check(kind, settings, f"{where}: ")
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not all(name.split(".")):
            raise ValueError(f"{override!r} is no setting; expected KEY=VALUE: train.steps=1000")
        _put(settings, name.split("."), _parse(text, name))
    return make_recipe(kind, settings, f"{where}: ")


def _of_card(path: Path) -> dict[str, Any]:
    """Return the recipe in a model's card; of a model that began with another, its own part."""
    from diff_core.checkpoint import read_card

    past = ("start", "blend")  # how the weights came about, not how to train
    return {name: value for name, value in read_card(path).recipe.items() if name not in past}


def make_recipe(kind: type[R], settings: Mapping[str, Any], where: str = "") -> R:
    """A recipe from nested mappings; `where` begins the message of an error. Raises ValueError."""
    from pydantic import TypeAdapter, ValidationError

    _check(kind, settings, where)
    try:
        return TypeAdapter(kind).validate_python(settings)
    except ValidationError as error:
        faults = [_fault(dict(fault)) for fault in error.errors(include_url=False)]
        raise ValueError(where + "; ".join(faults)) from None


def dump_recipe(recipe: object) -> dict[str, Json]:
    """The whole recipe as JSON, for a card: `make_recipe` makes an equal one of it."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))  # type: ignore[call-overload]


def _parse(text: str, where: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Without duplicate keys, and with 1e-3 a number."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key) for key, _ in node.value]
            if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
                raise ValueError(f"{where}: {', '.join(twice)} given twice")
            return super().construct_mapping(node, deep)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))
    try:
        return yaml.load(text, Loader)  # noqa: S506 (a SafeLoader)
    except RecursionError:
        raise ValueError(f"{where}: nested too deeply for a recipe") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: not YAML ({' '.join(str(error).split())})") from None


def _put(settings: dict[str, Any], names: Sequence[str], value: Any) -> None:
    for name in names[:-1]:
        if not isinstance(settings.get(name), dict):
            settings[name] = {}
        settings = settings[name]
    settings[names[-1]] = value


def _fields(kind: Any) -> dict[str, Any] | None:
    """Names and types of a dataclass, also if it is optional; None for anything else."""
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [k for k in map(_fields, get_args(kind)) if k is not None]
        return {name: hint for k in kinds for name, hint in k.items()} if kinds else None
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind) if f.init}


def _check(kind: Any, settings: Any, where: str, above: str = "") -> None:
    """Raise ValueError for a key that is not a field, here or in a section below."""
    known = _fields(kind)
    if known is None or not isinstance(settings, Mapping):
        return
    for key, value in settings.items():
        if key not in known:
            below = [f"{name}.{key}" for name in known if key in (_fields(known[name]) or ())]
            close = nearest(key, known)
            near = below if below else [close] if close else []
            hint = f"expected {', '.join(known)}"
            if near:
                hint = f"did you mean {' or '.join(f'{above}{name}' for name in near)}?"
            raise ValueError(f"{where}{above}{key} is not known; {hint}")
        _check(known[key], value, where, f"{above}{key}.")


def _fault(fault: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    text = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"{place} is missing"
    if fault["type"] == "value_error":  # of a section's own check, which names its field
        return f"{place}: {text}" if place else text
    return f"{place} is {fault['input']!r}: {text[:1].lower()}{text[1:]}"
