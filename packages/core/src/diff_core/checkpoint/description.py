"""Objects described in JSON and rebuilt from it: their class and their constructor's keywords."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from diff_core.checkpoint.tensors import CheckpointError

__all__ = ["Json", "build", "describe", "parse_description"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""A value that a JSON text can hold."""


def describe(thing: object) -> Json:
    """JSON from which `build` makes an equal object.

    Takes numbers, strings, lists, frozen dataclasses (by their fields) and modules (by their
    `config`, the keywords of their constructor). Raises TypeError for anything else.
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, list | tuple):
        return [describe(item) for item in cast("list[object]", thing)]
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        keywords = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing) if f.init}
    elif isinstance(thing, nn.Module) and hasattr(thing, "config"):
        keywords = cast("dict[str, object]", thing.config)
    else:
        raise TypeError(
            f"cannot describe a {type(thing).__name__}; give it a `config` of keywords"
        )
    return {"type": type(thing).__name__} | {k: describe(v) for k, v in keywords.items()}


_DEPTH = 32
_GREATEST = 2**31 - 1
"""Of the whole numbers in a description: they are widths and counts."""


def parse_description(text: str) -> Json:
    """Read the JSON of a description.

    Raises CheckpointError for what is no JSON, is nested deeper than any model, or holds a whole
    number that no width or count of a model can be.
    """
    try:
        description: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"the description of the model is damaged ({error})") from error
    level: list[tuple[str, Json]] = [("model", description)]
    for _ in range(_DEPTH):
        below: list[tuple[str, Json]] = []
        for name, value in level:
            if isinstance(value, dict):
                below += value.items()
            elif isinstance(value, list):
                below += [(name, item) for item in value]
            elif type(value) is int and abs(value) > _GREATEST:
                raise CheckpointError(
                    f"the description of the model has {name} = {value}; expected at most "
                    f"{_GREATEST}"
                )
        level = below
    if level:
        raise CheckpointError(f"the description of the model is nested deeper than {_DEPTH}")
    return description


def build(description: Json, types: Mapping[str, type]) -> Any:
    """The object that `describe` described, of classes found by name in `types`.

    Raises CheckpointError for an unknown class or keywords that it does not take.
    """
    if isinstance(description, list):
        return tuple(build(item, types) for item in description)
    if not isinstance(description, dict):
        return description
    name = description.get("type")
    if not isinstance(name, str) or name not in types:
        raise CheckpointError(
            f"the model uses {name!r}; known here are {', '.join(sorted(types))}"
        )
    keywords = {k: build(v, types) for k, v in description.items() if k != "type"}
    try:
        return types[name](**keywords)
    except TypeError as error:
        raise CheckpointError(
            f"{name} of this version does not take the settings: {error}"
        ) from error
