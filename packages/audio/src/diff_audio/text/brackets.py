"""The phonemes given within a text: `Say [T AH0 M EY1 T OW2], please.`"""

from __future__ import annotations

import re

from diff_audio.text.pronunciation.dictionary import Phones
from diff_audio.text.symbols import CONSONANTS, GIVEN, SYMBOLS, VOWELS

__all__ = ["take"]

_BRACKET = re.compile(r"[\[\]]")
_PHONE = re.compile(r"\S+")
_SOUNDS = frozenset(SYMBOLS[SYMBOLS.index(CONSONANTS[0]) :])


def take(text: str) -> tuple[str, list[Phones]]:
    """Return `text` with `GIVEN` for each bracket and spaces up to its length, and what was in
    them.

    Raises ValueError, with the position from 0, for a bracket that is not closed, not opened,
    empty or within another, and for what is no phone of ARPAbet; a vowel needs its stress.
    """
    given: list[Phones] = []
    parts: list[str] = []
    opened, last = -1, 0
    text = text.replace(GIVEN, " ")
    for match in _BRACKET.finditer(text):
        place = match.start()
        if match[0] == "[":
            if opened >= 0:
                raise ValueError(
                    f"text: '[' at character {place} inside the bracket opened at {opened}: "
                    "expected ']' first"
                )
            parts.append(text[last:place])
            opened = place
            continue
        if opened < 0:
            raise ValueError(f"text: ']' at character {place} without '[' before it")
        given.append(_phones(text, opened + 1, place))
        parts.append(GIVEN + " " * (place - opened))
        opened, last = -1, place + 1
    if opened >= 0:
        raise ValueError(f"text: '[' at character {opened} is never closed: expected ']'")
    parts.append(text[last:])
    return "".join(parts), given


def _phones(text: str, start: int, end: int) -> Phones:
    found: list[str] = []
    for match in _PHONE.finditer(text, start, end):
        phone = match[0].upper()
        if phone not in _SOUNDS:
            where = f"text: {match[0]!a} at character {match.start()} is no phoneme"
            if phone in VOWELS:
                raise ValueError(f"{where}: a vowel needs its stress, such as {phone}1")
            raise ValueError(f"{where}: expected ARPAbet in brackets, as in [HH AH0 L OW1]")
        found.append(phone)
    if not found:
        raise ValueError(
            f"text: the bracket at character {start - 1} is empty: "
            "expected ARPAbet, as in [HH AH0 L OW1]"
        )
    return tuple(found)
