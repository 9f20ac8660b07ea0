"""The scale on which the bridge runs: log-mel values of speech at -26 dBFS, of order one."""

from __future__ import annotations

import math

from torch import Tensor

from diff_audio.spectra.mel import Mel

__all__ = ["DECIBELS", "from_unit", "to_unit"]

_SLOPE, _OFFSET = 2.0, 2.5

DECIBELS = 20.0 / math.log(10.0)
"""Decibels in a step of 1 of a natural logarithm of magnitudes."""


def to_unit(log_mel: Tensor) -> Tensor:
    """Return a log-mel, natural logarithms, on the scale of the bridge."""
    return log_mel / _SLOPE + _OFFSET


def from_unit(x: Tensor, mel: Mel) -> Tensor:
    """Return the log-mel of x, not below the floor of `mel`."""
    return ((x - _OFFSET) * _SLOPE).clamp(min=math.log(mel.floor))
