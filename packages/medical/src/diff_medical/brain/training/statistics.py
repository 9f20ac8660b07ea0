"""The statistics that the stages normalise by, from the people that they are trained on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from diff_medical.brain.anatomy import Anatomy, measures
from diff_medical.brain.appearance import Appearance, residual
from diff_medical.brain.borders import Borders
from diff_medical.brain.folds import Finer, Lobes
from diff_medical.brain.fractions import fractions
from diff_medical.brain.grid import TISSUES
from diff_medical.brain.people import People
from diff_medical.brain.training.augment import mirrored
from diff_medical.generator.packing import haar

__all__ = ["fit"]

FITTED = 24  # people from which the scales of subbands are taken
WORDS_LEAST = 0.01


def fit(stage: Anatomy | Finer | Borders | Appearance, people: People) -> None:
    """Give a stage the statistics of people."""
    if isinstance(stage, Anatomy):
        _fit_anatomy(stage, people)
    elif isinstance(stage, Finer):
        stage.keep(scale=torch.ones(stage.count))
        shares = torch.cat([fractions(one[None], stage.factor) for one in _some(people.labels)])
        if isinstance(stage, Lobes):
            whole = [fractions(one[None], stage.factor)[0] for one in people.labels]
            stage.keep(mean=torch.stack(whole).mean(0))
        x = stage.encode(shares)[1]
        free = (x != 0).sum((0, 2, 3, 4)).clamp_min(1)
        stage.keep(scale=(x.square().sum((0, 2, 3, 4)) / free).sqrt().clamp_min(1e-4))
    elif isinstance(stage, Appearance):
        _fit_appearance(stage, people)


def _some(volumes: Tensor) -> Tensor:
    return volumes[:FITTED]


def _fit_anatomy(stage: Anatomy, people: People) -> None:
    """Subbands lose their mean map, and half of the way to one variance everywhere.

    What varies most comes first when noise is removed: the coarse subbands, and the places where
    people differ.
    """
    # cells of half the side are kept as training reads them, in half precision
    fine = torch.cat([fractions(one[None], stage.factor // 2).half() for one in people.labels])
    shares = F.avg_pool3d(torch.cat([fine, mirrored(fine)]).float(), 2)
    bands = haar(shares, 3, 1)
    mean = bands.mean(0)
    variance = (bands - mean).square().mean(0)
    smooth = F.avg_pool3d(F.pad(variance[None], (1,) * 6, "replicate"), 3, 1)[0]
    deviation = torch.where(variance > 0, smooth, 0).sqrt()
    scale = (deviation * deviation.square().mean().sqrt()).sqrt()
    x = torch.where(scale > 0, (bands - mean) / scale.clamp_min(1e-6), 0)
    total = (x.square().sum() / (scale > 0).expand_as(x).sum().clamp_min(1)).sqrt()
    said = measures(shares)
    sizes = people.sizes
    spread = sizes.std() if len(sizes) > 1 else torch.zeros(())
    stage.keep(
        mean=mean,
        scale=scale * total.clamp_min(1e-4),
        words_mean=said.mean(0),
        words_scale=said.std(0).clamp_min(WORDS_LEAST),
        sizes=torch.stack([sizes.mean(), spread]),
    )
    stage.keep(words_covariance=_covariance(stage.measured(shares)))


def _fit_appearance(stage: Appearance, people: People) -> None:
    pairs = zip(_some(people.images), _some(people.labels), strict=True)
    bands = torch.cat([residual(image[None].float(), one[None]) for image, one in pairs])
    inside = (bands[:, :1] != 0).float()
    power = (bands.square() * inside).sum((0, 2, 3, 4)) / inside.sum().clamp_min(1)
    contrast = people.contrast
    spread = contrast.std(0) if len(contrast) > 1 else torch.ones(TISSUES)
    stage.keep(
        scale=power.sqrt().clamp_min(1e-4),
        words_mean=contrast.mean(0),
        words_scale=spread.clamp_min(WORDS_LEAST),
    )
    stage.keep(words_covariance=_covariance(stage.measured(contrast)))


def _covariance(words: Tensor) -> Tensor:
    """(D, D) of words (N, D); independent ones of variance 1 where there is one person."""
    return torch.cov(words.T) if len(words) > 1 else torch.eye(words.shape[1])
