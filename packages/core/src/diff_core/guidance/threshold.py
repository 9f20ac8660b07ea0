r"""Thresholds of the estimate: signals whose range is known stay in it.

Static thresholding clips D to [-limit, limit] (Denoising Diffusion Probabilistic Models, Ho et
al., 2020, whose code clips at every step; `clip_sample` in diffusers). Dynamic thresholding
(Photorealistic Text-to-Image Diffusion Models with Deep Language Understanding, Saharia et al.,
2022, section 2.3) clips each row at the larger of `limit` and a quantile s of its absolute values,
and divides by s / limit, which keeps strongly guided rows from saturating.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser

__all__ = ["Threshold"]


class Threshold(Denoiser):
    """`denoiser` with its estimates clipped to [-limit, limit].

    limit: the largest absolute value of a signal
    quantile: for dynamic thresholding, such as 0.995; None for static

    Raises ValueError for a limit that is not positive or a quantile outside (0, 1].
    """

    def __init__(
        self, denoiser: Denoiser, *, limit: float = 1.0, quantile: float | None = None
    ) -> None:
        super().__init__(denoiser.schedule)
        if not limit > 0:
            raise ValueError(f"limit is {limit}; expected a positive number")
        if quantile is not None and not 0 < quantile <= 1:
            raise ValueError(f"quantile is {quantile}; expected a number in (0, 1], or None")
        self.denoiser = denoiser
        self.limit = limit
        self.quantile = quantile

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        estimate = self.denoiser(x_t, t, cond)
        if self.quantile is None:
            return estimate.clamp(-self.limit, self.limit)
        sizes = estimate.abs().flatten(1)
        # not torch.quantile, which refuses more than 16 million values
        place = round(self.quantile * (sizes.shape[1] - 1)) + 1
        bound = sizes.kthvalue(place, dim=1).values.clamp(min=self.limit)
        bound = bound.reshape(-1, *(1,) * (estimate.ndim - 1))
        return torch.minimum(torch.maximum(estimate, -bound), bound) * (self.limit / bound)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)
