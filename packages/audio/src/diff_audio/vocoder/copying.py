"""The copy-synthesis of a recording: to mel and back, at any rate, in pieces that equal the
whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import torch
from torch.nn import functional

from diff_audio.sound.resample import LARGEST_TERM, ROLLOFF, WIDTH, resample
from diff_audio.sound.wave import Array
from diff_audio.sound.windows import Window, cut, windows
from diff_audio.vocoder.model import PIECE, Settings, Vocoder

__all__ = ["copy_synthesis"]


def copy_synthesis(
    vocoder: Vocoder,
    blocks: Iterable[Array],
    shape: tuple[int, int],
    rate: int,
    settings: Settings,
) -> Iterator[tuple[Window, Array]]:
    """The pieces (C, stop - start) of a recording made anew, in order, and their places.

    blocks: consecutive (C, any) samples, full scale 1; shape: (C, T) of them all; rate: Hz. Every
    channel is made on its own. Raises ValueError unless rate is 1000 to 768000.
    """
    if not 1000 <= rate <= 768_000:
        raise ValueError(f"rate must be 1000 to 768000 Hz, got {rate}")
    mel, (_, length) = vocoder.mel, shape
    # `resample` takes an odd ratio for the nearest one of small numbers too.
    ratio = Fraction(rate, mel.sample_rate).limit_denominator(LARGEST_TERM)
    # Pieces begin where a sample of the recording, one of the model's and a frame coincide.
    cell = ratio.numerator * mel.hop // math.gcd(ratio.denominator, mel.hop)
    filters = 2 * (math.ceil(WIDTH / ROLLOFF * max(1, ratio)) + ratio.numerator)
    context = math.ceil((vocoder.context(settings) * mel.hop + mel.n_fft) * ratio) + filters
    for piece, seen in cut(
        blocks, windows(length, math.ceil(PIECE * mel.hop * ratio), context, cell)
    ):
        wave = resample(torch.from_numpy(seen).float(), rate, mel.sample_rate)
        hops = max(3, -(-wave.shape[1] // mel.hop))
        wave = functional.pad(wave, (0, hops * mel.hop - wave.shape[1]))
        made = vocoder.piece(mel(wave), int(piece.low / ratio) // mel.hop, settings)
        back = resample(made, mel.sample_rate, rate)[:, : seen.shape[1]]
        yield piece, back[:, piece.kept].double().numpy()
