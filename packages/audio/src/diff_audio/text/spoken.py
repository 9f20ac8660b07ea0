"""A text as it is spoken: words and phonemes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

__all__ = ["Skipped", "Spoken"]


@dataclass(frozen=True)
class Skipped:
    """A run of characters that was left out because nothing can speak it.

    position: the place of the first of them in the text, from 0
    text:     the characters
    name:     what they are: "GRINNING FACE", "CYRILLIC"
    """

    position: int
    text: str
    name: str

    def __str__(self) -> str:
        shown = self.text if len(self.text) <= 20 else f"{self.text[:20]}..."
        return f"character {self.position}: {shown!a} ({self.name})"


@dataclass(frozen=True)
class Spoken(Sequence[str]):
    """A text as it is spoken; as a sequence it is its phonemes.

    phonemes: members of `SYMBOLS`; words are divided by " ", punctuation follows its word
    words:    the text in words: numbers and abbreviations are written out, a letter that is
              spoken by its name is a capital, and phonemes given in brackets stay in brackets
    skipped:  what could not be spoken
    """

    phonemes: tuple[str, ...]
    words: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self.phonemes[index]

    def __len__(self) -> int:
        return len(self.phonemes)

    def __iter__(self) -> Iterator[str]:
        return iter(self.phonemes)
