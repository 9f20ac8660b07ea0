"""The numbers in English words.

Forms are American: no "and" within a number, "point" before decimals.
"""

from __future__ import annotations

import re

__all__ = ["cardinal", "decimal", "digits", "fraction", "ordinal", "plural", "roman", "year"]

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_LARGE = (
    "thousand million billion trillion quadrillion quintillion sextillion septillion octillion "
    "nonillion decillion"
).split()
_ORDINAL = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_IS_ROMAN = re.compile(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")

# Longer numbers have no name here, and nobody would count along: their digits are read.
MOST_DIGITS = 3 * (len(_LARGE) + 1)


def digits(text: str) -> str:
    """Return every digit by itself, whatever stands between them left out: "007" as "zero zero
    seven".
    """
    return " ".join(_SMALL[int(digit)] for digit in text if digit in "0123456789")


def cardinal(text: str) -> str:
    """A whole number of digits: "21" to "twenty one"; digit by digit beyond 36 of them."""
    short = text.lstrip("0")
    if not short:
        return "zero"
    if len(short) > MOST_DIGITS:
        return digits(text)
    groups = [int(short[max(0, end - 3) : end]) for end in range(len(short), 0, -3)]
    names = ["", *_LARGE]
    parts = [
        f"{_below_thousand(group)} {names[place]}".strip()
        for place, group in enumerate(groups)
        if group
    ]
    return " ".join(reversed(parts))


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    parts = [f"{_SMALL[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        parts.append(_TENS[rest // 10 - 2])
        rest %= 10
    if rest:
        parts.append(_SMALL[rest])
    return " ".join(parts)


def ordinal(text: str) -> str:
    """The ordinal of a whole number of digits: "21" to "twenty first"."""
    head, _, last = cardinal(text).rpartition(" ")
    if last in _ORDINAL:
        last = _ORDINAL[last]
    elif last.endswith("y"):
        last = f"{last[:-1]}ieth"
    else:
        last = f"{last}th"
    return f"{head} {last}".strip()


def decimal(text: str) -> str:
    """A number with or without a decimal point and commas: "1,234.50", ".5"."""
    whole, point, part = text.replace(",", "").partition(".")
    if not point:
        return cardinal(whole)
    return f"{cardinal(whole or '0')} point {digits(part)}"


def year(text: str) -> str:
    """A year of one to four digits as it is read: 1995, 1900, 1905, 2000, 2007, 2024."""
    short = text.lstrip("0")
    if len(short) < 3:
        return cardinal(text)
    century, rest = short[:-2], short[-2:]
    if rest == "00":
        return cardinal(short) if century.endswith("0") else f"{cardinal(century)} hundred"
    if rest[0] == "0":
        if len(century) == 2 and century.endswith("0"):
            return cardinal(short)
        return f"{cardinal(century)} oh {cardinal(rest)}"
    return f"{cardinal(century)} {cardinal(rest)}"


def fraction(over: str, under: str) -> str:
    """A fraction of two whole numbers: ("3", "4") to "three quarters"."""
    one = over.lstrip("0") == "1"
    if under.lstrip("0") in ("", "1") or len(under) > 3:
        return f"{cardinal(over)} over {cardinal(under)}"
    if int(under) == 2:
        name = "half" if one else "halves"
    elif int(under) == 4:
        name = "quarter" if one else "quarters"
    else:
        name = ordinal(under) if one else plural(ordinal(under))
    return f"{cardinal(over)} {name}"


def plural(word: str) -> str:
    """The plural of a number word: "sixty" to "sixties"."""
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("x", "s")) else f"{word}s"


def roman(text: str) -> int | None:
    """The number that a Roman numeral in capitals stands for, 1 to 3999; None if it is none."""
    if not text or not _IS_ROMAN.fullmatch(text):
        return None
    values = [_ROMAN[letter] for letter in text]
    following = [*values[1:], 0]
    return sum(-v if v < after else v for v, after in zip(values, following, strict=True))
