"""The dates and times of day in words. Dates of numbers alone are read month first, as in
America.
"""

from __future__ import annotations

import re

from diff_audio.text.normalise.abbreviations import MONTHS, letter_names
from diff_audio.text.normalise.numbers import cardinal, digits, ordinal, plural, year

__all__ = ["dates", "times"]

_NAMES = {name[:3].lower(): name.lower() for name in MONTHS}
_MONTH = (
    r"(Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?\.?|July?\.?|"
    r"Aug(?:ust|\.)?|Sept(?:ember|\.)?|Sep\.?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?)"
)
_NUMBER = r"(?<![\d.,/:-])"
_END = r"(?![\d/:%]|[.,-]\d)"
_ISO = re.compile(_NUMBER + r"(\d{4})-(\d\d)-(\d\d)" + _END)
_SLASHED = re.compile(_NUMBER + r"(\d{1,2})/(\d{1,2})/(\d{4}|\d\d)" + _END)
_MONTH_DAY = re.compile(
    rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?(?![A-Za-z]){_END}(?:,?\s+(\d{{4}}){_END})?"
)
_DAY_MONTH = re.compile(
    rf"(\b[Tt]he\s+)?{_NUMBER}\b(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?![a-z])"
    rf"(?:,?\s+(\d{{4}}){_END})?"
)
_MONTH_YEAR = re.compile(rf"\b{_MONTH},?\s+(\d{{4}}){_END}")
_DECADE = re.compile(r"(?<![\d.,$£€])'?(\d{2}0|\d{3}0|\d0)'?s\b")
_ERA = re.compile(_NUMBER + r"(\d{1,4})\s*(BCE|BC|AD|CE|B\.C\.|A\.D\.)(?![A-Za-z])")
_ERA_FIRST = re.compile(r"\b(AD|A\.D\.)\s*(\d{1,4})" + _END)

_HALF = r"([aApP])(?:\.\s?[mM]\.(?:(?=(\s*$|\s+[A-Z]))|)|\s?[mM]\b)"
_CLOCK = re.compile(rf"(?<![\d:.])(\d{{1,2}}):([0-5]\d)(?::([0-5]\d))?(?![\d:])(?:\s?{_HALF})?")
_HOUR = re.compile(rf"(?<![\d:.])(1[0-2]|0?[1-9])\s?{_HALF}")


def dates(text: str) -> str:
    """Return `text` with its dates, decades and years of an era in words."""

    def iso(match: re.Match[str]) -> str:
        return _date(match, match[2], match[3], year(match[1]))

    def slashed(match: re.Match[str]) -> str:
        month, day = match[1], match[2]
        if int(month) > 12:
            month, day = day, month
        return _date(match, month, day, _short_year(match[3]))

    def month_day(match: re.Match[str]) -> str:
        end = f", {year(match[3])}" if match[3] else ""
        return f"{_month(match[1])} {ordinal(match[2])}{end}" if _is_day(match[2]) else match[0]

    def day_month(match: re.Match[str]) -> str:
        end = f", {year(match[4])}" if match[4] else ""
        if not _is_day(match[2]):
            return match[0]
        return f"{match[1] or 'the '}{ordinal(match[2])} of {_month(match[3])}{end}"

    text = _SLASHED.sub(slashed, _ISO.sub(iso, text))
    text = _MONTH_DAY.sub(month_day, _DAY_MONTH.sub(day_month, text))
    text = _MONTH_YEAR.sub(lambda m: f"{_month(m[1])} {year(m[2])}", text)
    text = _ERA_FIRST.sub(lambda m: f"{letter_names(m[1])} {year(m[2])}", text)
    text = _ERA.sub(lambda m: f"{year(m[1])} {letter_names(m[2])}", text)
    return _DECADE.sub(lambda m: f" {plural(year(m[1]))} ", text)


def times(text: str) -> str:
    """Return `text` with its times of day in words: "3:05 p.m." as "three oh five P M"."""

    def clock(match: re.Match[str]) -> str:
        hour, minute, second = match[1], match[2], match[3]
        if int(hour) > 24:
            return match[0]
        words = [cardinal(hour)]
        if minute != "00":
            words.append(_short_year(minute))
        elif not match[4]:
            words.append("o'clock" if 0 < int(hour) < 13 else "hundred")
        if second:
            words.append(f"and {cardinal(second)} second{'s' if second != '01' else ''}")
        return " ".join(words) + _half(match, 4)

    return _HOUR.sub(lambda m: cardinal(m[1]) + _half(m, 2), _CLOCK.sub(clock, text))


def _half(match: re.Match[str], group: int) -> str:
    if not match[group]:
        return ""
    return f" {letter_names(match[group] + 'm')}" + ("." if match[group + 1] is not None else "")


def _date(match: re.Match[str], month: str, day: str, year_words: str) -> str:
    if not (0 < int(month) < 13 and _is_day(day)):
        return match[0]
    return f"{MONTHS[int(month) - 1].lower()} {ordinal(day)}, {year_words}"


def _is_day(text: str) -> bool:
    return 0 < int(text) < 32


def _month(text: str) -> str:
    return _NAMES[text[:3].lower()]


def _short_year(text: str) -> str:
    """Return two digits, or a whole year, in words: "05" as "oh five"."""
    if len(text) == 4:
        return year(text)
    return f"oh {digits(text[1])}" if text[0] == "0" else cardinal(text)
