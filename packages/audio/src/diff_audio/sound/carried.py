"""The chunks of a WAV, RF64 or AIFF file that do not depend on its samples, byte for byte.

Among them are those of field recorders: `bext` with the time code (EBU Tech 3285), `iXML`, cue
points and their labels.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diff_audio.sound.chunks import layout_of, walk
from diff_audio.sound.lengths import id3_length

__all__ = ["Carried", "WithRoom", "append", "chunks_of"]

_OF_SAMPLES = (b"fmt ", b"data", b"fact", b"PEAK", b"ds64", b"COMM", b"SSND", b"FVER", b"slnt")
_FILLING = (b"JUNK", b"junk", b"PAD ", b"FLLR", b"filr", b"free")
_DESCRIBING = (b"levl", b"MD5 ")  # the samples of the input, so they are wrong of others
_TEXTS = ("LIST INFO", "NAME", "AUTH", "(c) ", "ANNO", "APPL")  # title, artist, ...
_LARGEST = 64 << 20  # bytes of a chunk that is carried


@dataclass(frozen=True)
class Carried:
    """Chunks to carry from one file to another.

    kind:    the kind of the file; "" for a file without chunks
    before:  chunks that stand before the samples; behind: those that follow
    names:   of all of them
    dropped: names of chunks that describe the samples of the input
    """

    kind: str = ""
    before: bytes = b""
    behind: bytes = b""
    names: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def has_texts(self) -> bool:
        """Return whether title, artist, ... are among them."""
        return any(name in _TEXTS for name in self.names)


def chunks_of(path: Path, *, texts: bool = True) -> Carried:
    """The chunks of a file that do not depend on its samples. Raises OSError.

    texts: whether those with title, artist, ... are among them
    """
    before, behind = bytearray(), bytearray()
    names: list[str] = []
    dropped: list[str] = []
    with path.open("rb") as file:
        start = id3_length(file.read(10))
        file.seek(start)
        layout = layout_of(file.read(12), start)
        if layout is None:
            return Carried()
        size = os.fstat(file.fileno()).st_size
        place = before
        for chunk in walk(file, layout):
            if chunk.name == layout.data:
                place = behind
            whole = chunk.body + chunk.length <= size and chunk.length <= _LARGEST
            named = chunk.name.isascii() and chunk.name.decode().isprintable()
            if chunk.name in _DESCRIBING:
                dropped.append(chunk.name.decode().strip())
            elif whole and named and chunk.name not in _OF_SAMPLES + _FILLING:
                file.seek(chunk.head)
                data = file.read(chunk.body + chunk.length - chunk.head)
                name = chunk.name.decode()
                name = f"LIST {data[8:12].decode('latin-1')}" if name == "LIST" else name
                if texts or name not in _TEXTS:
                    names.append(name)
                    place += data + bytes(len(data) % 2)
    kind = "RIFX" if (layout.name, layout.order) == ("WAV", "big") else layout.name
    return Carried(kind, bytes(before), bytes(behind), tuple(names), tuple(dropped))


def append(path: Path, chunks: bytes) -> None:
    """Write chunks behind the others of a WAV, RF64 or AIFF file, and correct its length."""
    with path.open("r+b") as file:
        head = file.read(36)
        end = file.seek(0, os.SEEK_END)
        file.write(bytes(end % 2) + chunks)
        length = file.tell() - 8
        if head[:4] == b"RF64":
            file.seek(20)
            file.write(length.to_bytes(8, "little"))
        else:
            file.seek(4)
            file.write(length.to_bytes(4, "big" if head[:4] in (b"FORM", b"RIFX") else "little"))


class WithRoom(io.RawIOBase):
    """A file to write, with chunks behind its first 12 bytes that the writer does not see.

    A write that fails counts as one of no bytes, which soundfile reports: an exception could not
    pass through libsndfile.
    """

    HEAD = 12

    def __init__(self, path: Path, chunks: bytes) -> None:
        self._file = open(path, "w+b")  # noqa: SIM115  (closed in `close`)
        self._file.write(bytes(self.HEAD) + chunks)
        self._room = len(chunks)
        self._at = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        end = self._file.seek(0, os.SEEK_END) - self._room
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: end}[whence]
        return self._at

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        head = max(0, min(len(view), self.HEAD - self._at))
        try:
            if head:
                self._file.seek(self._at)
                self._file.write(view[:head])
            if head < len(view):
                self._file.seek(max(self._at, self.HEAD) + self._room)
                self._file.write(view[head:])
            self._file.flush()
        except OSError:
            return 0
        self._at += len(view)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        head = max(0, min(len(view), self.HEAD - self._at))
        self._file.seek(self._at)
        data = self._file.read(head)
        self._file.seek(max(self._at, self.HEAD) + self._room)
        data += self._file.read(len(view) - head)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self._file.closed:
            self._file.close()
        super().close()
