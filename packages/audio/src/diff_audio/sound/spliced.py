"""A file that is read as if it were made of other pieces.

A decoder that believes a wrong header gets a right one in its place, and the file stays as it is.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

__all__ = ["Piece", "Spliced"]

Piece = bytes | tuple[int, int]
"""Bytes as they are, or the bytes of the file from one position up to another."""


class Spliced(io.RawIOBase):
    """A readable, seekable file made of pieces of `path` and of bytes. Raises OSError."""

    def __init__(self, path: str | os.PathLike[str], pieces: Sequence[Piece]) -> None:
        self._file = open(path, "rb")  # noqa: SIM115  (closed in `close`)
        self._pieces = pieces
        lengths = (len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces)
        self._ends = list(accumulate(lengths))
        self._at = 0

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self._ends[-1] if self._ends else 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.length}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and (part := self._next(len(view) - done)):
            view[done : done + len(part)] = part
            done += len(part)
            self._at += len(part)
        return done

    def _next(self, wanted: int) -> bytes:
        """Return up to `wanted` bytes from the place at hand, of one piece."""
        start = 0
        for piece, end in zip(self._pieces, self._ends, strict=True):
            if self._at < end:
                offset, room = self._at - start, min(wanted, end - self._at)
                if isinstance(piece, bytes):
                    return piece[offset : offset + room]
                self._file.seek(piece[0] + offset)
                return self._file.read(room)
            start = end
        return b""

    def close(self) -> None:
        self._file.close()
        super().close()
