"""The sample rates: the one door to torchaudio, and the exact split of a recording at the top of
the network's band.

Resampling is torchaudio's windowed-sinc interpolation (J. O. Smith, "Digital audio resampling home
page", 2002), which is a finite filter: a piece resampled with enough neighbours on both sides
equals the same piece of the whole.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from types import ModuleType
from typing import Any

from torch import Tensor

__all__ = ["CELL", "CORE_RATE", "BandSplit", "resample", "torchaudio"]

CORE_RATE = 16_000
"""The rate, Hz, at which the networks work."""

# A ratio such as 44101 : 16000 would need a filter bank of gigabytes: it is taken for the nearest
# one of small numbers.
LARGEST_TERM = 640

# Every usual rate has a whole number of samples in 640 samples at 16 kHz. Another is split as the
# nearest that has: off by a thousandth at most, which the way back undoes.
CELL = 640
"""The samples at 16 kHz that last as long as a whole number of samples at every usual rate."""

# Zero crossings of the sinc on each side, and the cut-off relative to the lower Nyquist frequency.
WIDTH, ROLLOFF = 24, 0.96


@cache
def torchaudio() -> ModuleType:
    """The module torchaudio, also where its compiled part cannot be loaded.

    PyPI's torchaudio is linked against CUDA's libraries, so beside a CPU-only torch its import
    raises OSError. Its Python operators need no compiled part: torchaudio has a mode without
    extension, and this turns it on. Raises ImportError if torchaudio is not installed.
    """
    import importlib

    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [n for n in sys.modules if n == "torchaudio" or n.startswith("torchaudio.")]:
            del sys.modules[name]

    def needs_extension(function: Any) -> Any:
        def refuse(*_args: object, **_keywords: object) -> None:
            raise RuntimeError(f"{function.__name__} needs torchaudio's compiled extension")

        return refuse

    stub: Any = ModuleType("torchaudio._extension")
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stub._IS_ALIGN_AVAILABLE = False
    stub.fail_if_no_align = needs_extension
    sys.modules["torchaudio._extension"] = stub
    return importlib.import_module("torchaudio")


@cache
def _resampler(source: int, target: int) -> Any:
    return torchaudio().transforms.Resample(
        source, target, lowpass_filter_width=WIDTH, rolloff=ROLLOFF
    )


def _ratio(rate: int, target: int) -> Fraction:
    if rate < 1 or target < 1:
        raise ValueError(f"rates must be positive numbers of Hz, got {rate} and {target}")
    ratio = Fraction(rate, target)
    if ratio > 1:
        return 1 / (1 / ratio).limit_denominator(LARGEST_TERM)
    return ratio.limit_denominator(LARGEST_TERM)


def resample(wave: Tensor, rate: int, target: int) -> Tensor:
    """A wave (..., T) at `rate` Hz to (..., ceil(T target / rate)) at `target` Hz, in wave's dtype
    and on its device.
    """
    ratio = _ratio(rate, target)
    if ratio == 1:
        return wave
    return _apply(wave, ratio.numerator, ratio.denominator)


def _apply(wave: Tensor, source: int, target: int) -> Tensor:
    return _resampler(source, target).to(wave.device)(wave.float()).to(wave.dtype)


@dataclass(frozen=True)
class BandSplit:
    """A recording x at `rate` Hz as x = L + H: L is what a 16 kHz network can hear, H the exact
    rest.

    L = up(down(x)). `cell` samples of x last as long as 640 samples at 16 kHz: pieces that begin
    at multiples of it are sampled at the same instants as the whole. Raises ValueError unless rate
    is in [1000, 768000].
    """

    rate: int

    def __post_init__(self) -> None:
        if not 1000 <= self.rate <= 768_000:
            raise ValueError(f"rate must be 1000 to 768000 Hz, got {self.rate}")

    @cached_property
    def ratio(self) -> Fraction:
        """Return the samples of x for each sample at 16 kHz, a multiple of 1/640."""
        return Fraction(round(Fraction(self.rate * CELL, CORE_RATE)), CELL)

    @property
    def cell(self) -> int:
        """Return the samples of x in a cell."""
        return int(CELL * self.ratio)

    @property
    def context(self) -> int:
        """Return the samples of x on each side on which one sample of `down`, or of `up` of
        `down`, may depend.
        """
        if self.ratio == 1:
            return 0
        # Each way the filter reaches WIDTH zero crossings of the lower rate; torchaudio adds up to
        # one period.
        lower = max(self.ratio, Fraction(1))
        reach = math.ceil(WIDTH / ROLLOFF * lower) + self.ratio.numerator
        return 2 * reach + self.ratio.numerator

    def down(self, wave: Tensor) -> Tensor:
        """Return x (..., T) at 16 kHz, (..., ceil(T / ratio))."""
        return (
            wave if self.ratio == 1 else _apply(wave, self.ratio.numerator, self.ratio.denominator)
        )

    def up(self, core: Tensor, length: int) -> Tensor:
        """A 16 kHz wave (..., M) back to (..., length) at the recording's rate."""
        if self.ratio == 1:
            return core[..., :length]
        return _apply(core, self.ratio.denominator, self.ratio.numerator)[..., :length]
