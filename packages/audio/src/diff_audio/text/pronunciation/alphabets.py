"""The alphabets in which a pronunciation may be given: ARPAbet and the IPA."""

from __future__ import annotations

from diff_audio.text.pronunciation.dictionary import Phones
from diff_audio.text.pronunciation.ipa import arpabet
from diff_audio.text.symbols import CONSONANTS, VOWELS

__all__ = ["to_phones"]

_ARPABET = ("arpabet", "x-arpabet", "cmu", "x-cmu", "x-cmu-arpabet")


def to_phones(written: str, alphabet: str) -> Phones:
    """Return the phones of a pronunciation written in "ipa" or "arpabet".

    Vowels without a stress have none; where none has the primary stress, the first one gets it.
    Raises LookupError for another alphabet, and ValueError for what is not in it.
    """
    if alphabet == "ipa":
        found, unknown = arpabet(written)
        if unknown:
            raise ValueError(f"{''.join(unknown)!a} is no sound of the IPA that is known here")
    elif alphabet in _ARPABET:
        found = []
        for phone in written.upper().split():
            bare = phone.rstrip("012")
            if phone not in CONSONANTS and not (bare in VOWELS and len(phone) - len(bare) < 2):
                raise ValueError(f"{phone!a} is no phoneme of ARPAbet, such as HH or AH0")
            found.append(f"{bare}0" if phone in VOWELS else phone)
    else:
        raise LookupError(alphabet)
    if not found:
        raise ValueError("there are no phonemes")
    vowels = [place for place, phone in enumerate(found) if phone[-1].isdigit()]
    if vowels and not any(found[place].endswith("1") for place in vowels):
        found[vowels[0]] = f"{found[vowels[0]][:-1]}1"
    return tuple(found)
