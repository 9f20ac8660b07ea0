"""The loudness of a recording by ITU-R BS.1770, measured in blocks.

The K-weighting filters are pyloudnorm's (C. Steinmetz and J. Reiss, "pyloudnorm: a simple yet
flexible loudness meter in Python", 2021). Its own meter holds the whole recording; here the
filters keep their state from block to block, and only the energy of every 100 ms is kept. The
gates are those of ITU-R BS.1770-4, equations (5) to (7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from diff_audio.sound.wave import Array

__all__ = ["SHORTEST", "Loudness", "filters"]

SHORTEST = 0.4
"""The shortest sound whose loudness is defined, s: one block of the gates."""

_OFFSET = -0.691  # dB: a sine of 997 Hz at full scale in one channel has -3.01 LUFS
_QUIETEST, _RELATIVE = -70.0, -10.0  # LUFS and LU, the two gates
_STEPS = 4  # of 100 ms in a block of 400 ms: blocks overlap by three quarters
# Weights by the order of channels in a WAV file: the low-frequency channel does not count.
_WEIGHTS = {5: (1.0, 1.0, 1.0, 1.41, 1.41), 6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)}


def filters(rate: int) -> list[tuple[Array, Array]]:
    """Return the stages (b, a) of the K-weighting at `rate` Hz."""
    import pyloudnorm

    # its own K-weighting: gain, dB, quality, frequency, Hz
    stages: Any = (
        pyloudnorm.IIRfilter(4.0, math.sqrt(0.5), 1500.0, rate, "high_shelf"),
        pyloudnorm.IIRfilter(0.0, 0.5, 38.0, rate, "high_pass"),
    )
    return [(stage.b, stage.a) for stage in stages]


class Loudness:
    """A meter that is given a recording (C, any) block by block."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self._filters = filters(rate)
        self._states = [np.zeros((channels, len(a) - 1)) for _, a in self._filters]
        self._energy: list[Array] = []  # sums of squares (C,) of 100 ms each
        self._rest = np.zeros((channels, 0))  # weighted samples of the step that is not complete
        self._done = 0  # samples in the complete steps

    def add(self, block: Array) -> None:
        """Take in the next samples (C, n), full scale 1."""
        from scipy.signal import lfilter

        weighted: Any = block
        for number, (b, a) in enumerate(self._filters):
            weighted, self._states[number] = lfilter(b, a, weighted, zi=self._states[number])
        held = np.concatenate((self._rest, weighted), axis=1)
        start = self._done
        while (stop := self._edge(len(self._energy) + 1)) <= start + held.shape[1]:
            step = held[:, self._done - start : stop - start]
            self._energy.append(np.square(step).sum(1))
            self._done = stop
        self._rest = held[:, self._done - start :]

    def _edge(self, step: int) -> int:
        return step * self.rate // 10

    def of(self, factors: Sequence[float] | None = None) -> float | None:
        """Return the integrated loudness, LUFS, of all channels, each times its factor; None where
        nothing passes the gate of -70 LUFS, as in silence, or the sound is under 0.4 s.
        """
        weights = np.array(_WEIGHTS.get(self.channels, (1.0,) * self.channels))
        return self._gated(weights * np.square(factors or [1.0] * self.channels))

    def of_channel(self, channel: int) -> float | None:
        """Return the integrated loudness, LUFS, of one channel by itself, as `of`."""
        return self._gated(np.eye(self.channels)[channel])

    def _gated(self, weights: Array) -> float | None:
        if len(self._energy) < _STEPS:
            return None
        steps = np.array(self._energy) @ weights
        blocks = np.convolve(steps, np.ones(_STEPS), "valid") / (SHORTEST * self.rate)
        loud = blocks[blocks >= _power(_QUIETEST)]
        if not len(loud):
            return None
        gate = max(loud.mean() * 10.0 ** (_RELATIVE / 10.0), _power(_QUIETEST))
        return _OFFSET + 10.0 * math.log10(loud[loud > gate].mean())


def _power(lufs: float) -> float:
    return 10.0 ** ((lufs - _OFFSET) / 10.0)
