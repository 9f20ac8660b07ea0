"""The echo of a room, in what the network takes away.

The network removes noise and late reverberation alike. Noise does not know when the voice speaks,
but the echo of a room follows it: its power is that of the voice before, which decays (K. Lebart,
J. M. Boucher and P. N. Denbigh, "A new method based on spectral subtraction for speech
dereverberation", 2001). In bands of the spectrum, the removed power r_t is fitted by the voice's
c_t,

    r_t = a e_t + n + error,   e_t = e_(t-1) 10^(-6 hop / T) + c_(t-d),   a, n >= 0,

for several decay times T. The share of the variance of r_t that the best of them explains, beyond
the constant n, is about 0.01 for dry speech in noise and 0.14, 0.23 and 0.32 in simulated rooms of
0.25, 0.5 and 0.8 s.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter
from torch import Tensor

from diff_audio.sound.resample import CORE_RATE

__all__ = ["Echo"]

SIZE, HOP = 512, 128  # of the spectra, samples
EDGES = (0, 4, 8, 12, 16, 22, 28, 36, 46, 60, 80, 110, 160, 257)  # bins: the bands
DECAYS = (0.15, 0.25, 0.4, 0.6, 0.9, 1.3)  # s, the decay times tried
LATE = 5  # frames d after which an echo is late: 40 ms
LEAST = 0.1  # of the mean power: frames below all weigh the same
DRY, FULL = 0.04, 0.22  # explained shares: no room, and a room beyond doubt
ENOUGH = 3 * CORE_RATE  # samples that tell a room: less may do so by chance
HALF = 30 * CORE_RATE  # samples after which what was heard counts half
FADE = 1.0  # s

Array = NDArray[np.float64]


class Echo:
    """The echo of a recording, gathered from consecutive parts of it; the last half minute counts
    most.
    """

    def __init__(self) -> None:
        # sums over frames of the products of (r, e, 1), by decay time and band
        self._sums = np.zeros((len(DECAYS), len(EDGES) - 1, 3, 3))
        self._waiting: list[tuple[Tensor, Tensor]] = []
        self._kept: float | None = None

    def add(self, before: Tensor, after: Tensor) -> None:
        """Take in the next part: 16 kHz waves (C, M) before and after the network."""
        self._waiting.append((before, after))
        count = sum(part.shape[-1] for part, _ in self._waiting)
        if count >= ENOUGH:
            before, after = (torch.cat(parts, 1) for parts in zip(*self._waiting, strict=True))
            self._waiting.clear()
            self._sums *= 0.5 ** (count / HALF)
            self._take(before, after)

    def kept(self, room: float, count: int, rate: int) -> Tensor:
        """Return the share of the input to keep in the next `count` samples, (count,).

        It is `room` in a room beyond doubt and 0 in none, and reaches a new value in a second.
        """
        target = room * min(1.0, max(0.0, (self.share - DRY) / (FULL - DRY)))
        start = target if self._kept is None else self._kept
        ramp = (torch.arange(1, count + 1, dtype=torch.float64) / (FADE * rate)).clamp(max=1.0)
        path = start + (target - start) * ramp
        self._kept = float(path[-1])
        return path

    def _take(self, before: Tensor, after: Tensor) -> None:
        voice, removed = _bands(after), _bands(before - after)  # (C, B, N)
        level = removed.mean(-1, keepdims=True)
        weight = 1.0 / np.maximum(removed + LEAST * level, 1e-30)
        late = np.zeros_like(voice)
        late[..., LATE:] = voice[..., :-LATE]
        for index, decay in enumerate(DECAYS):
            held = 10.0 ** (-6.0 * HOP / CORE_RATE / decay)
            follows = lfilter([1.0], [1.0, -held], late)
            rows = np.stack([removed, follows, np.ones_like(removed)]) * weight
            self._sums[index] += np.einsum("icbn,jcbn->bij", rows, rows)

    @property
    def share(self) -> float:
        """Return the share of the removed power's variance that is explained, 0 to 1: the mean of
        the bands.
        """
        best = np.zeros(len(EDGES) - 1)
        for sums in self._sums:
            best = np.maximum(best, [_explained(band) for band in sums])
        return float(best.mean())


def _bands(wave: Tensor) -> Array:
    """Return the power (C, B, N) of the bands of waves (C, M)."""
    short = max(0, SIZE - wave.shape[-1])
    spectrum = torch.stft(
        torch.nn.functional.pad(wave.double(), (0, short)), SIZE, HOP,
        window=torch.hann_window(SIZE, dtype=torch.float64),
        center=True, pad_mode="constant", return_complex=True,
    )  # fmt: skip
    power = spectrum.abs().square().numpy()
    return np.stack(
        [power[:, a:b].mean(1) for a, b in zip(EDGES[:-1], EDGES[1:], strict=True)], axis=1
    )


def _explained(sums: Array) -> float:
    """Return the share of r's variance beyond a constant that `a e + n` explains, from the sums
    (3, 3) of the products of r, e and 1.
    """
    (rr, re, r1), (_, ee, e1), (_, _, ones) = sums
    if ones == 0:
        return 0.0
    around = rr - r1**2 / ones  # of the constant alone
    if around <= 0:
        return 0.0
    determinant = ee * ones - e1**2
    if determinant <= 0:
        return 0.0
    a = (re * ones - r1 * e1) / determinant
    n = (r1 - a * e1) / ones
    if a <= 0:
        return 0.0
    if n < 0:
        a, n = re / ee, 0.0
    left = rr - 2 * a * re - 2 * n * r1 + a**2 * ee + 2 * a * n * e1 + n**2 * ones
    return min(1.0, max(0.0, 1.0 - left / around))
