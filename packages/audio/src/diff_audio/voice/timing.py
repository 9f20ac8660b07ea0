"""The times of words, from the durations that the voice gave their symbols."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from diff_audio.text.symbols import PUNCTUATION, SPACE

__all__ = ["Timed", "timed"]


@dataclass(frozen=True)
class Timed:
    """A word and when it is spoken: seconds from the start of the sound."""

    word: str
    start: float
    end: float


def timed(
    words: Sequence[str], symbols: Sequence[str], durations: Sequence[float], start: float
) -> tuple[Timed, ...]:
    """Return when each word is spoken.

    symbols:   begin, the phonemes with `SPACE` between words, end
    durations: seconds of each; the begin ends at `start`
    """
    found: list[Timed] = []
    named = iter(words)
    at = start
    for group in _groups(symbols[1:-1], durations[1:-1]):
        spoken = [place for place, (symbol, _) in enumerate(group) if symbol not in PUNCTUATION]
        ends = [at]
        for _, seconds in group:
            ends.append(ends[-1] + seconds)
        at = ends[-1]
        word = next(named, None) if spoken and group[spoken[-1]][0] != SPACE else None
        if word is not None:
            first = next(place for place in spoken if group[place][0] != SPACE)
            found.append(Timed(word, round(ends[first], 3), round(ends[spoken[-1] + 1], 3)))
    return tuple(found)


def _groups(
    symbols: Sequence[str], durations: Sequence[float]
) -> Iterator[list[tuple[str, float]]]:
    """Yield the symbols of each word, with the space before it and the punctuation after it."""
    group: list[tuple[str, float]] = []
    for symbol, seconds in zip(symbols, durations, strict=True):
        if symbol == SPACE and group:
            yield group
            group = []
        group.append((symbol, seconds))
    if group:
        yield group
