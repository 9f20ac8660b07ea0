"""The signs of mathematics and measure: negative money, powers of ten, inches, roots, sizes."""

from __future__ import annotations

import re

from diff_audio.text.normalise.numbers import cardinal, decimal

__all__ = ["science"]

_NEGATIVE = re.compile(r"(?<![\w.)\]%])-\s?(?=[$£€¥₹]\s?\d)|(?<=[$£€¥₹])-(?=\d)")
_PER = re.compile(
    r"([$£€¥₹]\s?[\d.,]*\d[kKmMbB]?n?)\s?/\s?"
    r"(months?|mo|years?|yr|hours?|hr|days?|weeks?|wk|nights?|person|head|user|seat|piece|unit|"
    r"mile|gallon|gal|liter|lb|oz|kg|ton|minute|min|share|sq ft|page|word)\b\.?(?!\w)"
)
_PERIODS = {"mo": "month", "yr": "year", "hr": "hour", "wk": "week", "gal": "gallon",
            "lb": "pound", "oz": "ounce", "kg": "kilogram", "min": "minute",
            "sq ft": "square foot"}  # fmt: skip
_POWER_OF_TEN = re.compile(r"(?<![\w.])([-−]?)(\d+(?:\.\d+)?)[eE]([+-]?)(\d{1,3})(?![\w.]\d|\w)")
_NEGATIVE_POWER = re.compile(r"(?<=[\d)])\s?\^\s?\(?-\s?(\d+)\)?")
_SIZE = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)([\"'])?[x×]"
    r"(?=\d+(?:\.\d+)?(?![\d.]*\s?\^)(?!\s?=)(?![A-Za-z]*[\d.]*\s?=))"
)
_TIMES = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)x(?![\w.]\w|\w)")
_ROOT = re.compile(r"√\s?")
_INCHES = re.compile(r"(?<![\w.'\"])(\d{1,3}(?:\.\d+)?)(\"|'')(?!\w)(?=(\s+[a-z]+)?)")
_INCHES_DOT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)[ -]?in\.(?=\s+[a-z(]|\s*[,;)]|\s*$)")
_FEET = re.compile(r"(?<![\w.'])(\d{1,3})'(?=\s+(?:tall|long|wide|high|deep|by|x)\b)")
_AFTER_MANY = frozenset(
    "tall long wide high deep thick of and or by in is was to from above below".split()
)
_OPENING, _CLOSING = re.compile(r"(?:^|(?<=[\s(-]))\"(?=\S)"), re.compile(r"(?<=[^\s\d(-])\"")
_HALVES = re.compile(r"(?<![\w./])(50/50|20/20)(?![\w/]|\.\d)")


def science(text: str) -> str:
    """Return a text with the signs of mathematics and of sizes in words."""
    text = _PER.sub(lambda m: f"{m[1]} per {_PERIODS.get(m[2], m[2])} ", text)
    text = _NEGATIVE.sub(" minus ", text)
    text = re.sub(r"([$£€¥₹]) minus ", r"minus \1", text)
    text = _POWER_OF_TEN.sub(_power, text)
    text = _NEGATIVE_POWER.sub(lambda m: f" to the power of minus {cardinal(m[1])} ", text)
    text = _HALVES.sub(lambda m: "fifty fifty" if m[1][0] == "5" else "twenty twenty", text)
    text = _SIZE.sub(lambda m: f"{m[1]}{m[2] or ''} by ", text)
    text = _TIMES.sub(lambda m: f"{m[1]} times ", text)
    text = _ROOT.sub(" square root of ", text)
    text = _INCHES_DOT.sub(lambda m: _inches(m[1], many=True), text)
    text = _FEET.sub(lambda m: f"{cardinal(m[1])} feet", text)
    return _INCHES.sub(_quote, text)


def _power(match: re.Match[str]) -> str:
    sign = "minus " if match[1] else ""
    minus = "minus " if match[3] == "-" else ""
    return f"{sign}{decimal(match[2])} times ten to the power of {minus}{cardinal(match[4])} "


def _quote(match: re.Match[str]) -> str:
    """Return inches, unless the mark closes a quotation that is open."""
    before = match.string[: match.start(2)]
    if match[2] == '"' and len(_OPENING.findall(before)) > len(_CLOSING.findall(before)):
        return match[0]
    after = (match[3] or "").strip()
    return _inches(match[1], many=not after or after in _AFTER_MANY)


def _inches(number: str, *, many: bool) -> str:
    return f"{decimal(number)} {'inches' if many and number != '1' else 'inch'} "
