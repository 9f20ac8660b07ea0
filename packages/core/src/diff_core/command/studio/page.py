"""The words and limits of a studio's page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Field", "Page", "Value"]

Value = float | str | bool | None
"""The value of a further option: None where a number was left empty."""


@dataclass(frozen=True)
class Field:
    """A further option of a page.

    name:    as the command calls it: "limit"
    label:   what the page calls it
    kind:    a number of at least 0 that may be left empty, a text, a box to tick, one of `choices`
    hint:    what it does, or what is expected
    choices: the values to choose from, the usual one first
    pattern: regular expression of the whole of a text, whose usual value is "auto"
    """

    name: str
    label: str
    kind: Literal["number", "text", "flag", "choice"]
    hint: str
    choices: tuple[str, ...] = ()
    pattern: str = ""

    def read(self, text: str) -> Value:
        """Return the value that a browser sends; "" is the usual one. Raises ValueError."""
        if self.kind == "flag" and text in ("", "on"):
            return text == "on"
        if self.kind == "choice" and text in ("", *self.choices):
            return text or self.choices[0]
        if self.kind == "text" and re.fullmatch(self.pattern, text or "auto"):
            return text or "auto"
        if self.kind == "number":
            if not text:
                return None
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if 0 <= number < math.inf:
                return number
        raise ValueError(f"{self.name} is {text!r}; expected {self.hint}")

    def show(self, value: Value) -> str:
        """Return the option with its value as one reads it: "limit 20"."""
        name = self.name.replace("_", "-")
        if isinstance(value, bool):
            return name
        return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"


@dataclass(frozen=True)
class Page:
    """The page that a studio shows for its domain.

    title, about: head of the page
    drop:         what to drop, "a recording"
    suffixes:     names that are taken, lower case, with the dot
    unread:       why others are not, by their suffix: ".m4a files are " goes before the reason
    qualities:    what each means, by name; the first that is called "default" is chosen
    amount:       what the slider is called
    action:       what the button says
    fields:       further options
    dark:         dark whatever the system prefers, for scans
    """

    title: str
    about: str
    drop: str
    suffixes: tuple[str, ...]
    qualities: Mapping[str, str]
    amount: str
    action: str
    fields: tuple[Field, ...] = ()
    dark: bool = False
    unread: Mapping[str, str] = field(default_factory=dict[str, str])

    def refusal(self, name: str) -> str:
        """Return the reason why a file of this name is not taken, "" for one that is."""
        lower = name.lower()
        if lower.endswith(self.suffixes) and not lower.startswith("."):
            return ""
        for suffix, why in self.unread.items():
            if lower.endswith(suffix):
                return f"{suffix} files are {why}"
        return f"this is not {self.drop}; files end with {', '.join(self.suffixes)}"
