"""A text as it is spoken: words and phonemes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, overload

__all__ = ["GAPS", "Gap", "Given", "Skipped", "Spoken", "summary"]

Gap = Literal["clause", "sentence", "paragraph", "heading"]
"""The kind of pause after what is spoken at once."""

GAPS: tuple[Gap, ...] = ("clause", "sentence", "paragraph", "heading")
"""All of them, the shortest first."""


@dataclass(frozen=True)
class Given:
    """A word whose phonemes are given, and how it is written."""

    phones: tuple[str, ...]
    word: str


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
    text:     the sentence as it is written, without markup
    gap:      the kind of pause after it; `pause`, in seconds, where the text itself gives one
    lead:     seconds of silence before it, where the text gives them
    rates:    the speed of each phoneme as a factor, `gains` its level in dB; () for all alike
    """

    phonemes: tuple[str, ...]
    words: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    text: str = ""
    gap: Gap = "sentence"
    pause: float | None = None
    lead: float = 0.0
    rates: tuple[float, ...] = ()
    gains: tuple[float, ...] = ()

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


def summary(skipped: Iterable[Skipped], most: int = 5) -> list[str]:
    """Return what was left out in a few words: each name once, with the first place of it and how
    often there was such a thing; at most `most` names, then how many more there were.
    """
    first: dict[str, Skipped] = {}
    count: Counter[str] = Counter()
    for one in skipped:
        first.setdefault(one.name, one)
        count[one.name] += 1
    lines = [
        f"{one}{f' and {count[name] - 1} more' if count[name] > 1 else ''}"
        for name, one in first.items()
    ]
    left = len(lines) - most
    return [*lines[:most], *([f"{left} further kinds"] if left > 0 else [])]
