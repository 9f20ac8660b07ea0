"""The limits of what a page takes in and keeps."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """The limits of what a page takes in and keeps.

    bytes:    the largest upload
    waiting:  most files that wait or are worked on
    seconds:  longest work on a file; None sets no limit
    kept:     most results that are kept; the oldest go first
    hours:    longest time that a result is kept; None: until the page stops
    remedy:   what to do about an upload that is too large
    """

    bytes: int = 1 << 30
    waiting: int = 8
    seconds: float | None = None
    kept: int = 50
    hours: float | None = None
    remedy: str = "start the studio with a larger --largest"

    @property
    def too_large(self) -> str:
        """Return what is said of an upload that is too large."""
        return f"the file is larger than {self.bytes >> 20} MiB; {self.remedy}"

    @property
    def too_long(self) -> str:
        """Return what is said of work that takes too long."""
        return (
            f"stopped after {self.seconds:g} s of work, the longest that is allowed here; "
            "send a smaller part, or choose a lower quality"
        )
