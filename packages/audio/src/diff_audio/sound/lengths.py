"""The length that the header of a sound file promises, and the length that is there.

Recorders that lose power, and programs that write to a pipe, leave a length of zero or the largest
number in the header. Their sound goes on to the end of the file, and a decoder reads it through a
header that is right.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from diff_audio.sound.chunks import Chunk, Layout, layout_of, walk
from diff_audio.sound.flac import with_length
from diff_audio.sound.spliced import Piece

__all__ = ["Length", "id3_length", "measure"]

_LARGEST = (0x7F00_0000, 0x7FFF_F000, 0x8000_0000 - 1, 0xFFFF_F000, 0xFFFF_FFFF)
"""Lengths that writers to a pipe leave, give or take the length of a header."""

_FEW = 16  # bytes behind the sound that nobody misses


@dataclass(frozen=True)
class Length:
    """The length in the header of a file, compared with the file.

    missing: bytes that it promises beyond the end of the file
    open:    whether it gives no length
    behind:  bytes behind the promised ones that are no chunk
    pieces:  the file with a header that is right, where a decoder needs one
    """

    missing: int = 0
    open: bool = False
    behind: int = 0
    pieces: tuple[Piece, ...] = ()


def measure(path: Path) -> Length:
    """Return the length in the header of a file, compared with its size. Raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = id3_length(file.read(10))
        file.seek(start)
        head = file.read(12)
        if head[:4] in (b".snd", b"dns."):
            order = "big" if head[:4] == b".snd" else "little"
            offset, length = (int.from_bytes(head[i : i + 4], order) for i in (4, 8))
            return Length() if length == 0xFFFF_FFFF else Length(start + offset + length - size)
        if head[:4] == b"OggS":
            return Length(_missing_from_ogg(path, size))
        if head[:4] == b"fLaC":
            pieces = with_length(path, start)
            return Length(open=bool(pieces), pieces=pieces)
        layout = layout_of(head, start)
        if layout is None:
            return Length()
        for aligned in (layout, replace(layout, align=1)):
            seen: list[Chunk] = []
            for chunk in walk(file, aligned):
                seen.append(chunk)
                if chunk.name == layout.data:
                    if aligned is not layout:
                        return Length(pieces=_padded(seen, layout, size))
                    ds64 = next((c for c in seen if c.name == b"ds64"), None)
                    return _of_data(path, layout, chunk, ds64, size)
    return Length()


def _padded(chunks: list[Chunk], layout: Layout, size: int) -> tuple[Piece, ...]:
    """Return a file whose writer forgot the bytes that chunks of odd lengths are padded with."""
    pieces: list[Piece] = [(0, layout.start)]
    for chunk in chunks[:-1]:
        pieces += [(chunk.head, chunk.end), bytes(-(chunk.end - chunk.head) % layout.align)]
    return *pieces, (chunks[-1].head, size)


def id3_length(head: bytes) -> int:
    """The length of an ID3 tag that stands before the sound; 0 if there is none."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + 10 * bool(head[5] & 0x10)


def _of_data(path: Path, layout: Layout, data: Chunk, ds64: Chunk | None, size: int) -> Length:
    length, field = data.length, data.body - layout.length
    if layout.name == "RF64" and ds64 is not None and length == 0xFFFF_FFFF:
        with path.open("rb") as file:
            file.seek(ds64.body + 8)
            length, field = int.from_bytes(file.read(8), "little"), ds64.body + 8
    width = 8 if field == (ds64.body + 8 if ds64 else -1) else layout.length
    end = data.body + length
    if not _is_open(path, layout, length, 8 * width, data.body, size):
        if end > size:
            return Length(missing=end - size)
        behind = size - end if size - end > _FEW else 0
        return Length(behind=0 if _are_chunks(path, layout, end, size) else behind)
    present = size - data.body
    if layout.name in ("AIFF", "AU") or present <= 0:
        return Length(open=present > 0)
    right = present + (layout.id + layout.length if layout.whole else 0)
    number = min(right, 2 ** (8 * width) - 1).to_bytes(width, layout.order)
    return Length(open=True, pieces=((0, field), number, (field + width, size)))


def _is_open(path: Path, layout: Layout, length: int, bits: int, start: int, size: int) -> bool:
    """Return whether the promised length of the samples is none, as a placeholder."""
    if length == 0:
        return start < size and not _are_chunks(path, layout, start, size)
    if start + length <= size:
        return False
    if bits == 64:
        return length > 2**62
    return any(0 <= length - number < 4096 or 0 <= number - length < 64 for number in _LARGEST)


def _are_chunks(path: Path, layout: Layout, start: int, size: int) -> bool:
    """Return whether chunks with names of letters stand from `start` to the end of the file."""
    start += -(start - layout.start) % layout.align
    if start >= size:
        return True
    further = replace(layout, start=start)
    with path.open("rb") as file:
        end = start
        for chunk in walk(file, further):
            if not chunk.name.isascii() or not chunk.name.decode("ascii").isprintable():
                return False
            end = chunk.end
        # a last chunk may lack its padding
        return 0 <= end - size < layout.align or end == size


def _missing_from_ogg(path: Path, size: int) -> int:
    """Return the bytes that the last page promises beyond the end of the file (Xiph.Org, RFC
    3533).
    """
    with path.open("rb") as file:
        file.seek(max(0, size - 65_536 - 282))  # longer than any page
        tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0:
        return 0
    page = tail[start:]
    segments = page[26] if len(page) > 26 else 0
    table = page[27 : 27 + segments]
    if len(page) < 27 or len(table) < segments:
        return 27 + segments - len(page)
    return 27 + segments + sum(table) - len(page)
