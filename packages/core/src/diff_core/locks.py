"""A lock of one process at a time, on a file that is there while the lock is held."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["locked"]


@contextmanager
def locked(path: Path) -> Generator[bool]:
    """Hold a lock on `path` within the block; gives False where another process holds it.

    The system takes the lock from a process that dies, and the next holder removes the file. One
    thread may hold it several times. True without a lock where none can be had: on drives without
    locks, and in folders that take no files, which the writer reports.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(str(path), is_singleton=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    except (OSError, NotImplementedError):
        yield True
        return
    try:
        yield True
    finally:
        last = lock.lock_counter == 1
        if last:  # while it is held: afterwards the file may be another's
            with suppress(OSError):
                path.unlink()
        lock.release()
        if last and os.name == "nt":  # which removes no open file, and so none that another holds
            with suppress(OSError):
                path.unlink()
