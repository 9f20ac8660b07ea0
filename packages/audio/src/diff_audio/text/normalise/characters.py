"""The folding of any Unicode text into the few characters that the rules know."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from diff_audio.text.spoken import Skipped

__all__ = ["fold"]

# What the rules for numbers and symbols know beyond ASCII.
_KEPT = frozenset("£€¥₹¢°×÷±≈≤≥≠§√")
_PLAIN = {
    **dict.fromkeys("‘’‚‛′ʼʻ`´", "'"),
    **dict.fromkeys("“”„‟″«»‹›", '"'),
    **dict.fromkeys("‐‑", "-"),
    **dict.fromkeys("‒–", "–"),  # between numbers: a range
    **dict.fromkeys("—―⸺⸻", " — "),
    "−": "-",
    "…": "...",
    "⁄": "/",
    "∕": "/",
    "²": " squared",
    "³": " cubed",
    "µ": "µ",
    "μ": "µ",
    "№": "No. ",
    "∞": " infinity ",
    "∑": " sum of ",
    "∫": " integral of ",
    "∆": " delta ",
    "∈": " in ",
    "∝": " proportional to ",
    "‰": " per mille ",
    "⋅": " times ",
    "→": " -> ",
    "⇒": " => ",
    "←": " <- ",
    "₩": " won ",
    "₽": " rubles ",
    "₿": " bitcoin ",
    "℃": "°C",
    "℉": "°F",
    "º": "°",
    "¡": "",
    "¿": "",
    **dict.fromkeys("™®©℠•·‣▪●◦", " "),
    "ß": "ss",
    "æ": "ae",
    "Æ": "Ae",
    "œ": "oe",
    "Œ": "Oe",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ð": "th",
    "Ð": "Th",
    "þ": "th",
    "Þ": "Th",
    "ı": "i",
    "，": ",",
    "。": ".",
    "、": ",",
}
_FOREIGN = re.compile(r"[^\x01\x02\x04\t\n\r -~]+")  # marks of ours: LETTER, GIVEN, STYLE
_CONTROL = re.compile(r"[\x00\x03\x05-\x08\x0b-\x1f\x7f]")  # all but those
_GREEK = re.compile(r"GREEK (?:SMALL|CAPITAL) LETTER (?:FINAL )?([A-Z]+)(?: WITH .*)?")


def fold(text: str) -> tuple[str, list[Skipped]]:
    """Return `text` in ASCII, a few symbols and dashes (– — µ), and what could not be turned into
    them.

    Accents are dropped, ligatures and wide forms made plain, a single Greek letter is written out.
    Control characters and variation selectors go without a word.
    """
    skipped: list[Skipped] = []

    def plain(match: re.Match[str]) -> str:
        parts: list[str] = []
        for part, run in _runs(match[0]):
            if run is None:
                parts.append(part)
                continue
            place = match.start() + run
            if len(part) == 1 and (greek := _GREEK.fullmatch(unicodedata.name(part, ""))):
                parts.append(f" {greek[1].lower().replace('lamda', 'lambda')} ")
                continue
            skipped.append(Skipped(place, part, _name(part)))
            parts.append(" ")
        return "".join(parts)

    folded = _FOREIGN.sub(plain, text)
    return _CONTROL.sub(" ", folded), skipped


def _runs(text: str) -> Iterator[tuple[str, int | None]]:
    """Yield plain pieces of `text` with None, and unspeakable runs of one kind with where they
    start.
    """
    run, start, kind = "", 0, ""
    for place, character in enumerate(text):
        plain = _plain(character)
        if plain == "" and run:
            run += character  # a joiner or mark belongs to what it follows
            continue
        new = "" if plain is not None else _kind(character)
        if run and new != kind:
            yield run.rstrip(), start
            run = ""
        if plain is None:
            if not run:
                start, kind = place, new
            run += character
        else:
            yield plain, None
    if run:
        yield run, start


def _plain(character: str) -> str | None:
    """A character as the rules know it; "" if it is silent, None if there is no such thing."""
    if character in _KEPT or "\t" <= character <= "~":
        return character
    if (known := _PLAIN.get(character)) is not None:
        return known
    category = unicodedata.category(character)
    if category[0] == "M" or category in ("Cc", "Cf"):
        return ""
    if category[0] == "Z":
        return " "
    if category == "Nd":
        return str(unicodedata.digit(character))
    parts = unicodedata.normalize("NFKD", character)
    if parts == character:
        return None
    base = [_PLAIN.get(part, part) for part in parts if unicodedata.category(part)[0] != "M"]
    plain = "".join(base)
    if not plain or any(not " " <= letter <= "~" for letter in plain):
        return None
    return f" {plain} " if category == "No" and "/" in plain else plain  # ½ stands by itself


def _kind(character: str) -> str:
    """The script of a letter, such as CYRILLIC; the full name of anything else."""
    name = unicodedata.name(character, f"U+{ord(character):04X}")
    if unicodedata.category(character)[0] == "L" and not name.startswith("U+"):
        return name.split()[0]
    return name


def _name(run: str) -> str:
    return _kind(run[0])
