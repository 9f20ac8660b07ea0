"""The kind of log-mel that an array of 80 bands is, by its statistics.

A mel spectrogram in a bare array does not say how it was made, and one of another logarithm, scale
or highest frequency becomes noise. Speech tells them apart: how much neighbouring bands and
neighbouring frames differ depends on the widths of the bands and on the logarithm, far more than
on the speaker or the microphone.

A linear discriminant (R. A. Fisher, "The use of multiple measurements in taxonomic problems",
1936) of these differences, fitted by `benchmarks/audio/mel_kinds.py`, which also prints how many
it finds. A hop of 12 to 16 ms is not among the kinds: speech differs more by speaker than by such
a hop. Our own mel of speech without treble (a telephone) looks like one whose bands go higher,
so whoever refuses a mel must be able to be overruled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["FILE", "KINDS", "OURS", "Discriminant", "features", "foreign_kind"]

Array = NDArray[np.float64]

OURS = "ours"
"""The name of the kind of mel that this package makes."""
KINDS = {
    OURS: "natural logarithms of magnitudes, bands up to 8 kHz",
    "half the rate": "bands up to half the sample rate (MelGAN, Vocos)",
    "44.1 kHz": "bands up to 16 kHz, at 44.1 kHz",
    "log10": "logarithms to base 10 (ESPnet, ParallelWaveGAN)",
    "HTK": "bands on the scale of HTK",
    "HTK without norm": "bands on the scale of HTK without norm (torchaudio)",
    "power": "logarithms of powers",
    "7.6 kHz": "bands from 80 Hz to 7.6 kHz",
    "24 kHz": "bands up to 12 kHz, at 24 kHz",
    "24 kHz, to 8 kHz": "frames every 256 samples, at 24 kHz",
    "16 kHz, hop 160": "frames every 10 ms, at 16 kHz",
}
"""The kinds that are told apart, and what they are."""

FILE = Path(__file__).with_name("mel_kinds.safetensors")
"""The file of statistics by which kinds are told apart."""
ACTIVE = 0.6  # share of the frames, the loudest, that are looked at
FRAMES = 40  # fewest of them
LOUD = 0.12  # share of values above 0: the loudest speech has about 0.03
MARGIN = 6.0  # by which a log-likelihood must be above that of our own
MARGINS = {"7.6 kHz": 16.0}  # the one that is much like our own
LIMIT = 4.0  # median square of (x - mean) / deviation beyond which it is no speech


@dataclass(frozen=True)
class Discriminant:
    """The log-likelihood of each kind, up to what they share: x @ weights.T + bias.

    names:     K kinds
    weights:   (K, D)
    bias:      (K,)
    means:     (K, D), the features of each kind
    deviation: (D,), within a kind
    """

    names: tuple[str, ...]
    weights: Array
    bias: Array
    means: Array
    deviation: Array

    def kind(self, x: Array) -> str:
        """Return the kind of features x (D,); `OURS` where no other is clearly likelier."""
        ahead = self.weights @ x + self.bias
        ahead -= ahead[self.names.index(OURS)]
        best = int(np.argmax(ahead))
        distance = float(np.median(((x - self.means[best]) / self.deviation) ** 2))
        name = self.names[best]
        return name if ahead[best] > MARGINS.get(name, MARGIN) and distance < LIMIT else OURS


def features(log_mel: NDArray[np.floating]) -> Array | None:
    """Return the features (3 * bands - 2,) of a log-mel (bands, N); None for too few frames.

    The logarithms of the median differences between bands and between frames, and the differences
    between the bands' means, over active frames. None of them depends on the level, and only the
    last on the tone of the recording.
    """
    values = np.asarray(log_mel, np.float64)
    level = values.mean(0)
    active = level > np.quantile(level, 1 - ACTIVE)
    together = active[1:] & active[:-1]
    if together.sum() < FRAMES:
        return None
    across = np.median(np.abs(np.diff(values, axis=0))[:, active], axis=1)
    along = np.median(np.abs(np.diff(values, axis=1))[:, together], axis=1)
    shape = np.diff(values[:, active].mean(1))
    return np.concatenate((np.log(across + 1e-3), np.log(along + 1e-3), shape))


@cache
def _discriminant() -> Discriminant:
    from safetensors import safe_open

    with safe_open(FILE, "numpy") as file:
        tensors = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118
        names = tuple(json.loads(file.metadata()["names"]))
    return Discriminant(names=names, **tensors)


def foreign_kind(log_mel: NDArray[np.floating]) -> str | None:
    """Return what a log-mel (80, N) is, in words, if it clearly is not of our definition.

    None for our own, and for what is too short or too unlike speech to tell.
    """
    if float(np.mean(log_mel > 0)) > LOUD:
        return "magnitudes without a logarithm, or a normalised mel (0 to 1, -4 to 4, z-score)"
    x = features(log_mel)
    if x is None:
        return None
    kind = _discriminant().kind(x)
    return None if kind == OURS else KINDS[kind]
