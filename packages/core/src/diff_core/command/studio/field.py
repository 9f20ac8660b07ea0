"""A further option of a tool, as a form shows it and a browser sends it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Field", "Value"]

Value = float | str | bool | None
"""The value of a further option: None where a number was left empty."""


@dataclass(frozen=True)
class Field:
    """A further option of a tool.

    name:      as the command calls it: "limit"
    label:     what the page calls it
    kind:      a number that may be left empty, a text, a box to tick, one of `choices`
    hint:      what it does, or what is expected
    choices:   the values to choose from, the usual one first
    pattern:   regular expression of the whole of a text, whose usual value is "auto"
    low, high: the range of a number, ends included
    usual:     the number that an empty field stands for
    whole:     whole numbers alone
    """

    name: str
    label: str
    kind: Literal["number", "text", "flag", "choice"]
    hint: str
    choices: tuple[str, ...] = ()
    pattern: str = ""
    low: float = 0.0
    high: float = math.inf
    usual: float | None = None
    whole: bool = False

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
                return self.usual
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            is_whole = not self.whole or number % 1 == 0
            if self.low <= number <= self.high and number < math.inf and is_whole:
                return number
        raise ValueError(f"{self.name} is {text!r}; expected {self.hint}")

    def show(self, value: Value) -> str:
        """Return the option with its value as one reads it: "limit 20"."""
        name = self.name.replace("_", "-")
        if isinstance(value, bool):
            return name
        return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
