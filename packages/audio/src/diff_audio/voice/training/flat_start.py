"""The first durations of a corpus, from nothing but its sounds and the order of its symbols.

The flat start of speech recognisers (Young et al., "The HTK Book", 2006, chapter 8): every symbol
is one Gaussian, whatever its neighbours. Symbols first share a recording out evenly; then, in
turn, each Gaussian is fitted to the frames of its symbol, and `monotonic_alignment` finds the
frames of each symbol again (Viterbi training; Juang and Rabiner, "The Segmental K-Means
Algorithm for Estimating Parameters of Hidden Markov Models", 1990). It needs no gradient, and what
is trained next starts with durations that are nearly right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diff_audio.voice.alignment import diagonal_prior, monotonic_alignment, spread

__all__ = ["flat_start"]

_CEPSTRA = 13
_BATCH = 64
_PRIOR_ROUNDS = 3  # with the diagonal prior, while the Gaussians still know little


def flat_start(mels: Sequence[Tensor], texts: Sequence[Tensor], rounds: int = 12) -> list[Tensor]:
    """Return durations (I,) of the symbols of each text, in frames, that sum to its recording's.

    mels: (bands, J) each; texts: (I,) symbol indices each, with I <= J.
    """
    features = [_features(mel) for mel in mels]
    count = 1 + max(int(text.max()) for text in texts)
    order = sorted(range(len(mels)), key=lambda n: mels[n].shape[1])
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    durations = [
        spread(torch.tensor([len(text)]), torch.tensor([mel.shape[1]]), len(text))[0]
        for text, mel in zip(texts, mels, strict=True)
    ]
    everything = torch.cat(features)
    for turn in range(rounds):
        owners = torch.cat(
            [text.repeat_interleave(d) for text, d in zip(texts, durations, strict=True)]
        )
        mean, variance = _fit(everything, owners, count)
        for batch in batches:
            found = _align(
                [features[n] for n in batch],
                [texts[n] for n in batch],
                mean,
                variance,
                prior=turn < _PRIOR_ROUNDS,
            )
            for n, d in zip(batch, found, strict=True):
                durations[n] = d[: len(texts[n])]
    return durations


def _features(mel: Tensor) -> Tensor:
    """Return cepstra and their slopes (J, 26) of a log-mel (bands, J), whose entries hardly
    correlate.
    """
    bands = mel.shape[0]
    angles = math.pi / bands * (torch.arange(bands) + 0.5)
    cosines = torch.cos(torch.arange(_CEPSTRA)[:, None] * angles) * math.sqrt(2 / bands)
    cepstra = (cosines @ mel.float()).T
    padded = torch.cat([cepstra[:1], cepstra[:1], cepstra, cepstra[-1:], cepstra[-1:]])
    n = len(cepstra)
    slope = (padded[3 : n + 3] - padded[1 : n + 1]) + 2 * (padded[4 : n + 4] - padded[:n])
    return torch.cat([cepstra, slope / 10], dim=1)


def _fit(features: Tensor, owners: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the mean and variance (count, F) of the frames of each symbol, drawn to those of all
    frames as by ten frames more, so that a rare symbol has both.
    """
    extra = 10.0
    number = torch.bincount(owners, minlength=count)[:, None] + extra
    sums = features.new_zeros(count, features.shape[1])
    mean = (sums.index_add(0, owners, features) + extra * features.mean(0)) / number
    squares = sums.index_add(0, owners, (features - mean[owners]).square())
    return mean, (squares + extra * features.var(0)) / number


def _align(
    features: list[Tensor], texts: list[Tensor], mean: Tensor, variance: Tensor, *, prior: bool
) -> Tensor:
    tokens = torch.tensor([len(text) for text in texts])
    frames = torch.tensor([len(f) for f in features])
    score = torch.zeros(len(texts), int(tokens.max()), int(frames.max()))
    offset = 0.5 * variance.log().sum(1)
    for row, (f, text) in enumerate(zip(features, texts, strict=True)):
        weights = 0.5 / variance
        square = weights @ f.square().T - 2 * (weights * mean) @ f.T
        square += (weights * mean.square()).sum(1)[:, None] + offset[:, None]
        score[row, : len(text), : len(f)] = -square[text]
        if prior:
            score[row, : len(text), : len(f)] += diagonal_prior(len(text), len(f))
    return monotonic_alignment(score, tokens, frames)
