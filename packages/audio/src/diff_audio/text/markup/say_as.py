"""The element `say-as` of SSML: a text read in the way that its author names."""

from __future__ import annotations

import re

from diff_audio.text.normalise.abbreviations import MONTHS, letter_names
from diff_audio.text.normalise.addresses import SIGNS
from diff_audio.text.normalise.numbers import cardinal, decimal, digits, fraction, ordinal, year

__all__ = ["is_known", "say_as"]

_LETTERS = ("characters", "spell-out", "verbatim", "letters")
_BY_RULES = ("currency", "unit", "time", "address", "name", "text", "acronym", "measure")
_OTHERS = ("cardinal", "number", "ordinal", "digits", "fraction", "date", "telephone")
_ORDERS = {3: "mdy", 2: "md", 1: "y"}


def is_known(kind: str) -> bool:
    """Return whether there is a way of reading by this name."""
    return kind in (*_LETTERS, *_BY_RULES, *_OTHERS)


def say_as(text: str, kind: str, form: str = "") -> str | None:
    """Return a text in the words of a kind, such as "cardinal" or "characters"; None where the
    usual rules read it.

    form: for "date": the order of year, month and day, such as "dmy"
    """
    number = text.replace(",", "").replace(" ", "")
    if kind in _LETTERS:
        return " ".join(_character(character) for character in text if not character.isspace())
    if kind == "digits" and number.isdigit():
        return digits(number)
    if kind == "telephone":
        groups = re.findall(r"\d+", text)
        plus = "plus " if text.startswith("+") else ""
        return plus + ", ".join(map(digits, groups)) if groups else None
    if kind == "date":
        return _date(text, form)
    if kind == "fraction" and (match := re.fullmatch(r"(?:(\d+)[ +])?(\d+)/(\d+)", text)):
        words = fraction(match[2], match[3])
        return f"{cardinal(match[1])} and {words}" if match[1] else words
    if kind == "ordinal" and number.isdigit():
        return ordinal(number)
    if kind in ("cardinal", "number") and (
        match := re.fullmatch(r"([-−]?)(\d+(?:\.\d+)?)", number)
    ):
        return f"{'minus ' if match[1] else ''}{decimal(match[2])}"
    return None


def _character(character: str) -> str:
    if character.isascii() and character.isalpha():
        return letter_names(character)
    if character.isascii() and character.isdigit():
        return digits(character)
    return SIGNS.get(character) or character


def _date(text: str, form: str) -> str | None:
    numbers = re.findall(r"\d+", text)
    order = form if len(form) == len(numbers) else _ORDERS.get(len(numbers), "")
    if not form and len(numbers) == 3 and len(numbers[0]) == 4:
        order = "ymd"
    if len(order) != len(numbers) or re.search("[A-Za-z]", text):
        return None
    parts = dict(zip(order, numbers, strict=True))
    if not set(parts) <= set("ymd") or not 0 < int(parts.get("m", 1)) < 13:
        return None
    words = [MONTHS[int(parts["m"]) - 1].lower()] if "m" in parts else []
    words += [ordinal(parts["d"])] if "d" in parts else []
    years = f", {year(parts['y'])}" if "y" in parts and words else year(parts.get("y", "0"))
    return " ".join(words) + (years if "y" in parts else "")
