"""The parts of a text that are spoken at once: sentences, and pieces of very long ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from diff_audio.text import Lexicon, Spoken, utterances
from diff_audio.text.symbols import PUNCTUATION, SPACE
from diff_audio.voice.manner import Manner

__all__ = ["Ahead", "Part", "cut", "parts_of"]

MOST_SYMBOLS = 240  # that are spoken at once: about 16 s


@dataclass(frozen=True)
class Part:
    """A run of phonemes that are spoken at once: its words; whether it is the last of a
    sentence.
    """

    spoken: Spoken
    words: tuple[str, ...]
    last: bool


def parts_of(text: str, manner: Manner, lexicon: Lexicon | None) -> Iterator[Part]:
    """Yield what is spoken at once: the sentences of a text, long ones in pieces."""
    said = utterances(
        text,
        strict=manner.strict,
        engine=manner.engine,
        language=manner.language,
        lexicon=lexicon,
    )
    for spoken in said:
        at = first_word = 0
        pieces = cut(spoken.phonemes)
        for n, piece in enumerate(pieces):
            at = _find(spoken.phonemes, piece, at)
            inside = slice(at, at + len(piece))
            at += len(piece)
            count = sum(1 for _ in _words(piece))
            # words, and what was left out, are given with a sentence's first piece
            told = replace(spoken, phonemes=piece) if n == 0 else Spoken(piece, ())
            told = replace(
                told,
                rates=spoken.rates[inside],
                gains=spoken.gains[inside],
                gap=spoken.gap,
                pause=spoken.pause,
            )
            words = spoken.words[first_word : first_word + count]
            first_word += count
            yield Part(told, words, n == len(pieces) - 1)


def _find(symbols: Sequence[str], piece: Sequence[str], start: int) -> int:
    """Return where a piece begins: at `start`, or after the space that was cut away there."""
    while tuple(symbols[start : start + len(piece)]) != tuple(piece):
        start += 1
    return start


def _words(symbols: Sequence[str]) -> Iterator[int]:
    """Yield the place of the first sound of each word."""
    inside = False
    for place, symbol in enumerate(symbols):
        starts = symbol not in PUNCTUATION and symbol != SPACE
        if starts and not inside:
            yield place
        inside = starts or (inside and symbol != SPACE)


class Ahead:
    """An iterator that knows, while an item is looked at, whether there is `more`."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts, self.more = parts, True

    def __iter__(self) -> Iterator[Part]:
        current = next(self._parts, None)
        while current is not None:
            following = next(self._parts, None)
            self.more = following is not None
            yield current
            current = following


def cut(symbols: Sequence[str], most: int = MOST_SYMBOLS) -> list[tuple[str, ...]]:
    """Return phonemes in pieces of at most `most`, cut after punctuation if there is any in the
    later half, else between words, else where it must be.
    """
    rest, pieces = tuple(symbols), list[tuple[str, ...]]()
    while len(rest) > most:
        later = range(most - 1, most // 2, -1)
        at = next((n + 1 for n in later if rest[n] in PUNCTUATION), 0)
        at = at or next((n for n in later if rest[n] == SPACE), 0) or most
        pieces.append(rest[:at])
        rest = rest[at:]
        while rest and rest[0] == SPACE:
            rest = rest[1:]
    return [*pieces, rest] if rest or not pieces else pieces
