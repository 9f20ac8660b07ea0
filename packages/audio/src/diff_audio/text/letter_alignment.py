"""The alignment of a word's letters with its phones, learned from a dictionary by EM.

Every letter stands for no phone, one, or two in a row. With e(s | l) the chance that letter l
stands for the string s, the likelihood of a word is the sum over all ways to cut its phones among
its letters, and the forward-backward recursion gives the expected counts from which e is made
anew. After "Applying many-to-many alignments and hidden Markov models to letter-to-phoneme
conversion", S. Jiampojamarn, G. Kondrak, T. Sherif, 2007, algorithms 1 and 2.

Words of the same numbers of letters and phones are treated together, so that numpy does the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "align"]

MOST = 2
"""The most phones that one letter stands for."""

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Before anything is learned: one phone a letter is likely, two are rare.
_START = (0.2, 1.0, 0.05)
_SMOOTHING = 1e-6


@dataclass(frozen=True)
class _Group:
    """The words with L letters and P phones: letters (N, L), phones (N, P), places (N,)."""

    letters: Indices
    phones: Indices
    places: Indices


def align(
    letters: Sequence[Sequence[int]],
    phones: Sequence[Sequence[int]],
    *,
    letter_count: int,
    phone_count: int,
    iterations: int = 8,
) -> list[tuple[int, ...] | None]:
    """Return the number of phones that each letter of each word stands for.

    letters, phones: indices below `letter_count` and `phone_count`, a sequence for each word

    A word that has more than two phones a letter gets None.
    """
    groups = list(_groups(letters, phones))
    tables = [
        np.full((letter_count, phone_count**size), start) for size, start in enumerate(_START)
    ]
    for _ in range(iterations):
        counts = [np.full_like(table, _SMOOTHING) for table in tables]
        for group in groups:
            _count(group, tables, counts, phone_count)
        totals = sum(count.sum(1, keepdims=True) for count in counts)
        tables = [count / totals for count in counts]
    found: list[tuple[int, ...] | None] = [None] * len(letters)
    for group in groups:
        for place, cut in zip(group.places, _best(group, tables, phone_count), strict=True):
            found[place] = tuple(int(size) for size in cut)
    return found


def _groups(letters: Sequence[Sequence[int]], phones: Sequence[Sequence[int]]) -> Iterator[_Group]:
    shapes: dict[tuple[int, int], list[int]] = {}
    for place, (word, sound) in enumerate(zip(letters, phones, strict=True)):
        if len(sound) <= MOST * len(word):
            shapes.setdefault((len(word), len(sound)), []).append(place)
    for places in shapes.values():
        yield _Group(
            np.array([letters[i] for i in places], np.int64),
            np.array([phones[i] for i in places], np.int64),
            np.array(places),
        )


def _strings(group: _Group, size: int, phone_count: int) -> Indices:
    """The index of the string of `size` phones that starts at each phone: (N, P - size + 1)."""
    count = group.phones.shape[1] - size + 1
    index = np.zeros((len(group.phones), max(count, 0)), np.int64)
    for offset in range(size):
        index = index * phone_count + group.phones[:, offset : offset + count]
    return index


def _chances(group: _Group, tables: Sequence[Array], phone_count: int) -> list[list[Array]]:
    """Return the chance of each letter, for each size, to stand for the string from each phone
    on.
    """
    strings = [_strings(group, size, phone_count) for size in range(MOST + 1)]
    return [
        [table[letter[:, None], string] for table, string in zip(tables, strings, strict=True)]
        for letter in group.letters.T
    ]


def _count(
    group: _Group, tables: Sequence[Array], counts: Sequence[Array], phone_count: int
) -> None:
    """Add the expected counts of one group."""
    (n, length), phones = group.letters.shape, group.phones.shape[1]
    chances = _chances(group, tables, phone_count)
    forward = np.zeros((length + 1, n, phones + 1))
    backward = np.zeros_like(forward)
    forward[0, :, 0] = backward[length, :, phones] = 1.0
    for i in range(length):
        for size, chance in enumerate(chances[i]):
            width = chance.shape[1]
            forward[i + 1, :, size : size + width] += forward[i, :, :width] * chance
    for i in reversed(range(length)):
        for size, chance in enumerate(chances[i]):
            width = chance.shape[1]
            backward[i, :, :width] += backward[i + 1, :, size : size + width] * chance
    total = forward[length, :, phones][:, None]
    for size, count in enumerate(counts):
        string = _strings(group, size, phone_count)
        width = string.shape[1]
        for i in range(length):
            share = forward[i, :, :width] * chances[i][size]
            share *= backward[i + 1, :, size : size + width] / total
            flat = group.letters[:, i, None] * count.shape[1] + string
            count += np.bincount(flat.ravel(), share.ravel(), count.size).reshape(count.shape)


def _best(group: _Group, tables: Sequence[Array], phone_count: int) -> Indices:
    """The likeliest cut of each word of a group: (N, L) numbers of phones."""
    (n, length), phones = group.letters.shape, group.phones.shape[1]
    chances = _chances(group, tables, phone_count)
    score = np.full((n, phones + 1), -np.inf)
    score[:, 0] = 0.0
    came = np.zeros((length, n, phones + 1), np.int64)
    for i in range(length):
        options = np.full((MOST + 1, n, phones + 1), -np.inf)
        for size, chance in enumerate(chances[i]):
            width = chance.shape[1]
            options[size, :, size : size + width] = score[:, :width] + np.log(chance)
        came[i], score = options.argmax(0), options.max(0)
    cut = np.zeros((n, length), np.int64)
    at = np.full(n, phones)
    for i in reversed(range(length)):
        cut[:, i] = came[i, np.arange(n), at]
        at -= cut[:, i]
    return cut
