"""Preparation by the mean head of a trained stage: it needs neither a template nor an atlas."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional as F

from diff_medical.brain.appearance import TYPICAL
from diff_medical.brain.folds import Lobes
from diff_medical.brain.preparation.align import Template
from diff_medical.brain.preparation.atlas import Atlas
from diff_medical.brain.preparation.folder import Preparation
from diff_medical.brain.source import Source

__all__ = ["mean_head", "read_source"]


def mean_head(lobes: Lobes) -> Preparation:
    """Return template and atlas of the mean fractions of the people of a stage.

    They are smooth, cells of 6 mm between which is read linearly. Raises ValueError for a stage
    that was not trained.
    """
    grid = lobes.grid
    coarse = lobes.get_buffer("mean")[None].float().cpu()
    shares = F.interpolate(coarse, size=grid.shape, mode="trilinear")[0].clamp_min(0)
    image = torch.einsum("k,kxyz->xyz", torch.tensor(TYPICAL[1:]), shares).numpy()
    inside, most = shares.sum(0) > 0.5, shares.argmax(0)
    deep, cerebellum = ((inside & (most == k)).numpy() for k in (3, 4))
    atlas = Atlas.of_masks(image, deep, cerebellum, inside.numpy() & ~deep & ~cerebellum)
    return Preparation(grid, Template(image, grid.in_template(), grid.scale), atlas)


def read_source(path: Path, lobes: Lobes) -> Source:
    """Return a scan, T1 of a brain without skull, on the grid of a stage, with its labels.

    Raises ValueError, one line, for a scan that cannot be read or is not like the mean head.
    """
    person = mean_head(lobes).person(path)
    affine = person.aligned.matrix @ lobes.grid.in_template()
    return Source(person.image, person.labels, affine, path.name)
