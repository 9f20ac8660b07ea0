"""The numbers, names and short forms that people say in a way of their own.

Emergency numbers, ZIP codes, versions, names of files, days and months in ranges, the letters of
iOS and mRNA, and the states of America in addresses. These rules come before the general ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from diff_audio.text.normalise.abbreviations import MONTHS, letter_names
from diff_audio.text.normalise.numbers import cardinal, digits, roman, year
from diff_audio.text.pronunciation.dictionary import lookup

__all__ = ["usage"]

_DAYS = {
    "Mon": "monday", "Tue": "tuesday", "Tues": "tuesday", "Wed": "wednesday", "Thu": "thursday",
    "Thur": "thursday", "Thurs": "thursday", "Fri": "friday", "Sat": "saturday", "Sun": "sunday",
}  # fmt: skip
_MONTHS = {month[:3]: month.lower() for month in MONTHS} | {"Sept": "september"}
_STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California",
    "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "DC": "D C", "FL": "Florida",
    "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana",
    "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine",
    "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota",
    "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada",
    "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York",
    "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon",
    "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia",
    "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
}  # fmt: skip
_LONG = {
    "hrs": "hours", "yrs": "years", "mos": "months", "wks": "weeks", "mins": "minutes",
    "secs": "seconds", "oz": "ounces", "lbs": "pounds", "tsp": "teaspoons", "tbsp": "tablespoons",
    "kgs": "kilograms", "qty": "quantity", "govt": "government", "mph": "miles per hour",
}  # fmt: skip
_PLACES = {
    "Ave": "avenue", "Blvd": "boulevard", "Rd": "road", "Ln": "lane", "Hwy": "highway",
    "Pkwy": "parkway", "Sq": "square", "Ct": "court", "Pl": "place", "Ter": "terrace",
}  # fmt: skip
_BEFORE_NAMES = {"Mt": "mount", "Ft": "fort", "Sgt": "sergeant", "Lt": "lieutenant",
                 "Capt": "captain", "Gen": "general", "Sen": "senator", "Gov": "governor",
                 "Rev": "reverend"}  # fmt: skip

_FILES = (
    "txt|pdf|py|jpe?g|png|gif|svg|docx?|csv|tsv|html?|css|js|ts|exe|zip|tar|gz|mp3|mp4|wav|flac|"
    "ogg|json|xml|yaml|yml|toml|md|xlsx?|pptx?|epub|log|ini|cfg|sh|bat|dll|iso|rtf|cpp|java"
)
_FILE = re.compile(rf"(?<![\w./@])([A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*)\.({_FILES})(?![\w/])")
_ENDINGS = frozenset("zip tar wav flac ogg json java log gif jpeg iso bat yaml epub doc".split())
_FILE_PART = re.compile(r"[A-Za-z]+|\d+|[._-]")
_FILE_SIGNS = {".": "dot", "_": "underscore", "-": "dash"}

_SHORT_DAYS, _SHORT_MONTHS = "|".join(_DAYS), "|".join(_MONTHS)
_DAY_RANGE = re.compile(rf"\b({_SHORT_DAYS})\.?\s?[-–]\s?({_SHORT_DAYS})\b\.?(?!\w)")
_MONTH_RANGE = re.compile(rf"\b({_SHORT_MONTHS})\.?\s?[-–]\s?({_SHORT_MONTHS})\b\.?(?!\w)")
_DAY = re.compile(rf"\b({_SHORT_DAYS})\b\.?(?=,?\s+(?:\d|{_SHORT_MONTHS}))")

_TIME = r"\d{1,2}(?::[0-5]\d)?"
_HALF = r"\s?[aApP]\.?[mM]\b\.?"
_CLOCK_RANGE = re.compile(
    rf"(?<![\d:.,/-])(\d{{1,2}}:[0-5]\d(?:{_HALF})?|{_TIME}{_HALF})\s?[-–]\s?(?={_TIME}(?![\d.,/]))|"
    rf"(?<![\d:.,/-])(\d{{1,2}})\s?[-–]\s?(?={_TIME}{_HALF})"
)
_ZIP = re.compile(
    rf"\b({'|'.join(_STATES)}),?\s+(\d{{5}})(?:-(\d{{4}}))?(?![\d,.-]\d|\d)|"
    r"(?<=\bZIP )(\d{5})\b|(?<=\b[Zz]ip )(\d{5})\b|(?<=\b[Cc]ode )(\d{5})\b"
)
_STATE = re.compile(rf"(?<=[a-z], )({'|'.join(_STATES)})(?=[,.;!?]|\s*$)")
_EMERGENCY = re.compile(
    r"(?<![\d.,$£€#/-])911(?![\d%°:/-]|[.,]\d)"
    r"(?!\s(?!(?:calls|operators|dispatchers|was|is|has|responders|services)\b)[a-z]+s\b)"
)
_DIALLED = re.compile(
    r"(\b(?:[Cc]all(?:ed|ing)?|[Dd]ial(?:ed|led|ing|ling)?|[Tt]ext(?:ed)?) )(\d{3})"
    r"(?![\d,.:%-]\d|\d)(?!\s[a-z]+s\b)"
)
_ROOM = re.compile(
    r"(\b(?:[Rr]oom|[Ss]uite|[Aa]partment|[Aa]pt\.|[Ff]light|[Rr]oute|[Hh]ighway|[Ii]nterstate|"
    r"[Aa]rea [Cc]ode) )([1-9]\d\d\d?)(?![\d:%]|[.,]\d)"
)
_LONG_NUMBER = re.compile(r"(?<![\d.,$£€¥₹+-])(\d{10,})(?![\d%]|[.,]\d)")
_CLASS = re.compile(r"(?<![\w'])'(0\d)(?![\w'])")
_VERSION = re.compile(
    r"\b(?:([Vv])\.?\s?(?=\d+\.\d|\d+\b)|(Python|macOS|iOS|Android|Ubuntu|Fedora|Java|Django|"
    r"[Vv]ersions?|[Rr]eleases?|[Uu]pdate)\s)(\d+)(?:\.(\d+))?(?![\d.]*\d)"
)
_DOTTED_DATE = re.compile(r"(?<![\d.])(\d{1,2})\.(\d{1,2})\.(\d{4})(?!\d|\.\d)")

_WORLD_WAR = re.compile(r"\bWW\s?(II|I|2|1)\b")
_DOCTORATE = re.compile(r"\b(Ph|M|Ed|Psy)D(s)?\b")
_MIXED = re.compile(r"\b([a-z]{1,2}[A-Z]{2,})(s)?\b(?!\d)")
_SYSTEM = re.compile(r"\b([A-Za-z][a-z]{2,})(OS|DB|QL|ML|UI|AI|TV)\b")
_BEFORE_WORD = re.compile(r"\b([ie])(?=([A-Z][a-z]+)\b)")
_YEAR_S = re.compile(r"(?<![\d.,$])(1[1-9]\d[1-9]|20\d[1-9])'s\b")
_RADIO = re.compile(r"\b([AF]M)(?=\s+(?:radio|stations?|bands?|stereo|broadcasts?|dial|tuner)\b)")
_DRIP = re.compile(
    r"\bIV(?=\s+(?:drips?|lines?|fluids?|bags?|poles?|needles?|antibiotics?|access|therapy|"
    r"infusions?|catheters?|medications?|tubes?)\b)|"
    r"(?<=\b[Aa]n )IV(?=\s*[.,;!?]|\s+(?:in|for|into)\b)"
)
_ROMAN = re.compile(r"(?<![\w'-])([MDCLXVI]{4,})(?![\w'-])")
_SHORT = re.compile(rf"(?<![\w.'-])({'|'.join(_LONG)})\b(?!['\w-])(\.(?!\s*$|\s+[A-Z]))?")
_PLACE = re.compile(
    rf"(\b(?:[A-Z][a-z]+|\d+(?:st|nd|rd|th)) )({'|'.join(_PLACES)})\b"
    r"(?!\.)(?=[,;:!?)]|\s+[a-z]|\s*$)"
)
_NAMED = re.compile(rf"(?<![\w.])({'|'.join(_BEFORE_NAMES)})(?=\s[A-Z][a-z])")


def usage(text: str) -> str:
    """Return a text with what people say in a way of their own in words or letters."""
    for pattern, edit in _RULES:
        text = pattern.sub(edit, text)
    return text


def _file(match: re.Match[str]) -> str:
    found: list[str] = _FILE_PART.findall(match[1])
    parts = [_FILE_SIGNS.get(part, part) for part in found]
    letters, number = match[2].rstrip("34"), match[2][len(match[2].rstrip("34")) :]
    ending = letters if letters in _ENDINGS else letter_names(letters)
    return f"{' '.join(parts)} dot {ending} {digits(number)}".rstrip()


def _zip(match: re.Match[str]) -> str:
    if match[1]:
        more = f", {digits(match[3])}" if match[3] else ""
        return f"{_STATES[match[1]]}, {digits(match[2])}{more}"
    return digits(match[4] or match[5] or match[6])


def _long_number(match: re.Match[str]) -> str:
    return match[0] if match[1].endswith("000") else digits(match[1])


def _version(match: re.Match[str]) -> str:
    name = "version" if match[1] else match[2]
    if not match[4]:
        return f"{name} {cardinal(match[3])}"
    part = match[4]
    if len(part) > 1:
        part = f"oh {digits(part[1:])}" if part[0] == "0" else cardinal(part)
    else:
        part = digits(part)
    return f"{name} {cardinal(match[3])} point {part}"


def _dotted_date(match: re.Match[str]) -> str:
    """Return a date with dots, whose day comes first, with its month in letters."""
    day, month = int(match[1]), int(match[2])
    if month > 12:
        day, month = month, day
    return (
        f"{MONTHS[month - 1]} {day}, {match[3]}" if 0 < month < 13 and 0 < day < 32 else match[0]
    )


def _roman(match: re.Match[str]) -> str:
    value = roman(match[1])
    if value is None or lookup(match[1].lower()):
        return match[0]
    return year(str(value)) if 1000 < value < 2100 else cardinal(str(value))


def _short(match: re.Match[str]) -> str:
    return _LONG[match[1]]


def _both(names: dict[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{names[match[1]]} to {names[match[2]]}"


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_FILE, _file),
    (_DAY_RANGE, _both(_DAYS)),
    (_MONTH_RANGE, _both(_MONTHS)),
    (_DAY, lambda m: _DAYS[m[1]]),
    (_CLOCK_RANGE, lambda m: f"{m[1] or m[2]} to "),
    (_ZIP, _zip),
    (_STATE, lambda m: _STATES[m[1]]),
    (_EMERGENCY, lambda m: digits(m[0])),
    (_DIALLED, lambda m: m[1] + digits(m[2])),
    (_ROOM, lambda m: m[1] + year(m[2])),
    (_LONG_NUMBER, _long_number),
    (_CLASS, lambda m: f"oh {digits(m[1][1])}"),
    (_DOTTED_DATE, _dotted_date),
    (_VERSION, _version),
    (_WORLD_WAR, lambda m: f"world war {'two' if m[1] in ('II', '2') else 'one'}"),
    (_DOCTORATE, lambda m: letter_names(f"{m[1]}D") + (m[2] or "")),
    (_MIXED, lambda m: letter_names(m[1]) + (m[2] or "")),
    (_SYSTEM, lambda m: f"{m[1]} {letter_names(m[2])}"),
    (_BEFORE_WORD, lambda m: m[0] if lookup((m[1] + m[2]).lower()) else f"{letter_names(m[1])} "),
    (_YEAR_S, lambda m: f"{year(m[1])}'s"),
    (_RADIO, lambda m: letter_names(m[1])),
    (_DRIP, lambda m: letter_names(m[0])),
    (_ROMAN, _roman),
    (_SHORT, _short),
    (_PLACE, lambda m: m[1] + _PLACES[m[2]]),
    (_NAMED, lambda m: _BEFORE_NAMES[m[1]]),
)
