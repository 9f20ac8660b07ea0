"""The echo of a room, in what the network takes away.

The network removes noise and late reverberation alike. Noise does not know when the voice speaks,
but the echo of a room follows it: its power is that of the voice before, which decays (K. Lebart,
J. M. Boucher and P. N. Denbigh, "A new method based on spectral subtraction for speech
dereverberation", 2001). In bands of the spectrum, the removed power r_t is fitted by that of the
voice, c_t, by least squares relative to r_t,

    r_t = a e_t + b c_t + n + error,   e_t = e_(t-1) 10^(-6 hop / T) + c_(t-d),   a, b, n >= 0,

for several decay times T. What a e_t explains of the variance of r_t beyond b c_t + n, which are
the network's own faults and steady noise, is the share of the echo: about 0.01 for dry speech in
noise, and 0.07, 0.22 and 0.30 in simulated rooms of 0.25, 0.5 and 0.8 s.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.sound.resample import CORE_RATE

__all__ = ["Echo"]

SIZE, HOP = 512, 128  # of the spectra, samples
EDGES = (0, 4, 8, 12, 16, 22, 28, 36, 46, 60, 80, 110, 160, 257)  # bins: the bands
DECAYS = (0.15, 0.25, 0.4, 0.6, 0.9, 1.3)  # s, the decay times tried
LATE = 5  # frames d after which an echo is late: 40 ms
LEAST = 0.1  # of the mean power: frames below all weigh the same
DRY, FULL = 0.03, 0.15  # explained shares: no room, and a room beyond doubt
RIDGE = 1e-10  # of unit products: silence has none
ENOUGH = 3 * CORE_RATE  # samples that tell a room: less may do so by chance
HALF = 30 * CORE_RATE  # samples after which what was heard counts half
FADE = 1.0  # s

Array = NDArray[np.float64]


class Echo:
    """The echo of a recording, gathered from consecutive parts of it; the last half minute counts
    most.

    share: of the echo, 0 to 1; 0 before 3 s were heard
    """

    def __init__(self) -> None:
        # sums over frames of the products of (r, n, c, e), by decay time and band
        self._sums = np.zeros((len(DECAYS), len(EDGES) - 1, 4, 4))
        self.share = 0.0
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
            self.share = _share(self._sums)

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
        from scipy.signal import lfilter

        voice, removed = _bands(after), _bands(before - after)  # (C, B, N)
        level = removed.mean(-1, keepdims=True)
        weight = 1.0 / np.maximum(removed + LEAST * level, 1e-30)
        late = np.zeros_like(voice)
        late[..., LATE:] = voice[..., :-LATE]
        for index, decay in enumerate(DECAYS):
            held = 10.0 ** (-6.0 * HOP / CORE_RATE / decay)
            follows = lfilter([1.0], [1.0, -held], late)
            rows = np.stack([removed, np.ones_like(removed), voice, follows]) * weight
            self._sums[index] += np.einsum("icbn,jcbn->bij", rows, rows)


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


def _share(sums: Array) -> float:
    """Return the explained share of the variance, that of the best decay time, mean of the bands,
    from sums (D, B, 4, 4) of products.
    """
    found = np.zeros(sums.shape[1])
    for band, grams in enumerate(sums.swapaxes(0, 1)):
        constant = _left(grams[0], 2)  # without e, all decay times are one
        if constant > 0:
            least = min(_left(gram, 4) for gram in grams)
            found[band] = (_left(grams[0], 3) - least) / constant
    return float(found.clip(0.0, 1.0).mean())


def _left(gram: Array, count: int) -> float:
    """Return the sum of squares that the best nonnegative weights of rows 1 to `count` - 1 leave
    of row 0, from the products (4, 4) of the rows.
    """
    from scipy.optimize import nnls

    size = np.sqrt(np.maximum(np.diag(gram)[1:count], 1e-300))
    # the same problem in as many numbers as there are weights: |L'w - L^-1 y|^2, where L L' = G
    lower = np.linalg.cholesky(
        gram[1:count, 1:count] / np.outer(size, size) + RIDGE * np.eye(len(size))
    )
    weights = nnls(lower.T, np.linalg.solve(lower, gram[1:count, 0] / size))[0] / size
    cross = weights @ gram[1:count, 0]
    return float(max(0.0, gram[0, 0] - 2 * cross + weights @ gram[1:count, 1:count] @ weights))
