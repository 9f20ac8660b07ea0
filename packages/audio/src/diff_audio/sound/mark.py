"""An inaudible mark in synthetic sound, and the search for it.

The mark raises and lowers the sound in tiles of 86 Hz by 46 ms by about a decibel, in the order of
a key's signs, by no more than masking hides (`sound.masking`). The search correlates the levels of
the tiles with the same signs: spread spectrum, as in "Secure Spread Spectrum Watermarking for
Multimedia" (Cox et al., 1997), on levels and with a search over shifts as in "Robust
Spread-Spectrum Audio Watermarking" (Kirovski and Malvar, 2001). Levels of tiles outlive lossy
codecs, resampling, gain, cuts and other sound on top. They do not outlive a change of speed or of
pitch, nor anyone who knows the key and wants the mark gone.

A false alarm. Let v be the levels of the tiles of any sound, freed of their neighbours' mean, and
c = +-1 the signs. For signs that were drawn without knowledge of the sound,

    z = sum(c v) / sqrt(sum(v^2)),     P(z > x) <= exp(-x^2 / 2)

exactly (W. Hoeffding, "Probability inequalities for sums of bounded random variables", 1963), and
the union over all shifts, places and kinds that are tried multiplies the bound by their number.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diff_audio.sound.masking import most_change
from diff_audio.sound.resample import resample
from diff_audio.sound.wave import Array

__all__ = ["ALARM", "KINDS", "Found", "Kind", "find", "marked"]

Samples = TypeVar("Samples", NDArray[np.float32], NDArray[np.float64])

Kind = Literal["say", "restore"]
"""The command that made a sound: each has signs of its own."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""All commands that mark what they make."""

ALARM = 1e-6
"""The probability, at most, that a recording without a mark is called marked."""

RATE = 22050
_HOP = 256  # samples at RATE; a window has four hops, and so has a slot
_PERIOD = 64  # slots after which the signs begin again: 3.0 s
_LOW, _HIGH = 8, 320  # bins: 172 Hz to 6.9 kHz
_WIDTH = 4  # bins of a band
_BANDS = (_HIGH - _LOW) // _WIDTH
_STRONGEST = 0.17  # largest relative change of amplitude, 1.4 dB
_FLOOR_DB = -60.0  # of a tile under the loudest one, below which it is not looked at
_SOFT = 8.0  # dB, above which a tile's deviation hardly counts more
_LOOK = 4 * _PERIOD  # slots that are searched at once: 11.9 s, with half as many between


@dataclass(frozen=True)
class Found:
    """A stretch of a recording that bears the mark.

    kind:       the command that made it
    start, end: s, as fine as the search looks: about 6 s
    score:      z of the module's docstring
    chance:     bound on the probability of such a score, anywhere in the recording, without a mark
    """

    kind: Kind
    start: float
    end: float
    score: float
    chance: float


