"""The arguments of the library as options of the running command, for errors.

Errors of the library name arguments. A message is translated at three places: an argument that it
begins with ("steps is 0; expected ..."), an argument with a value ("overwrite=True"), and an
argument between backquotes ("needs `report`"). The names are those of the running command's
parameters; a command renames the others (`App.command(renamed=...)`).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import typer

__all__ = ["as_options", "option_names", "usage"]

_NAMES: ContextVar[Mapping[str, str] | None] = ContextVar("option names", default=None)

_FIRST = re.compile(r"^(\w+)(?= (?:is|are|has|must|needs?|and|excludes?)\b|:)")
_VALUE = re.compile(r"""(?<![\w.-])(\w+)=(?:(["'])(.*?)\2|([\w.+%-]*\w))""")
_QUOTED = re.compile(r"`(\w+)`")


@contextmanager
def option_names(names: Mapping[str, str]) -> Generator[None]:
    """Set the options of the command that runs in this block, by the names of the arguments."""
    before = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(before)


def as_options(text: str, default: Mapping[str, str] | None = None) -> str:
    """Return an error of the library with its arguments named as the running command names them.

    `steps=4` becomes `--steps 4`, and `overwrite=True` becomes `--overwrite`. What is no option of
    the command stays as it is; so does the whole text where no command runs.

    default: options of arguments that the running command does not name
    """
    names = {**(default or {}), **(_NAMES.get() or {})}

    def value(found: re.Match[str]) -> str:
        given = found[3] if found[2] else found[4]
        if found[1] not in names or given in ("False", "None"):
            return found[0]
        option = names[found[1]]
        return option if given == "True" else f"{option} {given}"

    def name(found: re.Match[str]) -> str:
        return names.get(found[1], found[0])

    return _QUOTED.sub(name, _VALUE.sub(value, _FIRST.sub(name, text)))


@contextmanager
def usage() -> Generator[None]:
    """Turn a ValueError of this block into wrong usage, which names options: exit code 2.

    For what checks the user's choices before the work: `with usage(): Settings(...)`.
    """
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(as_options(" ".join(str(error).split()))) from error
