"""The square brackets of a text: phonemes, citations, directions of a stage, and the author's
words.

    Say [T AH0 M EY1 T OW2], please.       phonemes: ARPAbet with the stress of a vowel
    as was shown [12, 13]                  a citation: left out
    [laughter] Thank you.                  a direction: left out
    [T]he end of [the government]          words: read
"""

from __future__ import annotations

import re

from diff_audio.text.markup.script import Draft
from diff_audio.text.pronunciation.dictionary import Phones
from diff_audio.text.spoken import Given
from diff_audio.text.symbols import CONSONANTS, SYMBOLS, VOWELS

__all__ = ["brackets", "check", "is_meant", "phones"]

_BRACKET = re.compile(r"[\[\]]")
_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_PHONE = re.compile(r"\S+")
_SOUNDS = frozenset(SYMBOLS[SYMBOLS.index(CONSONANTS[0]) :])
_NESTED = 4

_STRESSED = re.compile(rf"(?<![^\s\]])(?:{'|'.join(VOWELS)})[012](?![^\s\[\]])", re.IGNORECASE)
_CITATION = re.compile(
    r"\s*(?:\d{1,3}[a-z]?(?:\s*[-–,;:]\s*\d{1,3}[a-z]?)*|\^.*|[*†‡§]+|@.*|"
    r"(?:note|nb|fn|ref|footnote|citation|cit)s?\.?\s*\d*|"
    r"[Cc]itation needed.*|edit|who\?|when\?|where\?|clarification needed|dubious.*|"
    r"verification needed|permanent dead link|sic!?|"
    r"[A-Z][\w'’.-]+(?:,? (?:et al\.?|and|&|[A-Z][\w'’.-]+)){0,4},? (?:1[5-9]|20)\d\d[a-z]?.*)\s*"
)
_TIME = re.compile(r"\s*(?:\d{1,2}:)?\d{1,2}:\d\d(?:[.,]\d+)?(?:\s*[-–>]+\s*[\d:.,]+)?\s*")
_DIRECTION = re.compile(
    r"\s*(?!(?:the|an?|his|her|their|my|our|its|this|that|to|of|in)\b)(?:[\w'’]+\s+){0,3}?"
    r"(?:laugh(?:s|ter|ing)?|applau(?:se|ds|ding)|music(?:al)?|sighs?|sighing|"
    r"pauses?|cough(?:s|ing)?|whisper(?:s|ing|ed)?|inaudible|unintelligible|indistinct|crosstalk|"
    r"cross talk|silence|silent|cheer(?:s|ing)?|gasps?|scream(?:s|ing)?|cr(?:y|ies|ying)|"
    r"sob(?:s|bing)?|chuckl(?:e|es|ing)|giggl(?:e|es|ing)|clap(?:s|ping)?|groans?|grunts?|mutters?|"
    r"shout(?:s|ing)|sings?|singing|snorts?|sniff(?:s|les)?|yawns?|knock(?:s|ing)?|footsteps|"
    r"phone rings|ringing|beep(?:s|ing)?|static|noise|background.*|foreign|exeunt|exit|exits|"
    r"enters?|blank_audio|♪.*|clears throat)(?:\s+[\w'’]+){0,4}\s*",
    re.IGNORECASE,
)
_LONGEST = 100
_OPEN = re.compile(r"\[([^\[\]]{0,400})(?=[\[\]]|\Z)")
_NOTE = re.compile(r"(?<=\S)\[([a-z])\]")


def brackets(draft: Draft) -> None:
    """Take the square brackets out of a draft: phonemes are held, words stay, and the rest is
    left out.

    Raises ValueError, with the place, for phonemes with a fault in them.
    """
    for match in _OPEN.finditer(draft.text):
        if draft.text.startswith("]", match.end()) or not is_meant(match[1]):
            continue
        place = int(draft.places[match.start()])
        if draft.text.startswith("[", match.end()):
            inner = int(draft.places[match.end()])
            raise ValueError(
                f"text: '[' at character {inner} inside the bracket opened at {place}: "
                "expected ']' first"
            )
        raise ValueError(f"text: '[' at character {place} is never closed: expected ']'")
    for _ in range(_NESTED):
        if "[" not in draft.text:
            break
        draft.sub(_NOTE, lambda m: draft.skip(m, "citation"))
        draft.sub(_INNERMOST, lambda m: _edit(draft, m))
    draft.sub(_BRACKET, " ")


def _edit(draft: Draft, match: re.Match[str]) -> str | int:
    inside = match[1]
    if is_meant(inside) and (_STRESSED.search(inside) or len(inside.split()) > 1):
        found = phones(inside, int(draft.places[match.start()]) + 1)
        return draft.hold(Given(found, f"[{' '.join(found)}]"))
    if len(inside) > _LONGEST:
        return 1
    if _TIME.fullmatch(inside):
        return draft.skip(match, "time mark")
    if _CITATION.fullmatch(inside):
        return draft.skip(match, "citation")
    return draft.skip(match, "stage direction") if _DIRECTION.fullmatch(inside) else 1


def is_meant(inside: str) -> bool:
    """Return whether phonemes are meant: a vowel has its stress, or all are names of sounds."""
    words = inside.split()
    return bool(_STRESSED.search(inside)) or (
        bool(words) and all(word in CONSONANTS or word in VOWELS for word in words)
    )


def check(text: str) -> None:
    """Raise ValueError, with the place, where square brackets hold anything but phonemes: for
    faults in them, and for empty, nested and unpaired brackets.
    """
    opened = -1
    for match in _BRACKET.finditer(text):
        place = match.start()
        if match[0] == "[":
            if opened >= 0:
                raise ValueError(
                    f"text: '[' at character {place} inside the bracket opened at {opened}: "
                    "expected ']' first"
                )
            opened = place
            continue
        if opened < 0:
            raise ValueError(f"text: ']' at character {place} without '[' before it")
        phones(text[opened + 1 : place], opened + 1)
        opened = -1
    if opened >= 0:
        raise ValueError(f"text: '[' at character {opened} is never closed: expected ']'")


def phones(text: str, place: int = 0) -> Phones:
    """Return the phonemes of ARPAbet that a text names.

    Raises ValueError, with the position in `text` plus `place`, for what is no phoneme; a vowel
    needs its stress.
    """
    found: list[str] = []
    for match in _PHONE.finditer(text):
        phone = match[0].upper()
        if phone not in _SOUNDS:
            where = f"text: {match[0]!a} at character {place + match.start()} is no phoneme"
            if phone in VOWELS:
                raise ValueError(f"{where}: a vowel needs its stress, such as {phone}1")
            raise ValueError(f"{where}: expected ARPAbet in brackets, as in [HH AH0 L OW1]")
        found.append(phone)
    if not found:
        raise ValueError(
            f"text: the bracket at character {place - 1} is empty: "
            "expected ARPAbet, as in [HH AH0 L OW1]"
        )
    return tuple(found)
