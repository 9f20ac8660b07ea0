"""The symbols that text becomes before it becomes sound.

Sounds are those of the CMU Pronouncing Dictionary: 24 consonants and 15 vowels in ARPAbet, every
vowel with its stress: 0 none, 1 primary, 2 secondary.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BEGIN",
    "CONSONANTS",
    "END",
    "GIVEN",
    "PADDING",
    "PUNCTUATION",
    "SPACE",
    "STYLE",
    "SYMBOLS",
    "VOWELS",
    "decode",
    "encode",
]

PADDING, BEGIN, END, SPACE = "_", "^", "$", " "
PUNCTUATION = (",", ".", "!", "?", ";", ":", "-")
"""The signs that the voice knows."""
CONSONANTS = tuple("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())
"""The consonants of ARPAbet."""
VOWELS = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
"""The vowels of ARPAbet, without stress."""

GIVEN = "\x02"
"""Stands for the phonemes that are given in a text that is being normalised."""

STYLE = "\x04"
"""Stands for a change of the manner of speaking there."""

# The order is that of the embeddings in trained voices: append, never insert.
SYMBOLS: tuple[str, ...] = (
    PADDING,
    BEGIN,
    END,
    SPACE,
    *PUNCTUATION,
    *CONSONANTS,
    *(vowel + stress for vowel in VOWELS for stress in "012"),
)
"""All symbols of the voice; the place of each is its number."""

_INDEX = {symbol: index for index, symbol in enumerate(SYMBOLS)}


def encode(phonemes: Sequence[str]) -> list[int]:
    """Return the indices into `SYMBOLS` of `phonemes`, between those of begin and end.

    Raises ValueError for a symbol that is not in `SYMBOLS`.
    """
    for position, symbol in enumerate(phonemes):
        if symbol not in _INDEX:
            raise ValueError(
                f"phonemes[{position}] is {symbol!r}: expected a symbol of diff_audio.text.SYMBOLS"
            )
    return [_INDEX[BEGIN], *(_INDEX[symbol] for symbol in phonemes), _INDEX[END]]


def decode(indices: Sequence[int]) -> tuple[str, ...]:
    """The phonemes that `encode` turned into `indices`; padding, begin and end are left out.

    Raises ValueError for an index outside `SYMBOLS`.
    """
    for position, index in enumerate(indices):
        if not 0 <= index < len(SYMBOLS):
            raise ValueError(f"indices[{position}] is {index}: expected 0 to {len(SYMBOLS) - 1}")
    return tuple(SYMBOLS[i] for i in indices if SYMBOLS[i] not in (PADDING, BEGIN, END))
