"""The rules in their order: text as people write it, in words as people say it.

The rules run one after another over the whole text, from those that know most of what they see
(addresses, dates) to those that take what is left (plain numbers, single signs).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from diff_audio.text.normalise.abbreviations import LETTER, acronyms, expand, letter_names, romans
from diff_audio.text.normalise.addresses import addresses
from diff_audio.text.normalise.amounts import measures, money, plain_numbers, ranges, telephones
from diff_audio.text.normalise.dates import dates, times
from diff_audio.text.normalise.science import science
from diff_audio.text.normalise.usage import usage
from diff_audio.text.pronunciation.dictionary import lookup
from diff_audio.text.symbols import GIVEN, PUNCTUATION, STYLE

__all__ = ["tokens"]

_DASH = "\x03"

_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"(?<=\d)\s?\*\s?(?=\d)|(?<=\d)\s?[x×]\s?(?=\d)|×", " times "),
        (r"(?<=[\d)])\s?\^\s?(?=[\d(])", " to the power of "),
        (r"(?<=[\d)]) - (?=[\d(])", " minus "),
        (r"(?<=\d)\s+/\s+(?=\d)|÷", " divided by "),
        (r"\+/-|±", " plus or minus "),
        (r"[~≈]\s?(?=[$£€¥₹]?\d)|≈", " about "),
        (r"<=|≤", " at most "),
        (r">=|≥", " at least "),
        (r"!=|≠", " is not "),
        (r"(?<![-=])[-=]+>|<[-=]+", f" {_DASH} "),
        (r"#\s?(?=\d)", " number "),
        (r"(?<=\b[A-G])#", " sharp "),
        (r"#(?=[A-Za-z])", " hashtag "),
        (r"§+", " section "),
    )
)
_LONE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"&", " and "),
        (r"@", " at "),
        (r"\+", " plus "),
        (r"(?<!=)=(?!=)", " equals "),
        (r"(?<=\w)\s?<\s?(?=\w)", " less than "),
        (r"(?<=\w)\s?>\s?(?=\w)", " greater than "),
        (r"(?<=[A-Za-z])/(?=[A-Za-z])", " slash "),
        (r"\$", " dollars "),
        (r"£", " pounds "),
        (r"€", " euros "),
        (r"¥", " yen "),
        (r"₹", " rupees "),
        (r"¢", " cents "),
        (r"°", " degrees "),
        (r"µ", " micro "),
        (r"—|-{2,}|(?:^|(?<=\s))[-–]+(?=\s|$)", f" {_DASH} "),
        (r"(?<=\w)\s*[({]|[)}](?=\s*\w)", " , "),
    )
)
_RULES: tuple[Callable[[str], str], ...] = (
    addresses,
    usage,
    science,
    dates,
    times,
    money,
    telephones,
    lambda text: _each(_SIGNS, text),
    ranges,
    measures,
    romans,
    expand,
    acronyms,
    plain_numbers,
    lambda text: _each(_LONE, text),
)
_TOKEN = re.compile(
    rf"{LETTER}[A-Z](?:s\b)?|[A-Za-z]+(?:'[A-Za-z]+)*|'[A-Za-z]+|{GIVEN}|{STYLE}|{_DASH}|[,.!?;:]"
)
_STRONGEST = "?!.:;-,"
_VOWEL = re.compile("[aeiouy]")


def _each(rules: tuple[tuple[re.Pattern[str], str], ...], text: str) -> str:
    for pattern, words in rules:
        text = pattern.sub(words, text)
    return text


def tokens(text: str) -> list[str]:
    """The words and punctuation of a folded text (`characters.fold`).

    A word is in lower case; a single capital, perhaps with an "s", is a letter spoken by its name;
    `GIVEN` and `STYLE` stay. Of several marks in a row the strongest stays, and none comes before
    a word.
    """
    for rule in _RULES:
        text = rule(text)
    found: list[str] = []
    last = ""  # of the tokens that are heard
    for token in _TOKEN.findall(text):
        if token == STYLE:
            found.append(token)
            continue
        if token == _DASH:
            token = "-"
        if token not in PUNCTUATION:
            found += _words(token)
        elif last in PUNCTUATION:
            place = max(place for place, one in enumerate(found) if one != STYLE)
            found[place] = token = min(last, token, key=_STRONGEST.index)
        elif last:
            found.append(token)
        last = last and token if token in PUNCTUATION else token
    return found


def _words(token: str) -> list[str]:
    """A token as one word, or as letters if nobody could say it."""
    if token.startswith(LETTER):
        return [token.removeprefix(LETTER)]
    if token == GIVEN:
        return [token]
    word = token.lower()
    if word.startswith("'") and not lookup(word):
        word = word[1:]
    if len(word) == 1 and word not in "ai":
        return [word.upper()]
    if _VOWEL.search(word) or lookup(word):
        return [word]
    stem = word.removesuffix("'s")
    letters = letter_names(stem).replace(LETTER, "").split()
    if stem != word:
        letters[-1] += "s"
    return letters
