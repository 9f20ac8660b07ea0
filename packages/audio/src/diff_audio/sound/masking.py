"""The change of a sound that masking hides, after J. Johnston, "Transform coding of audio signals
using perceptual noise criteria" (1988): spread energies of critical bands, less an offset that is
larger for tones than for noise.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

__all__ = ["most_change"]

_TONE_DB, _NOISE_DB = 14.5, 5.5  # under a masker of the kind; a tone's grows by 1 dB a Bark
_TONAL_DB = -60.0  # spectral flatness of a pure tone
_MARGIN_DB = 0.0


def most_change(power: Tensor, bands: int, spacing: float, first: int) -> Tensor:
    """Return the largest relative change of amplitude that is masked, (C, bands, N), for powers
    (C, F, N) of bins `spacing` Hz apart, of which the first is bin `first`, in equal bands.
    """
    bark, spread = _matrices(power.shape[1], bands, spacing, first)
    members, neighbours = bark.to(power), spread.to(power)
    energy = torch.einsum("kf,cfn->ckn", members, power) + 1e-20
    counts = members.sum(1)[:, None]
    logs = torch.einsum("kf,cfn->ckn", members, (power + 1e-20).log()) / counts
    flatness_db = 10.0 / 2.302585 * (logs - (energy / counts).log())
    tonality = (flatness_db / _TONAL_DB).clamp(0.0, 1.0)
    rank = torch.arange(len(members), dtype=power.dtype)[:, None]
    offset = tonality * (_TONE_DB + rank) + (1 - tonality) * _NOISE_DB + _MARGIN_DB
    threshold = torch.einsum("jk,ckn->cjn", neighbours, energy) * 10.0 ** (-offset / 10.0)
    ratio = (threshold / energy).sqrt()
    owner = members.reshape(len(members), bands, -1).sum(2).argmax(0)
    return ratio[:, owner]


@cache
def _matrices(bins: int, bands: int, spacing: float, first: int) -> tuple[Tensor, Tensor]:
    """Return the members of each critical band (K, F), and how energies spread over them (K, K).

    The spreading falls by 25 dB a Bark downwards and by 10 dB upwards, and keeps the energy of a
    flat spectrum.
    """
    hertz = (torch.arange(bins) + first) * spacing
    place = 13.0 * (0.00076 * hertz).atan() + 3.5 * (hertz / 7500.0).square().atan()  # Zwicker
    number = place.floor().long()
    number = number - number.min()
    members = torch.nn.functional.one_hot(number).T.double()
    step = torch.arange(len(members))[:, None] - torch.arange(len(members))
    decibels = torch.where(step > 0, -10.0 * step, 25.0 * step).double()
    spread = 10.0 ** (decibels / 10.0)
    return members, spread / spread.sum(1, keepdim=True)
