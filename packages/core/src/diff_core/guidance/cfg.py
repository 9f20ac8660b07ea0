r"""Classifier-free guidance.

Classifier-Free Diffusion Guidance (Ho and Salimans, 2022), equation 6, on E[x_0 | x_t]:

    D_w = D(x_t, null) + w (D(x_t, cond) - D(x_t, null)) .

All predictions (noise, velocity, flow, score) are affine in D with the same coefficients, and the
weights sum to 1: the equation is the same for each. w = 0 is unconditional, 1 conditional, above 1
exaggerates (the paper's own w is one less). The samples are not those of the density p(x_0 |
cond)^w p(x_0)^(1 - w): a product of noisy marginals is not the marginal of the product.

`rescale` is phi of Common Diffusion Noise Schedules and Sample Steps are Flawed (Lin et al.,
2024), section 3.4, on D: it takes back the growth of the contrast with w.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser

__all__ = ["Cfg", "conditional_pair"]


class Cfg(Denoiser):
    """The guided D_w. Two calls of `denoiser` each, one where weight = 1 and rescale = 0.

    null: the condition that was trained to mean "none" (fields of B rows or of one), or None for a
        network that is called with cond = None; it is never guessed. `token_lengths` may be
        given in one of the two conditions only
    weight: w
    rescale: 0 (off) to 1 (the standard deviation of each row is that of D(x_t, cond))

    Raises ValueError for a weight that is not finite or a rescale outside [0, 1]; when called, if
    `cond` is None or `null` has other fields or rows than it.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        *,
        null: Condition | None,
        weight: float,
        rescale: float = 0.0,
    ) -> None:
        super().__init__(denoiser.schedule)
        if not math.isfinite(weight):
            raise ValueError(f"weight is {weight}; expected a finite number")
        if not 0 <= rescale <= 1:
            raise ValueError(f"rescale is {rescale}; expected 0 (off) to 1 (full)")
        self.denoiser = denoiser
        self.null = null
        self.weight = weight
        self.rescale = rescale

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        cond, null = conditional_pair(cond, self.null, len(x_t))
        conditional = self.denoiser(x_t, t, cond)
        if self.weight == 1:
            return conditional
        guided = torch.lerp(self.denoiser(x_t, t, null), conditional, self.weight)
        if self.rescale == 0:
            return guided
        ratio = _deviation(conditional) / _deviation(guided)
        return guided * torch.lerp(torch.ones_like(ratio), ratio, self.rescale)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)


def conditional_pair(
    cond: Condition | None, null: Condition | None, rows: int
) -> tuple[Condition, Condition | None]:
    """`cond` and `null`, whose single rows are repeated for a batch; ValueError if they differ."""
    if cond is None:
        raise ValueError("cond is None; expected the condition to guide towards")
    if null is None:
        return cond, None
    repeated: dict[str, Tensor] = {}
    for name in ("vector", "channels", "tokens", "lengths", "token_lengths"):
        value: Tensor | None = getattr(null, name)
        # a null text is often one token, all of it valid, whatever the lengths of the others
        optional = name == "token_lengths"
        if not optional and (value is None) != (getattr(cond, name) is None):
            with_it, without = ("cond", "null") if value is None else ("null", "cond")
            raise ValueError(
                f"null.{name}: {with_it} has {name} and {without} has not; expected a null "
                "condition with the fields of cond"
            )
        if value is None:
            continue
        if len(value) not in (1, rows):
            raise ValueError(f"null.{name} has {len(value)} rows; expected 1 or {rows}")
        repeated[name] = value.expand(rows, *value.shape[1:])
    return cond, replace(null, **repeated)


def _deviation(x: Tensor) -> Tensor:
    """Standard deviation of each row, (B, 1, ...)."""
    return x.std(tuple(range(1, x.ndim)), keepdim=True)
