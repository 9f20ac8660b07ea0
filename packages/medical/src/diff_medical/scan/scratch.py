"""Arrays that are too large for memory: they lie in a file that has no name, and goes with them.

The system keeps in memory what of them it has room for. Files go to $TMPDIR, else to /var/tmp,
which unlike /tmp is on a disk on most systems, else to where temporary files go.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["LARGE", "empty", "folder", "release", "unpacked"]

LARGE = 1 << 25
"""The voxels of a volume above which it is not held in memory."""


def folder() -> Path:
    """Return the folder of the files."""
    usual = Path("/var/tmp")
    if "TMPDIR" not in os.environ and usual.is_dir() and os.access(usual, os.W_OK):
        return usual
    return Path(tempfile.gettempdir())


def empty(shape: tuple[int, ...], dtype: DTypeLike, *, large: bool = True) -> NDArray[Any]:
    """An array in Fortran order, whose last axis is the slowest; in memory unless `large`.

    A large one begins as zeros. Raises OSError where the disk has no room for it.
    """
    if not large:
        return np.empty(shape, dtype, order="F")
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    with _file() as file:
        if size > shutil.disk_usage(folder()).free:
            raise OSError(errno.ENOSPC, f"No room for {size:,} bytes of scratch", str(folder()))
        file.truncate(size)
        return np.memmap(file, dtype, "r+", 0, shape, order="F")


class Stream(Protocol):
    """A stream that `unpacked` reads, as gzip.GzipFile is one."""

    def read(self, size: int, /) -> bytes: ...

    def readinto(self, buffer: memoryview, /) -> int: ...


def unpacked(source: Stream, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the rest of a stream as a large array in Fortran order. Raises EOFError if it is too
    short.

    The stream is read to its end, where a gzip stream compares its checksum.
    """
    array = empty(shape, dtype)
    flat: Any = array.reshape(-1, order="A").view(np.uint8)
    raw = memoryview(flat)
    done = parts = 0
    while done < len(raw) and (count := source.readinto(raw[done : done + (1 << 22)])):
        done, parts = done + count, parts + 1
        if parts % 4 == 0:
            release(array)
    if done < len(raw):
        raise EOFError(f"{done:,} of {len(raw):,} bytes")
    while source.read(1 << 22):
        pass
    release(array)
    return array


def release(*arrays: NDArray[Any]) -> None:
    """Give back the memory that a large array takes; it is read from its file again when used."""
    for array in arrays:
        base: Any = array
        while base is not None and not isinstance(base, mmap.mmap):
            base = getattr(base, "_mmap", None) or getattr(base, "base", None)
        if base is not None and hasattr(mmap, "MADV_DONTNEED"):
            base.madvise(mmap.MADV_DONTNEED)


def _file() -> Any:
    return tempfile.TemporaryFile(prefix="diff-medical-", dir=folder())
