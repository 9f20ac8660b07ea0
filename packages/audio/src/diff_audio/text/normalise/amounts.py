"""The amounts in words: money, measures, telephone numbers, ranges, fractions, plain numbers."""

from __future__ import annotations

import re

from diff_audio.text.normalise.abbreviations import letter_names
from diff_audio.text.normalise.numbers import cardinal, decimal, digits, fraction, ordinal, year

__all__ = ["measures", "money", "plain_numbers", "ranges", "telephones"]

_N = r"(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?![\d])"
_FREE = r"(?<![\w.])(?<!\d,)"

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_SCALES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million",
           "b": "billion", "B": "billion", "bn": "billion", "tn": "trillion"}  # fmt: skip
_SCALE = r"(?:\s?(thousand|million|billion|trillion|[kKmMbB]n?|tn)(?![A-Za-z]))?"
_MONEY_RANGE = re.compile(rf"([$£€¥₹])\s?{_N}\s?[-–]\s?[$£€¥₹]?{_N}{_SCALE}")
_MONEY = re.compile(rf"(?:\b(?:US|CA|AU|HK|A|C))?([$£€¥₹])\s?{_N}{_SCALE}")
_CENTS = re.compile(rf"{_FREE}{_N}\s?¢")

_UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer",
    "µm": "micrometer", "mi": "mile", "yd": "yard", "kg": "kilogram", "g": "gram",
    "mg": "milligram", "µg": "microgram", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "cl": "centiliter",
    "gal": "gallon", "h": "hour", "hr": "hour", "hrs": "hour", "min": "minute",
    "mins": "minute", "s": "second", "sec": "second", "secs": "second", "ms": "millisecond",
    "µs": "microsecond", "ns": "nanosecond", "kB": "kilobyte", "KB": "kilobyte",
    "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "W": "watt", "kW": "kilowatt",
    "MW": "megawatt", "GW": "gigawatt", "kWh": "kilowatt hour", "V": "volt", "mV": "millivolt",
    "kV": "kilovolt", "mA": "milliamp", "J": "joule", "kJ": "kilojoule", "kcal": "kilocalorie",
    "cal": "calorie", "N": "newton", "Pa": "pascal", "kPa": "kilopascal", "ha": "hectare",
    "kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second",
    "km/h": "kilometer per hour", "kph": "kilometer per hour", "mph": "mile per hour",
    "m/s": "meter per second", "mpg": "mile per gallon",
}  # fmt: skip
_UNCHANGED = {"Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz",
              "ft": "feet", "dB": "decibels", "rpm": "R P M", "USD": "U S dollars",
              "EUR": "euros", "GBP": "pounds sterling"}  # fmt: skip
_UNIT = re.compile(
    rf"{_FREE}{_N}[ -]?"
    rf"({'|'.join(sorted([*_UNITS, *_UNCHANGED], key=len, reverse=True))})(?![A-Za-z0-9'/])\.?"
    r"(?=(\s*$|\s+[A-Z])?)"
)
_PER = re.compile(
    rf"{_FREE}{_N}\s?(km|m|kg|g|mg|ml|l|L|mi|kB|MB|GB|kJ|J)/(kg|m|s|h|min|l|L|ml|day|week|hour)"
    r"(?![A-Za-z])"
)
_DEGREES = re.compile(r"\s?°\s?([CF])?(?![a-z])")
_FEET_INCHES = re.compile(r"(?<!\w)(\d{1,2})'\s?(\d{1,2})(?:\"|'')")
_SCALE_NAMES = {"C": "celsius", "F": "fahrenheit"}

_TELEPHONE = re.compile(
    r"(?<![\w.,/-])(?:\+?\d{1,3}[-. ])?(?:\(\d{3}\)\s?|\d{3}[-. ])?\d{3}[-. ]\d{4}"
    r"(?![\w/-]|[.,]\d)"
)
_ABROAD = re.compile(r"(?<!\w)\+(\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6})(?![\w/])")

_RANGE = re.compile(rf"{_FREE}(?<!-){_N}(?:-|\s?–\s?){_N}(?![-–]\d)")
_RATIO = re.compile(rf"{_FREE}(\d+):(\d+)(?![\d:])")
_FRACTION = re.compile(r"(?<![\w./,])(?:(\d+)[ -])?(\d{1,3})/(\d{1,3})(?![\w/]|\.\d)")
_AS_SAID = {("24", "7"): "twenty four seven", ("9", "11"): "nine eleven"}

_ORDINAL = re.compile(rf"{_FREE}(\d{{1,3}}(?:,\d{{3}})+|\d+)(?:st|nd|rd|th)(?![A-Za-z])")
_DOTTED = re.compile(r"(?<!\d)\d+(?:\.\d+){2,}")
_MINUS = re.compile(r"(?<![\w)\]])[-–](?=\.?\d)")
_POINT = re.compile(r"(?<!\d)\.(\d+)")
_GLUED = re.compile(r"(?<=[A-Za-z])-?(?=\d)|(?<=\d)-?(?=[A-Za-z])")
_YEAR = re.compile(
    r"(?:(?<=\b[Ii]n )|(?<=\b[Bb]y )|(?<=\bof )|(?<=[Ss]ince )|(?<=[Uu]ntil )|(?<=year )|"
    r"(?<![\d,.]))(?<!\d)(1[1-9]\d\d|20\d\d)(?![\d]|[.,]\d)"
    r"(?!\s+(?!(?:was|is|has|as|this|its|his|us|does|yes)\b)[a-z]+s\b)"
)
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+\.\d+|\d+")


