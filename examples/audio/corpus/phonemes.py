"""Phonemes by espeak-ng, and in the alphabet of Kokoro-82M.

The command espeak-ng must be installed (on Debian, the package of that name).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

__all__ = ["espeak", "kokoro"]

_MARKS = re.compile(r"([;:,.!?—…]+)")

# Kokoro writes a diphthong or an affricate as one letter (its model card, "phonemes").
_BOTH = {
    "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "ɔ^ɪ": "Y", "d^ʒ": "ʤ", "t^ʃ": "ʧ", "ə^l": "ᵊl",
    "ʔn\u0329": "ʔᵊn", "n\u0329": "ᵊn", "l\u0329": "ᵊl", "ɚ": "əɹ", "r": "ɹ", "x": "k", "ç": "k",
    "ɐ": "ə", "ɬ": "l", "\u0303": "", "ʲ": "",
}  # fmt: skip
_AMERICAN = {
    "o^ʊ": "O", "o": "ɔ", "ɜː^ɹ": "ɜɹ", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪ^ə": "iə", "ː": "", "ɾ": "T",
    "ʔ": "t",
}  # fmt: skip
_BRITISH = {"ə^ʊ": "Q", "e^ə": "ɛː", "i^ə": "ɪə", "iə": "ɪə", "ʔ": "t"}


def espeak(texts: Sequence[str], language: str) -> list[str]:
    """Return the phonemes of each text, clause by clause, with its marks of punctuation.

    language: of espeak-ng, such as "en-us" or "en-gb"
    A `^` ties letters that are one sound. Quotation marks are left out; "(" and ")" are commas.
    All texts go through one process. Raises RuntimeError if espeak-ng fails, or says more or fewer
    clauses than it was given (it splits very long ones).
    """
    split = [_parts(text) for text in texts]
    clauses = [part for parts in split for part in parts if not _MARKS.fullmatch(part)]
    said = iter(_say(clauses, language))
    return [
        re.sub(r" (?=[;:,.!?—…])", "", " ".join(
            part[0] if _MARKS.fullmatch(part) else next(said) for part in parts
        ))
        for parts in split
    ]  # fmt: skip


def _parts(text: str) -> list[str]:
    text = re.sub(r"\s*[()]\s*", ", ", text.replace('"', "")).strip(" ,")
    text = re.sub(r"[\s,]+(?=[;:.!?—…])", "", text)
    return [part.strip() for part in _MARKS.split(text) if re.search(r"\w", part) or
            _MARKS.fullmatch(part)]  # fmt: skip


def _say(clauses: Sequence[str], language: str) -> list[str]:
    if not clauses:
        return []
    command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", language, "--stdin"]
    paragraphs = "\n\n".join(clauses) + "\n\n"  # a blank line ends a clause and is not said
    done = subprocess.run(command, input=paragraphs, capture_output=True, text=True, check=False)
    said = [
        " ".join(re.sub(r"\([a-z-]+\)", "", line).split()) for line in done.stdout.splitlines()
    ]
    if done.returncode or len(said) != len(clauses):
        raise RuntimeError(
            f"espeak-ng: {done.stderr.strip() or f'{len(clauses)} clauses gave {len(said)} lines'}"
        )
    return said


def kokoro(phonemes: str, *, british: bool = False) -> str:
    """Return phonemes of espeak-ng in the alphabet of Kokoro.

    espeak-ng runs an unstressed word and "the" together ("ɪnðə"); Kokoro learned them as two.
    """
    said = re.sub(r"(?<![^ ])([^ ˈˌ]+)(ð[əɪ])(?![^ ,;:.!?—…])", r"\1 \2", phonemes)
    for table in (_BOTH, _BRITISH if british else _AMERICAN):
        for old, new in table.items():
            said = said.replace(old, new)
    return said.replace("^", "").replace("ɹɹ", "ɹ")
