"""The script: a text without markup, in which single characters mark what the markup meant.

`Draft` is a script in the making. Every character of it knows its place in the source, so that
what is left out is reported where the user finds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_audio.text.spoken import Gap, Given, Skipped
from diff_audio.text.symbols import GIVEN, STYLE

__all__ = [
    "HEADING",
    "PARAGRAPH",
    "SENTENCE",
    "Block",
    "Break",
    "Draft",
    "Script",
    "Style",
]

SENTENCE, PARAGRAPH, HEADING, _BREAK = "\x05", "\x06", "\x07", "\x08"
"""The ends of a sentence, a paragraph and a heading, and a pause of given length."""

_GAPS: dict[str, Gap] = {SENTENCE: "sentence", PARAGRAPH: "paragraph", HEADING: "heading"}
_ENDS = re.compile("[\x05-\x08]")
_PRIVATE = re.compile("[\x00-\x08\U000f0000-\U0010ffff]+")
_HELD = re.compile("[\U000f0000-\U0010ffff]")
_FIRST_HELD = 0xF0000
_MOST_HELD = 0x1FFFF

Edit = Callable[[re.Match[str]], str | int]
"""Returns the text in the stead of a match, or the number of the group that stays."""

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Style:
    """The manner of what follows: its speed as a factor, its level in dB."""

    rate: float = 1.0
    gain: float = 0.0

    def __mul__(self, other: Style) -> Style:
        return Style(self.rate * other.rate, self.gain + other.gain)


@dataclass(frozen=True)
class Break:
    """A pause of `seconds`."""

    seconds: float


@dataclass(frozen=True)
class Block:
    """A run of text between two ends, with what its marks stand for.

    start: its place in the text of the script
    gap:   its end
    pause: the seconds of silence after it, where the text gives them
    style: the style at its start
    """

    text: str
    start: int
    gap: Gap
    pause: float | None
    style: Style


@dataclass(frozen=True)
class Script:
    """A text without markup.

    text:    with `GIVEN` and `STYLE` for each item of `given` and `styles`, and marks of ends
    places:  (len(text),) the place of each character in the source
    """

    source: str
    text: str
    places: Places
    given: tuple[Given, ...]
    styles: tuple[Style, ...]
    breaks: tuple[Break, ...]
    skipped: tuple[Skipped, ...]

    def blocks(self) -> Iterator[Block]:
        """Yield the runs of text between the marks of ends, empty ones too."""
        start, number, breaks, style = 0, 0, iter(self.breaks), Style()
        for match in [*_ENDS.finditer(self.text), None]:
            end = match.start() if match else len(self.text)
            pause = next(breaks).seconds if match and match[0] == _BREAK else None
            gap = _GAPS.get(match[0], "sentence") if match else "paragraph"
            text = self.text[start:end]
            yield Block(text, start, gap, pause, style)
            number += text.count(STYLE)
            style = self.styles[number - 1] if number else style
            start = end + 1

    def skip(self, start: int, end: int, name: str) -> Skipped:
        """Return what was left out between two places of the text, as it stands in the source."""
        place = int(self.places[start])
        return Skipped(place, self.source[place : int(self.places[end - 1]) + 1], name)


class Draft:
    """A script in the making: `text` is edited until `finish`."""

    def __init__(self, source: str) -> None:
        """Begin with the source itself; control characters of it become spaces."""
        self.source = source
        self.text = source
        self.places: Places = np.arange(len(source), dtype=np.int64)
        self.skipped: list[Skipped] = []
        self._held: list[Given | Style | Break] = []
        self.sub(_PRIVATE, self._private)

    def _private(self, match: re.Match[str]) -> str:
        if match[0][0] > "\x08":
            self.skip(match, "PRIVATE USE")
        return " " * len(match[0])

    def rewrite(self, parts: Sequence[tuple[str, Places]]) -> None:
        """Replace the text by parts, each with the places of its characters in the source."""
        self.text = "".join(text for text, _ in parts)
        self.places = np.concatenate([np.zeros(0, np.int64), *(places for _, places in parts)])

    def hold(self, item: Given | Style | Break) -> str:
        """Return the character that stands for an item in the text of this draft."""
        if len(self._held) > _MOST_HELD:
            raise ValueError(f"text: more than {_MOST_HELD} marks; speak it in parts")
        self._held.append(item)
        return chr(_FIRST_HELD + len(self._held) - 1)

    def skip(self, match: re.Match[str], name: str, group: int = 0) -> str:
        """Note a match as left out; return the nothing that stands in its stead."""
        self._skipped(*match.span(group), name)
        return ""

    def sub(
        self,
        pattern: re.Pattern[str],
        edit: Edit | str,
        *,
        keep: int | None = None,
        after: str = "",
    ) -> None:
        """Replace each match by `edit`, or by `edit`, its group `keep` and `after`."""
        texts: list[str] = []
        places: list[Places] = []
        last = 0
        for match in pattern.finditer(self.text):
            start, end = match.span()
            self._copy(last, start, texts, places)
            new = edit if isinstance(edit, str) else edit(match)
            if isinstance(new, int):
                self._copy(*match.span(new), texts, places)
            else:
                self._put(new, start, texts, places)
            if keep is not None:
                self._copy(*match.span(keep), texts, places)
                self._put(after, max(start, end - 1), texts, places)
            last = end
        if texts:
            self._copy(last, len(self.text), texts, places)
            self.text, self.places = "".join(texts), np.concatenate(places)

    def cut(
        self, opening: re.Pattern[str], closing: re.Pattern[str], new: str, name: str = ""
    ) -> None:
        """Replace each run from `opening` to the next `closing` by `new`; with a name it is noted
        as left out. What is never closed stays. The work grows with the text, not its square.
        """
        texts: list[str] = []
        places: list[Places] = []
        last = 0
        while (first := opening.search(self.text, last)) is not None:
            end = closing.search(self.text, first.end())
            if end is None:
                break
            self._copy(last, first.start(), texts, places)
            if name:
                self._skipped(first.start(), end.end(), name)
            self._put(new, first.start(), texts, places)
            last = end.end()
        if texts:
            self._copy(last, len(self.text), texts, places)
            self.text, self.places = "".join(texts), np.concatenate(places)

    def _skipped(self, start: int, end: int, name: str) -> None:
        if end > start:
            first, last = int(self.places[start]), int(self.places[end - 1])
            self.skipped.append(Skipped(first, self.source[first : last + 1], name))

    def _copy(self, start: int, end: int, texts: list[str], places: list[Places]) -> None:
        texts.append(self.text[start:end])
        places.append(self.places[start:end])

    def _put(self, new: str, at: int, texts: list[str], places: list[Places]) -> None:
        place = self.places[at] if at < len(self.places) else len(self.source)
        texts.append(new)
        places.append(np.full(len(new), place, np.int64))

    def finish(self) -> Script:
        """Return the script."""
        given: list[Given] = []
        styles: list[Style] = []
        breaks: list[Break] = []

        def mark(match: re.Match[str]) -> str:
            item = self._held[ord(match[0]) - _FIRST_HELD]
            if isinstance(item, Given):
                given.append(item)
                return GIVEN
            if isinstance(item, Style):
                styles.append(item)
                return STYLE
            breaks.append(item)
            return _BREAK

        text = _HELD.sub(mark, self.text)
        skipped = tuple(sorted(self.skipped, key=lambda one: one.position))
        kept = tuple(given), tuple(styles), tuple(breaks)
        return Script(self.source, text, self.places, *kept, skipped)
