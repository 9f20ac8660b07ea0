"""The pieces of a long text that are spoken one at a time: sentences, and clauses of long ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

from diff_audio.text.normalise.abbreviations import ENDING, SHORT, STARTERS
from diff_audio.text.spoken import Gap

__all__ = ["LONGEST", "cuts", "sentences", "spans"]

LONGEST = 200
"""Characters of a sentence; longer ones are cut at a clause."""

_WINDOW = 8 * LONGEST
_END = re.compile(
    r"([.!?\u2026]+[\"')\]}\u201d\u2019\u00bb]*)(\s+)|(\s*\n\s*\n\s*)|([\u3002\uff01\uff1f]+)(\s*)"
)
_NEVER = frozenset(short.lower() for short in SHORT if short not in ENDING) | {
    "st", "dr", "e.g", "i.e", "cf",
}  # fmt: skip
_RATHER_NOT = frozenset(short.lower() for short in ENDING)
_BEFORE_NUMBER = frozenset(("no", "nos", "p", "pp", "ch", "sec", "vol", "fig"))
_STARTER = re.compile(rf"[\"'(\[\u201c\u2018]*(?:{STARTERS})\b")
_OPENING = re.compile(r"[\"'(\[\u201c\u2018\u00ab]*[A-Z0-9]")
_LAST_WORD = re.compile(r"[A-Za-z.]*\Z")
_CLAUSE = re.compile(r"[;:](?=\s)|,(?=\s)|\s[-\u2013\u2014](?=\s)|\u2014|\)(?=\s)")
_SPACE = re.compile(r"\s+")


def sentences(text: str) -> Iterator[str]:
    """The sentences of `text` in order, without the space around them.

    A full stop after an abbreviation or an initial does not end a sentence. One of more than
    `LONGEST` characters is cut after a clause, else between words, and inside a word only if that
    is longer still; phonemes in brackets stay whole. Joined, the pieces have every character of
    `text` but white space. Pieces are found as they are asked for.
    """
    return (text[start:end] for start, end in spans(text))


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places where the sentences of `text` start and end."""
    return ((start, end) for start, end, _ in cuts(text))


def cuts(text: str) -> Iterator[tuple[int, int, Gap]]:
    """Yield the places where the sentences of `text` start and end, and what ends there: a
    sentence, or a clause of a long one.
    """
    start = _skip_space(text, 0)
    while start < len(text):
        end = _sentence_end(text, start)
        pieces = list(_cut(text, start, end))
        for number, (first, last) in enumerate(pieces, 1):
            yield first, last, "sentence" if number == len(pieces) else "clause"
        start = _skip_space(text, end)


def _skip_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return match.end() if match else start


def _sentence_end(text: str, start: int) -> int:
    """Return the place where the sentence from `start` ends, as far as a window shows."""
    limit = min(len(text), start + _WINDOW)
    for match in _END.finditer(text, start, limit):
        if _in_brackets(text, start, match.start()):
            continue
        if match[3] is not None:
            return match.start()
        mark = match[1] if match[1] is not None else match[4]
        end = match.start() + len(mark)
        if not mark.startswith(".") or len(mark.rstrip("\"')]}\u201d\u2019\u00bb")) > 1:
            if mark[0] in "!?\u3002\uff01\uff1f" or _OPENING.match(text, match.end()):
                return end
        elif _ends(text, start, match.start(), match.end()):
            return end
    if _in_brackets(text, start, limit):
        return text.find("]", limit) + 1 or len(text)
    if limit < len(text):
        space = max(text.rfind(space, start, limit) for space in " \n\t")
        return space if space > start else limit
    return limit


def _ends(text: str, start: int, stop: int, after: int) -> bool:
    """Return whether the full stop at `stop` ends a sentence, given what stands `after` it."""
    found = _LAST_WORD.search(text, max(start, stop - 20), stop)
    word = found[0].lower().strip(".") if found else ""
    following = text[after : after + 1]
    if word in _BEFORE_NUMBER and following.isdigit():
        return False
    if word in _NEVER:
        return False
    if word in _RATHER_NOT or "." in word:
        return bool(_STARTER.match(text, after))
    if len(word) == 1 and word not in "i":
        return bool(_STARTER.match(text, after))
    return True


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentence in pieces of at most `LONGEST` characters."""
    while end - start > LONGEST:
        limit = start + LONGEST
        least = start + LONGEST // 4
        cut = 0
        for match in _CLAUSE.finditer(text, least, limit):
            if not _in_brackets(text, start, match.end()):
                cut = match.end()
        if not cut:
            for match in _SPACE.finditer(text, start + 1, limit):
                if not _in_brackets(text, start, match.start()):
                    cut = match.start()
        if not cut:
            bracket = text.find("]", limit, end) if _in_brackets(text, start, limit) else -1
            cut = bracket + 1 if bracket >= 0 else limit
        yield start, cut
        start = _skip_space(text, cut)
    if start < end:
        stripped = end - (len(text[start:end]) - len(text[start:end].rstrip()))
        yield start, stripped


def _in_brackets(text: str, start: int, end: int) -> bool:
    return text.rfind("[", start, end) > text.rfind("]", start, end)
