"""Loops of a recogniser: a few words over and over, which nobody said.

A network that writes one word after the other may find that what it wrote last is best followed by
the same again, most of all where it hears little. Such a text counts many insertions, and says
nothing of the sound.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["excess"]

LONGEST = 6
"""The most words of a repeated phrase."""

FREE = 2
"""The times that anyone may say a phrase in a row: "no, no", "very, very"."""

FEWEST = 4
"""The words beyond that which are a loop."""


def excess(heard: Sequence[str], text: Sequence[str] = ()) -> int:
    """Return how many words of `heard` belong to a loop: those of its longest run of a phrase that
    go beyond the repetitions of that phrase in `text`; 0 below FEWEST.
    """
    most = 0
    for size in range(1, LONGEST + 1):
        said = _runs(text, size)
        for phrase, times in _runs(heard, size).items():
            beyond = size * (times - max(FREE, said.get(phrase, 0)))
            most = max(most, beyond)
    return most if most >= FEWEST else 0


def _runs(words: Sequence[str], size: int) -> dict[tuple[str, ...], int]:
    """Return the most times that each phrase of `size` words stands in a row."""
    found: dict[tuple[str, ...], int] = {}
    for start in range(len(words) - size + 1):
        phrase = tuple(words[start : start + size])
        times, place = 1, start + size
        while tuple(words[place : place + size]) == phrase:
            times, place = times + 1, place + size
        found[phrase] = max(found.get(phrase, 0), times)
    return found
