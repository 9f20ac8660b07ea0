"""Words that several commands say of a recording they made."""

from __future__ import annotations

__all__ = ["CUT_OFF", "pace"]

CUT_OFF = "{} samples lay beyond full scale and were cut off"
"""The remark on samples beyond full scale, with a place for their number."""


def pace(seconds: float, took: float) -> str:
    """Return how long a recording is, and how long it took: 6.6 s in 2.0 s, 3.3 x real time."""
    return f"{seconds:.1f} s in {took:.1f} s, {seconds / took:.1f} x real time"
