"""The International Phonetic Alphabet in the sounds of `SYMBOLS`.

American English maps one to one. A sound of another language becomes the nearest that English
has, so that an English voice speaks it with an accent: the German ü as UW, ch as K or SH.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["arpabet"]

_SOUNDS = {
    # consonants of English
    "b": "B", "tʃ": "CH", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "g": "G", "h": "HH",
    "dʒ": "JH", "k": "K", "l": "L", "m": "M", "n": "N", "ŋ": "NG", "p": "P", "ɹ": "R",
    "s": "S", "ʃ": "SH", "t": "T", "θ": "TH", "v": "V", "w": "W", "j": "Y", "z": "Z",
    "ʒ": "ZH", "ɾ": "D", "ɫ": "L", "ʔ": "", "ʍ": "W", "ɬ": "L",
    # vowels of English; _ takes the stress
    "ɑ": "AA_", "æ": "AE_", "ʌ": "AH_", "ə": "AH_", "ɐ": "AH_", "ɔ": "AO_", "aʊ": "AW_",
    "aɪ": "AY_", "ɛ": "EH_", "ɚ": "ER_", "ɝ": "ER_", "ɜ": "ER_", "eɪ": "EY_", "ɪ": "IH_",
    "i": "IY_", "oʊ": "OW_", "əʊ": "OW_", "ɔɪ": "OY_", "ʊ": "UH_", "u": "UW_", "ᵻ": "IH_",
    "ɪə": "IY_ AH0", "eə": "EH_ R", "ɛə": "EH_ R", "ʊə": "UH_ R", "ɒ": "AA_", "ɑɹ": "AA_ R",
    "aɪɚ": "AY_ ER0", "aʊɚ": "AW_ ER0", "n̩": "AH0 N", "l̩": "AH0 L", "m̩": "AH0 M",
    # other languages
    "a": "AA_", "e": "EY_", "o": "OW_", "ø": "ER_", "œ": "ER_", "y": "UW_", "ʏ": "UH_",
    "ɨ": "IH_", "ʉ": "UW_", "ɯ": "UW_", "ɤ": "AH_", "ɵ": "OW_", "ɘ": "AH_", "ɞ": "ER_",
    "aɪ̯": "AY_", "aʊ̯": "AW_", "ɔʏ̯": "OY_", "ɔʏ": "OY_", "ɔø": "OY_", "ai": "AY_",
    "au": "AW_", "oi": "OY_", "ei": "EY_", "ou": "OW_",
    "ç": "SH", "x": "K", "χ": "K", "ɣ": "G", "ʁ": "R", "r": "R", "ʀ": "R", "ɻ": "R", "ɽ": "R",
    "ɕ": "SH", "ʑ": "ZH", "ʂ": "SH", "ʐ": "ZH", "ɲ": "N Y", "ʎ": "L Y", "ʝ": "Y", "ɟ": "JH",
    "c": "CH", "ɸ": "F", "β": "V", "ʋ": "V", "ɱ": "M", "ɳ": "N", "ɭ": "L", "ʈ": "T", "ɖ": "D",
    "ħ": "HH", "ɦ": "HH", "ʕ": "", "q": "K", "ɢ": "G", "ɴ": "NG", "ts": "T S", "dz": "D Z",
    "pf": "P F", "tɕ": "CH", "dʑ": "JH", "ɥ": "Y", "ɰ": "W",
}  # fmt: skip
_STRESS = {"ˈ": "1", "ˌ": "2"}
_SILENT = re.compile("[\u02d0\u02d1\u0361\u035c\u032f\u0334\u0303\u02b0\u02b2\u02b7\u0306'\u02de]")
_LONGEST = max(map(len, _SOUNDS))


def arpabet(ipa: str, *, tap: str = "D") -> tuple[list[str], list[str]]:
    """Return the sounds of a word in IPA, and its unknown parts.

    The stress marks ˈ and ˌ count for the next vowel; length, ties and nasals are dropped.
    `tap` is the phone for ɾ: American English has it for t and d, other languages for r.
    """
    plain = _SILENT.sub("", unicodedata.normalize("NFD", ipa).replace("c\u0327", "ç"))
    found: list[str] = []
    unknown: list[str] = []
    stress, place = "0", 0
    while place < len(plain):
        character = plain[place]
        if character in _STRESS:
            stress, place = _STRESS[character], place + 1
            continue
        for size in range(_LONGEST, 0, -1):
            sounds = _SOUNDS.get(plain[place : place + size])
            if sounds is not None:
                found += [tap] if character == "ɾ" else sounds.replace("_", stress).split()
                stress = "0" if "_" in sounds else stress
                place += size
                break
        else:
            if not (character.isspace() or unicodedata.category(character)[0] in "MC"):
                unknown.append(character)
            place += 1
    return found, unknown
