"""The place of a head in the space of a template: a turn, a shift and one scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from diff_medical.brain.grid import Grid

__all__ = ["Aligned", "Template", "on_grid"]

COARSE = 4.0  # mm at which heads are compared
PASSES = ((2, 60, 0.03), (1, 60, 0.01))  # radius of the blur, steps, rate
SHIFT = 100.0  # mm of a unit of the parameters, so that turns and shifts move alike
CLOSE = 0.88  # correlation of a head with the template: people reach 0.92, an upside-down one 0.83
SMALLEST = 16  # voxels along an axis

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Aligned:
    """matrix: (4, 4), mm of the template to mm of the head; correlation: of both, 0 to 1."""

    matrix: Matrix
    correlation: float

    @property
    def scale(self) -> float:
        """The size of the head in units of the template."""
        return float(np.cbrt(np.linalg.det(self.matrix[:3, :3])))


class Template:
    """A skull-stripped T1 (X, Y, Z) and its affine, to which heads are aligned.

    scale: of the mean head in units of the template, where the search begins
    """

    def __init__(self, values: NDArray[np.float32], affine: Matrix, scale: float) -> None:
        """Raise ValueError for a template that is too small or empty."""
        coarse, self._affine = _coarse(values, affine)
        self._scale = scale
        places = torch.stack(
            torch.meshgrid(*[torch.arange(n).float() for n in coarse.shape], indexing="ij"), -1
        ).reshape(-1, 3)
        near = F.max_pool3d((coarse > 0.05).float()[None, None], 7, 1, 3)[0, 0].flatten() > 0
        self._near, self._coarse = near, coarse
        self._world = _moved(self._affine, places[near])
        self._centre = _centre(coarse, self._affine)

    def align(self, values: NDArray[np.float32], affine: Matrix) -> Aligned:
        """Maximise the normalised correlation with a head (X, Y, Z), by gradients.

        Raises ValueError for a volume that is too small or empty, and for a head that is not like
        the template.
        """
        head, to_world = _coarse(values, affine)
        centre, to_voxel = _centre(head, to_world), torch.linalg.inv(to_world)
        limits = torch.tensor(head.shape).float() - 1
        p = torch.zeros(7, requires_grad=True)
        correlation = torch.zeros(())
        for radius, steps, rate in PASSES:
            moving, fixed = _blurred(head, radius), _blurred(self._coarse, radius)
            target = fixed[0, 0].flatten()[self._near]
            optimizer = torch.optim.Adam([p], rate, betas=(0.8, 0.95))
            falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.1, steps)
            for _ in range(steps):
                linear = self._linear(p)
                world = (self._world - self._centre) @ linear.T + centre + p[3:6] * SHIFT
                at = _moved(to_voxel, world) / limits * 2 - 1
                places = at.flip(-1)[None, None, None]
                read = F.grid_sample(moving, places, align_corners=True)[0, 0, 0, 0]
                correlation = _correlation(read, target)
                optimizer.zero_grad()
                (1 - correlation).backward()
                optimizer.step()
                falling.step()
        likeness = float(correlation.detach())
        if not likeness >= CLOSE:
            raise ValueError(
                f"is not like the template (correlation {likeness:.2f}); expected a whole brain "
                "without skull, whose header says how it lies"
            )
        with torch.no_grad():
            linear = self._linear(p)
            matrix = np.eye(4)
            matrix[:3, :3] = linear.numpy()
            matrix[:3, 3] = (centre + p[3:6] * SHIFT - linear @ self._centre).numpy()
        return Aligned(matrix, likeness)

    def _linear(self, p: Tensor) -> Tensor:
        """Turn and scale: three angles, and the logarithm of a scale."""
        zero = torch.zeros(())
        x, y, z = p[0], p[1], p[2]
        rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
        turn = torch.linalg.matrix_exp(torch.stack([torch.stack(row) for row in rows]))
        return turn * torch.exp(p[6]) * self._scale


def on_grid(
    values: NDArray[np.float32], affine: Matrix, matrix: Matrix, grid: Grid
) -> NDArray[np.float32]:
    """A head (X, Y, Z) on the grid: the mean of eight points of each voxel, read linearly.

    affine: voxels of the head to mm; matrix: mm of the template to mm of the head
    """
    x, y, z = (2 * n for n in grid.shape)
    fine = replace(grid, shape=(x, y, z), voxel=grid.voxel / 2)
    to_voxel = torch.from_numpy(np.linalg.inv(affine) @ matrix @ fine.in_template()).float()
    limits = torch.tensor(values.shape).float() - 1
    volume = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    rest = torch.meshgrid(torch.arange(y).float(), torch.arange(z).float(), indexing="ij")
    rows: list[Tensor] = []
    for first in range(0, x, 2):
        planes: list[Tensor] = []
        for i in (first, first + 1):
            places = torch.stack([torch.full_like(rest[0], i), *rest], -1)
            at = _moved(to_voxel, places.reshape(-1, 3)) / limits * 2 - 1
            places = at.reshape(1, 1, y, z, 3).flip(-1)
            planes.append(F.grid_sample(volume, places, align_corners=True)[0, 0])
        rows.append(F.avg_pool3d(torch.cat(planes)[None], 2)[0])
    return torch.cat(rows).numpy()


def _coarse(values: NDArray[np.float32], affine: Matrix) -> tuple[Tensor, Tensor]:
    """A head in voxels of about COARSE mm, bright tissue near 1, and their affine."""
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    factors = np.maximum(1, np.rint(COARSE / sides)).astype(int)
    if min(values.shape) < SMALLEST:
        raise ValueError(f"has shape {values.shape}; expected a volume of {SMALLEST} or more")
    shape = np.array(values.shape) // factors * factors
    cut = torch.from_numpy(np.ascontiguousarray(values[tuple(slice(n) for n in shape)]))
    inside = cut[cut > 0][::7]
    if not len(inside):
        raise ValueError("holds nothing above 0; expected a brain")
    bright = float(np.percentile(inside.numpy(), 95))
    a, b, c = factors.tolist()
    coarse = F.avg_pool3d(cut.clamp_max(1.3 * bright)[None, None], (a, b, c))[0, 0] / bright
    moved = affine.copy()
    moved[:3, :3] = affine[:3, :3] * factors
    moved[:3, 3] = affine[:3, 3] + affine[:3, :3] @ ((factors - 1) / 2)
    return coarse, torch.from_numpy(moved).float()


def _blurred(volume: Tensor, radius: int) -> Tensor:
    return F.avg_pool3d(volume[None, None], 2 * radius + 1, 1, radius)


def _moved(affine: Tensor, points: Tensor) -> Tensor:
    return points @ affine[:3, :3].T + affine[:3, 3]


def _centre(volume: Tensor, affine: Tensor) -> Tensor:
    """The centre of mass of what is above 0.1, mm."""
    inside = (volume > 0.1).nonzero().float()
    return _moved(affine, inside.mean(0)[None])[0]


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(), b - b.mean()
    return cast(Tensor, (a * b).sum() / (a.norm() * b.norm()).clamp_min(1e-9))
