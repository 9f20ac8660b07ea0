"""The chunks of WAV, RF64, AIFF, Wave64 and CAF files (EBU Tech 3306; Apple, AIFF-C and CAF)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

__all__ = ["Chunk", "Layout", "layout_of", "walk"]


@dataclass(frozen=True)
class Layout:
    """The arrangement of chunks in a kind of file.

    name:   WAV, RF64, AIFF, W64 or CAF
    start:  place of the first chunk
    id, length: bytes of a chunk's name and of its length
    order:  "little" or "big"; align: chunks begin at multiples of this
    whole:  whether the length counts the chunk's own header
    """

    name: str
    start: int
    id: int
    length: int
    order: Literal["little", "big"]
    align: int
    whole: bool = False

    @property
    def data(self) -> bytes:
        """Return the name of the chunk that holds the samples."""
        return b"SSND" if self.name == "AIFF" else b"data"


@dataclass(frozen=True)
class Chunk:
    """A chunk: its name, where its header and its body begin, and the promised length of the body.

    All are in bytes; `end` is where the next chunk begins.
    """

    name: bytes
    head: int
    body: int
    length: int
    end: int


def layout_of(head: bytes, at: int = 0) -> Layout | None:
    """The layout of a file by its first 12 bytes; None for a file without chunks.

    at: where in the file these bytes stand
    """
    kind, form = head[:4], head[8:12]
    if kind in (b"RIFF", b"RIFX") and form == b"WAVE":
        return Layout("WAV", at + 12, 4, 4, "little" if kind == b"RIFF" else "big", 2)
    if kind in (b"RF64", b"BW64") and form == b"WAVE":
        return Layout("RF64", at + 12, 4, 4, "little", 2)
    if kind == b"FORM" and form in (b"AIFF", b"AIFC"):
        return Layout("AIFF", at + 12, 4, 4, "big", 2)
    if kind == b"riff" and head[4:8] == bytes.fromhex("2e91cf11"):
        return Layout("W64", at + 40, 16, 8, "little", 8, whole=True)
    if kind == b"caff":
        return Layout("CAF", at + 8, 4, 8, "big", 1)
    return None


def walk(file: BinaryIO, layout: Layout) -> Iterator[Chunk]:
    """The chunks of an open file, up to its end. A chunk may promise more than there is."""
    size = os.fstat(file.fileno()).st_size
    at, head, data = layout.start, layout.id + layout.length, 0
    while at + head <= size:
        file.seek(at)
        header = file.read(head)
        length = int.from_bytes(header[layout.id :], layout.order)
        if layout.whole:
            length = max(0, length - head)
        if layout.name == "RF64" and header[:4] == b"ds64":
            data = int.from_bytes(file.read(16)[8:], "little")
        if layout.name == "RF64" and header[:4] == b"data" and length == 0xFFFF_FFFF and data:
            length = data
        end = at + head + length
        end += -(end - layout.start) % layout.align
        yield Chunk(header[:4], at, at + head, length, end)
        at = end