def marked(
    wave: Samples, rate: int, kind: Kind, start: int = 0, key: str = "diff_audio"
) -> Samples:
    """Return a wave (C, T) or (T,) at `rate` Hz with the mark of `kind`, in its dtype.

    start: the place of its first sample in the whole sound: pieces that are marked one by one,
           with silence or a window of context between them, make up the marked whole
    key:   what the signs are made of
    """
    hop = max(1, round(_HOP * rate / RATE))
    slot, lead = start // (4 * hop), start % (4 * hop)
    rows = torch.from_numpy(np.atleast_2d(np.asarray(wave, np.float64)))
    padded = torch.nn.functional.pad(rows, (lead, 4 * hop))  # frames beyond the end count too
    if not bool(padded.any()):
        return wave
    window = torch.hann_window(4 * hop, dtype=torch.float64)
    spectrum = torch.stft(
        padded, 4 * hop, hop, window=window, pad_mode="constant", return_complex=True
    )
    signs = torch.from_numpy(_signs(kind, key))
    places = (torch.arange(spectrum.shape[2]) // 4 + slot) % _PERIOD
    most = most_change(spectrum[:, _LOW:_HIGH].abs().square(), _BANDS, rate / (4 * hop), _LOW)
    change = signs[:, places] * most.clamp(max=_STRONGEST)
    difference = torch.zeros_like(spectrum)
    difference[:, _LOW:_HIGH] = spectrum[:, _LOW:_HIGH] * change.repeat_interleave(_WIDTH, dim=1)
    added = torch.istft(difference, 4 * hop, hop, window=window, length=padded.shape[1])
    result: Any = (rows + added[:, lead : lead + rows.shape[1]]).numpy().astype(wave.dtype)
    return cast(Samples, result.reshape(wave.shape))


def find(wave: Array, rate: int, key: str = "diff_audio") -> list[Found]:
    """Return where a recording (C, T) or (T,) at `rate` Hz bears the mark, the surest first; of
    its channels the mean is searched.

    The probability that anything is found in a recording without a mark is at most ALARM.
    """
    mono = torch.from_numpy(np.atleast_2d(np.asarray(wave, np.float32)).mean(0))
    mono = resample(mono, rate, RATE)
    if len(mono) < 8 * _HOP or not bool(mono.any()):
        return []
    tiles = _tiles(mono)  # (phase, band, slot)
    looks = list(_looks(tiles.shape[2]))
    tried = len(KINDS) * len(looks) * tiles.shape[0] * _PERIOD
    found: list[Found] = []
    for kind in KINDS:
        for low, high in looks:
            score = max(_score(phase[:, low:high], kind, key) for phase in tiles)
            chance = min(1.0, tried * math.exp(-(max(score, 0.0) ** 2) / 2))
            if chance <= ALARM:
                start, end = (round(place * 4 * _HOP / RATE, 2) for place in (low, high))
                found.append(Found(kind, start, end, round(score, 2), chance))
    return sorted(found, key=lambda one: one.chance)


@cache
def _signs(kind: Kind, key: str) -> NDArray[np.float64]:
    """Return +-1 for each band and slot, (_BANDS, _PERIOD), from a hash: the same everywhere."""
    count = _BANDS * _PERIOD
    data = hashlib.shake_256(f"{key} {kind}".encode()).digest(-(-count // 8))
    bits = np.unpackbits(np.frombuffer(data, np.uint8))[:count]
    return (2.0 * bits.astype(np.float64) - 1.0).reshape(_BANDS, _PERIOD)


def _looks(slots: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches that are searched, each half over the next."""
    low = 0
    while True:
        yield low, min(low + _LOOK, slots)
        if low + _LOOK >= slots:
            return
        low += _LOOK // 2


def _tiles(mono: Tensor) -> NDArray[np.float64]:
    """Return the deviations of the tiles' levels from their neighbours', (phase, band, slot).

    phase: hops by which the first slot begins later
    """
    window = torch.hann_window(4 * _HOP)
    spectrum = torch.stft(
        mono, 4 * _HOP, _HOP, window=window, pad_mode="constant", return_complex=True
    )
    power = spectrum[_LOW:_HIGH].abs().square().double()
    power = power.unflatten(0, (_BANDS, _WIDTH)).sum(1)
    slots = power.shape[1] // 4 - 1
    phases = [power[:, phase : phase + 4 * slots].unflatten(1, (slots, 4)).sum(2)
              for phase in range(4)]  # fmt: skip
    summed = torch.stack(phases)
    level = 10.0 * (summed + 1e-20).log10()
    heard = level > level.max() + _FLOOR_DB
    sides = torch.nn.functional.pad(level, (1, 1), mode="replicate")
    deviation = level - (sides[..., :-2] + sides[..., 2:]) / 2
    deviation = _SOFT * torch.tanh(deviation / _SOFT)
    around = torch.nn.functional.avg_pool2d(deviation[:, None], (7, 1), 1, (3, 0))[:, 0]
    return ((deviation - around) * heard).numpy()


def _score(deviation: NDArray[np.float64], kind: Kind, key: str) -> float:
    """Return the largest z over all shifts of the signs."""
    slots = deviation.shape[1]
    folded = np.pad(deviation, ((0, 0), (0, -slots % _PERIOD)))
    folded = folded.reshape(_BANDS, -1, _PERIOD).sum(1)
    norm = float(np.sqrt(np.square(folded).sum()))
    if norm == 0.0:
        return 0.0
    signs = np.fft.rfft(_signs(kind, key), axis=1)
    product = np.conj(np.fft.rfft(folded, axis=1)) * signs
    return float(np.fft.irfft(product.sum(0), _PERIOD).max()) / norm
