r"""Adaptive projected guidance: strong guidance without saturation.

Eliminating Oversaturation and Artifacts of High Guidance Scales in Diffusion Models (Sadat et al.,
2025), section 4. The update of classifier-free guidance, d = D(x_t, cond) - D(x_t, null), is made
no longer than a radius r, and its part along D_c = D(x_t, cond), which mostly raises the contrast,
is weighted by eta:

    d'  = d min(1, r / |d|),    d_par = <d', D_c> / <D_c, D_c> D_c,
    D_w = D_c + (w - 1) (d' - d_par + eta d_par) .

Norms and products are those of each row. The paper's momentum needs the d of earlier steps; a
denoiser has no memory, and it is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.guidance.cfg import conditional_pair

__all__ = ["Apg"]


class Apg(Denoiser):
    """The guided D_w. Two calls of `denoiser` each, one where weight = 1.

    null, weight: as in `Cfg`
    eta: 0 (nothing along D_c) to 1 (with radius = None, that is `Cfg`)
    radius: r, the largest norm of d in a row, or None for no bound. The paper takes 2.5 to 15 for
        latent images; it grows with the root of the number of values

    Raises ValueError for a weight that is not finite, an eta outside [0, 1] or a radius that is
    not positive; when called, as `Cfg` does.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        null: Condition | None,
        weight: float,
        eta: float = 0.0,
        radius: float | None = None,
    ) -> None:
        super().__init__(denoiser.schedule)
        if not math.isfinite(weight):
            raise ValueError(f"weight is {weight}; expected a finite number")
        if not 0 <= eta <= 1:
            raise ValueError(f"eta is {eta}; expected 0 (projected) to 1 (not projected)")
        if radius is not None and not radius > 0:
            raise ValueError(f"radius is {radius}; expected a positive number, or None for none")
        self.denoiser = denoiser
        self.null = null
        self.weight = weight
        self.eta = eta
        self.radius = radius

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        cond, null = conditional_pair(cond, self.null, len(x_t))
        conditional = self.denoiser(x_t, t, cond)
        if self.weight == 1:
            return conditional
        update = conditional - self.denoiser(x_t, t, null)
        if self.radius is not None:
            length = _product(update, update).sqrt()
            # rows that the guidance leaves alone have length 0
            update = update * (self.radius / length).clamp(max=1.0)
        tiny = torch.finfo(update.dtype).tiny
        share = _product(update, conditional) / _product(conditional, conditional).clamp(min=tiny)
        update = update - (1 - self.eta) * share * conditional
        return conditional + (self.weight - 1) * update

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """The inner product of each row, (B, 1, ...)."""
    return (a * b).sum(tuple(range(1, a.ndim)), keepdim=True)
