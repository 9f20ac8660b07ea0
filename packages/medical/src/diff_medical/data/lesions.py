"""Small structures of either sign, added to clean slabs so that a denoiser learns to keep them.

A network that minimises the squared error over whole scans learns that a bump of two voxels and
three standard deviations of the noise is noise, because nearly all such bumps are. Scans with
lesions are rare. Bumps in the target make the network weigh the evidence instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Lesions", "draw_lesions"]


@dataclass(frozen=True)
class Lesions:
    """The small structures of a training run: how often, how many, how large, how strong.

    share:    probability per slab
    count:    fewest and most in a slab
    width:    range of the diameter in plane, voxels, log-uniform
    depth:    range of the extent along the stack, slices, log-uniform
    contrast: range of the height over the surroundings, in standard deviations of the noise,
              log-uniform; bright and dark are equally likely
    weight:   the loss of a voxel inside is multiplied by 1 + weight
    """

    share: float = 0.0
    count: tuple[int, int] = (1, 6)
    width: tuple[float, float] = (1.5, 7.0)
    depth: tuple[float, float] = (1.0, 6.0)
    contrast: tuple[float, float] = (0.8, 5.0)
    weight: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share must be a probability in [0, 1], got {self.share}")
        for name in ("count", "width", "depth", "contrast"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be a range of positive numbers, got {low}, {high}")
        if self.weight < 0:
            raise ValueError(f"weight must be at least 0, got {self.weight}")


def draw_lesions(
    like: Tensor, slices: Tensor, lesions: Lesions, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return the structures to add to slabs (B, S, H, W), in standard deviations of the noise, and
    the share of each voxel that lies inside one, 0 to 1.

    slices: (B, S); slices of a slab with the same number are one slice repeated

    Centres are drawn from the brighter half of the voxels of a slab.
    """
    batch, depth, height, width = like.shape
    added, where = torch.zeros_like(like), torch.zeros_like(like)
    chosen = torch.rand(batch, generator=generator) < lesions.share
    rows = torch.arange(height).view(1, height, 1).to(like)
    columns = torch.arange(width).view(1, 1, width).to(like)

    def between(limits: tuple[float, float]) -> float:
        low, high = torch.tensor(limits, dtype=torch.float64).log()
        return float(torch.exp(low + (high - low) * torch.rand(1, generator=generator)))

    for item in chosen.nonzero().flatten().tolist():
        planes = slices[item].to(like).view(depth, 1, 1)
        bright = (like[item] > like[item].median()).flatten()
        inside = (bright if bool(bright.any()) else ~bright).nonzero().flatten()
        count = int(
            torch.randint(lesions.count[0], lesions.count[1] + 1, (1,), generator=generator)
        )
        for _lesion in range(count):
            place = int(inside[int(torch.randint(len(inside), (1,), generator=generator))])
            z, y, x = place // (height * width), place // width % height, place % width
            offset = torch.rand(3, generator=generator) - 0.5
            across, along = between(lesions.width) / 2, between(lesions.depth) / 2
            squeeze = float(torch.exp(0.6 * (torch.rand(1, generator=generator) - 0.5)))
            distance = torch.sqrt(
                ((planes - slices[item, z] - offset[0]) / along) ** 2
                + ((rows - y - offset[1]) / (across * squeeze)) ** 2
                + ((columns - x - offset[2]) * squeeze / across) ** 2
            )
            edge = 1.0 / min(across, along)  # one voxel
            profile = ((1 - distance) / edge + 0.5).clamp(0, 1)
            sign = 1.0 if torch.rand(1, generator=generator) < 0.5 else -1.0
            added[item] += sign * between(lesions.contrast) * profile
            where[item] = torch.maximum(where[item], profile)
    return added, where
