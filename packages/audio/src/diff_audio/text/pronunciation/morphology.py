"""The words that the dictionary lacks, made of one that it has and an ending.

The endings -s, -'s, -ed, -ing, -in', -er, -est, -ly, -ness, -less, -ful, -like, -able, -ment, and
the contractions. Beginnings (un-, re-) and compounds are left to the letters: on held-out words of
the dictionary they came out right less often when composed.
"""

from __future__ import annotations

from diff_audio.text.pronunciation.dictionary import Phones, lookup

__all__ = ["VOICELESS", "compose", "with_s"]

VOICELESS = frozenset("P T K F TH S SH CH HH".split())
"""The voiceless consonants, after which -s and -ed are voiceless too."""
_HISSING = frozenset("S Z SH ZH CH JH".split())
_VOWELS = frozenset("aeiou")

_PLAIN_ENDINGS: dict[str, Phones] = {
    "ness": ("N", "AH0", "S"),
    "less": ("L", "AH0", "S"),
    "ful": ("F", "AH0", "L"),
    "ship": ("SH", "IH2", "P"),
    "like": ("L", "AY2", "K"),
    "ment": ("M", "AH0", "N", "T"),
    "wise": ("W", "AY2", "Z"),
    "ly": ("L", "IY0"),
    "'ll": ("AH0", "L"),
    "'ve": ("AH0", "V"),
    "'re": ("ER0",),
    "'d": ("D",),
    "n't": ("AH0", "N", "T"),
}
# Before these a final e is dropped and a final consonant may be doubled.
_VOWEL_ENDINGS: dict[str, Phones] = {
    "ing": ("IH0", "NG"),
    "in'": ("IH0", "N"),
    "ers": ("ER0", "Z"),
    "er": ("ER0",),
    "est": ("AH0", "S", "T"),
    "able": ("AH0", "B", "AH0", "L"),
    "ish": ("IH0", "SH"),
    "y": ("IY0",),
}
_SHORTEST_STEM = 3


def compose(word: str) -> Phones | None:
    """The pronunciation of a word from its parts; None if its parts are not known either."""
    if "'" in word and not any(word.endswith(end) for end in _PLAIN_ENDINGS):
        stem, _, end = word.rpartition("'")
        if end == "s" and (found := _known(stem)):
            return with_s(found)
    return _inflected(word)


def _known(word: str) -> Phones | None:
    found = lookup(word)
    return found[0] if found else _inflected(word)


def _inflected(word: str) -> Phones | None:
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        stems = [word[:-1]]
        if word.endswith("ies"):
            stems.insert(0, f"{word[:-3]}y")
        elif word.endswith(("ses", "zes", "xes", "ches", "shes", "oes")):
            stems.insert(0, word[:-2])
        for stem in stems:
            if found := _stem(stem):
                return with_s(found)
    if word.endswith("ed"):
        for stem in _stems(word[:-2]):
            if found := _stem(stem):
                return _with_d(found)
    for end, sound in _VOWEL_ENDINGS.items():
        if word.endswith(end):
            for stem in _stems(word[: -len(end)]):
                if found := _stem(stem):
                    return found + sound
    for end, sound in _PLAIN_ENDINGS.items():
        if word.endswith(end):
            stem = word[: -len(end)]
            if found := _stem(stem) or (stem.endswith("i") and _stem(f"{stem[:-1]}y")) or None:
                return found[:-1] + sound if found[-1] == sound[0] == "L" else found + sound
    return None


def _stem(stem: str) -> Phones | None:
    """A stem of the dictionary, or one that has an ending itself: "reboot" + "er" + "s"."""
    if len(stem) < _SHORTEST_STEM:
        return None
    found = lookup(stem)
    return found[0] if found else None


def _stems(rest: str) -> list[str]:
    """Yield what may have stood before an ending with a vowel: "hop" of "hopp", "hope" of
    "hop".
    """
    stems = [f"{rest}e", rest]
    if len(rest) > 2 and rest[-1] == rest[-2] and rest[-1] not in _VOWELS:
        stems = [rest[:-1], rest]
    elif rest.endswith("i"):
        stems = [f"{rest[:-1]}y", rest]
    elif len(rest) > 2 and rest[-1] not in _VOWELS and rest[-2:-1] not in _VOWELS:
        stems = [rest, f"{rest}e"]  # a lone final e hardly follows two consonants
    elif len(rest) > 2 and rest[-3] in _VOWELS and rest[-2] in _VOWELS:
        stems = [rest, f"{rest}e"]
    return stems


def with_s(stem: Phones) -> Phones:
    """A stem with the s of a plural, a possessive or a third person."""
    if stem[-1] in _HISSING:
        return (*stem, "IH0", "Z")
    return (*stem, "S" if stem[-1] in VOICELESS else "Z")


def _with_d(stem: Phones) -> Phones:
    if stem[-1] in ("T", "D"):
        return (*stem, "IH0", "D")
    return (*stem, "T" if stem[-1] in VOICELESS else "D")
