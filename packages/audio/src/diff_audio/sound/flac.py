"""The length of a FLAC stream whose header gives none (RFC 9639), as a pipe leaves it."""

from __future__ import annotations

from pathlib import Path

from diff_audio.sound.spliced import Piece

__all__ = ["with_length"]

_TAIL = 1 << 20  # no frame is longer


def with_length(path: Path, start: int = 0) -> tuple[Piece, ...]:
    """Return the file with its length in its header, computed from the last frame; () where the
    header has one, or no frame is found.

    start: where the stream begins, in bytes
    """
    with path.open("rb") as file:
        file.seek(start)
        head = file.read(42)
        size = file.seek(0, 2)
        file.seek(max(start + 42, size - _TAIL))
        tail = file.read()
    # the last 36 bits of these 8 bytes are the samples per channel
    fields = int.from_bytes(head[18:26], "big")
    if head[:4] != b"fLaC" or len(head) < 42 or fields & (2**36 - 1):
        return ()
    block = int.from_bytes(head[8:10], "big")
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        frames = _end_of(tail[at : at + 16], block)
        if frames is not None:
            right = (fields | frames).to_bytes(8, "big")
            return (0, start + 18), right, (start + 26, size)
    return ()


def _end_of(head: bytes, block: int) -> int | None:
    """Return the samples up to the end of the frame with this header; None if it is no header."""
    if len(head) < 6 or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    size, rate = head[2] >> 4, head[2] & 15
    ones = next((n for n in range(8) if not head[4] >> (7 - n) & 1), 8)
    more = max(0, ones - 1)
    number = head[4] & (0x7F >> ones if ones else 0x7F)
    for byte in head[5 : 5 + more]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 0x3F
    at = 5 + more
    length = {1: 192}.get(size) or (576 << size - 2 if 2 <= size <= 5 else 256 << max(size - 8, 0))
    if size in (6, 7):
        length = int.from_bytes(head[at : at + size - 5], "big") + 1
        at += size - 5
    at += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    impossible = size == 0 or rate == 15 or ones in (1, 8) or at >= len(head)
    if impossible or head[at] != _crc8(head[:at]):
        return None
    variable = head[1] & 1
    return (number if variable else number * block) + length


def _crc8(data: bytes) -> int:
    """Return the checksum of a frame's header: the polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
    return value
