"""Line integrals of an image along a fan of rays: computed tomography with a point source."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_core.operator.rays import Rays

__all__ = ["FanBeam"]


@dataclass(frozen=True, eq=False)
class FanBeam(Rays):
    """A x: sums of x (B, C, N, N) along rays from a source that turns about the centre.

    In the coordinates of `Radon`, the source of angle a is at R (sin a, -cos a), and its ray
    crosses the line through the centre along (cos a, sin a) at s: Kak and Slaney, Principles of
    Computerized Tomographic Imaging (1988), section 3.4.2, equally spaced rays. It is the parallel
    ray at angle a - atan(s / R) and place s R / sqrt(s^2 + R^2); as R grows, `Radon` results. y is
    (B, C, angles, detectors), and the sum and its exact adjoint are those of `Rays`.

    angles: (A,) in radians; pi plus the opening of the fan sees every line
    size: N
    detectors: number of bins; by default enough for the whole image
    source: R, the distance of the source from the centre in pixels
    pitch: width of a bin in pixels at the centre: that of a flat detector at distance R + Q from
        the source is R / (R + Q) of its own

    Raises ValueError for other shapes, a source that is not outside of the image at every angle,
    or a pitch not above 0.
    """

    source: float = field(kw_only=True)
    pitch: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        radius = self._radius
        if not radius < self.source < math.inf:
            raise ValueError(
                f"source is {self.source}; expected a finite distance above {radius:.6g}, outside "
                f"of an image of {self.size} by {self.size} pixels at every angle"
            )
        if not 0 < self.pitch < math.inf:
            raise ValueError(f"pitch is {self.pitch}; expected a number above 0")

    @property
    def _radius(self) -> float:
        """Distance from the centre up to which bilinear interpolation sees the corner pixels."""
        return (self.size + 1) / math.sqrt(2)

    @property
    def bins(self) -> int:
        if self.detectors is not None:
            return self.detectors
        radius = self._radius
        edge = self.source * radius / math.sqrt(self.source**2 - radius**2)
        return 2 * math.ceil(edge / self.pitch) + self.size % 2

    def lines(self, angles: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        place = places * self.pitch
        turned = angles - torch.atan(place / self.source)
        foot = place * self.source / torch.hypot(place, place.new_tensor(self.source))
        across = torch.stack([turned.cos(), turned.sin()], -1)
        return foot[:, None] * across, torch.stack([-turned.sin(), turned.cos()], -1)
