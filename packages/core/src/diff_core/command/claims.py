"""Several processes on one folder: each output is made by one of them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from diff_core.locks import locked

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
    with locked(target.with_name(f".{target.name}.lock")) as is_mine:
        yield is_mine
