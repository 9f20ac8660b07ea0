"""Several processes on one folder: each output is made by one of them."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Skipped", "claimed"]


@dataclass(frozen=True)
class Skipped:
    """An input that was left out. why: a clause about its output, as in "exists"."""

    input: str
    output: str
    why: str
    skipped: bool = True

    def line(self) -> str:
        """Return the line that the command prints for it."""
        return f"{self.input}: {self.output} {self.why}, skipped"


@contextmanager
def claimed(target: Path) -> Generator[bool]:
    """Claim `target` for this process: gives false while another process makes it.

    The claim is a lock on a hidden file beside the target, which goes with the claim; the system
    takes the lock from a process that dies. True without a lock where none can be had: on drives
    without locks, and in folders that take no files, which the writer reports.
    """
    from filelock import FileLock, Timeout

    path = target.with_name(f".{target.name}.lock")
    lock = FileLock(path)
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
        # while it is held: afterwards the file may be another's claim
        with suppress(OSError):
            path.unlink()
        lock.release()
        if os.name == "nt":  # which removes no open file, and so none that another holds
            with suppress(OSError):
                path.unlink()