def money(text: str) -> str:
    """Return the text with amounts of money in words: "$3.50" as "three dollars and fifty
    cents".
    """

    def spread(match: re.Match[str]) -> str:
        scale = f"{_scale(match[4])} " if match[4] else ""
        return f"{decimal(match[2])} to {decimal(match[3])} {scale}{_CURRENCIES[match[1]][1]} "

    text = _MONEY.sub(_amount, _MONEY_RANGE.sub(spread, text))
    return _CENTS.sub(lambda m: f"{decimal(m[1])} {'cent' if m[1] == '1' else 'cents'}", text)


def _scale(short: str) -> str:
    return _SCALES.get(short, short)


def _amount(match: re.Match[str]) -> str:
    one, many, small, smalls = _CURRENCIES[match[1]]
    number = match[2].replace(",", "")
    if match[3]:
        return f"{decimal(number)} {_scale(match[3])} {many} "
    whole, _, part = number.partition(".")
    if part and len(part) != 2:
        return f"{decimal(number)} {many} "
    wholes = f"{cardinal(whole)} {one if whole == '1' else many}"
    if not part or part == "00":
        return f"{wholes} "
    parts = f"{cardinal(part)} {small if part == '01' else smalls}"
    return f"{wholes} and {parts} " if whole.strip("0") else f"{parts} "


def measures(text: str) -> str:
    """Return the text with units, degrees and per cent in words: "5 km" as "five kilometers"."""

    def unit(match: re.Match[str]) -> str:
        name, count = match[2], match[1]
        end = "." if match[3] is not None and match[0].endswith(".") else ""
        if name in _UNCHANGED:
            words = "foot" if name == "ft" and count == "1" else _UNCHANGED[name]
            spelled = re.sub(r"\b[A-Z]\b", lambda m: letter_names(m[0]), words)
            return f"{decimal(count)} {spelled}{end} "
        return f"{decimal(count)} {_plural(_UNITS[name], count)}{end} "

    def per(match: re.Match[str]) -> str:
        under = _UNITS.get(match[3], match[3])
        return f"{decimal(match[1])} {_plural(_UNITS[match[2]], match[1])} per {under} "

    def degrees(match: re.Match[str]) -> str:
        return f" degrees {_SCALE_NAMES[match[1]]} " if match[1] else " degrees "

    text = _FEET_INCHES.sub(lambda m: f"{cardinal(m[1])} feet {cardinal(m[2])} inches ", text)
    text = _PER.sub(per, text)
    return _DEGREES.sub(degrees, _UNIT.sub(unit, text)).replace("%", " percent ")


def _plural(unit: str, count: str) -> str:
    if count == "1":
        return unit
    first, gap, rest = unit.partition(" per ")
    return f"{first}s{gap}{rest}"


def telephones(text: str) -> str:
    """Return the text with telephone numbers digit by digit, with a pause between groups."""

    def groups(match: re.Match[str]) -> str:
        start = "plus " if match[0].startswith("+") else ""
        return start + ", ".join(digits(group) for group in re.findall(r"\d+", match[0])) + " "

    return _ABROAD.sub(groups, _TELEPHONE.sub(groups, text))


def ranges(text: str) -> str:
    """Return the text with "to" between the numbers of ranges and ratios, and fractions in
    words.
    """

    def fractional(match: re.Match[str]) -> str:
        if not match[1] and (match[2], match[3]) in _AS_SAID:
            return _AS_SAID[match[2], match[3]]
        words = fraction(match[2], match[3])
        return f"{cardinal(match[1])} and {words}" if match[1] else words

    text = _RANGE.sub(r"\1 to \2", _RATIO.sub(r"\1 to \2", text))
    return _FRACTION.sub(fractional, text)


def plain_numbers(text: str) -> str:
    """Return the text with all digits that are left in words."""
    text = _ORDINAL.sub(lambda m: f"{ordinal(m[1].replace(',', ''))} ", text)
    text = _MINUS.sub(" minus ", text)
    text = _DOTTED.sub(lambda m: f" {' dot '.join(cardinal(n) for n in m[0].split('.'))} ", text)
    text = _POINT.sub(lambda m: f" point {digits(m[1])} ", text)
    text = _GLUED.sub(" ", text)
    text = _YEAR.sub(lambda m: f" {year(m[1])} ", text)
    return _NUMBER.sub(_plain, text)


def _plain(match: re.Match[str]) -> str:
    number = match[0]
    if number.isdigit() and len(number) > 1 and number.startswith("0"):
        return f" {digits(number)} "
    return f" {decimal(number)} "
