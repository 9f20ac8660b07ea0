"""The schedule of a network that was trained on a table of discrete steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Tabulated"]


@dataclass(frozen=True)
class Tabulated:
    """A variance-preserving schedule through a table of alpha^2, as discrete-time models have it.

    Entry i of `alphas_cumprod` (N entries, as in Denoising Diffusion Probabilistic Models, Ho et
    al., 2020) is alpha^2 at t = (i + 1) / N; between the entries the log-SNR is linear in t. From
    the first entry to t = 0 sigma/alpha goes linearly to 0. A last entry of 0 (zero terminal SNR,
    Common Diffusion Noise Schedules and Sample Steps are Flawed, Lin et al., 2024) is met the same
    way: alpha/sigma goes linearly to 0 in the last interval, so that all stays finite.

    Raises ValueError unless the table has at least 2 entries and falls strictly within (0, 1),
    where the last one may be 0.
    """

    alphas_cumprod: tuple[float, ...] = field(repr=False)

    def __post_init__(self) -> None:
        table = tuple(float(a) for a in self.alphas_cumprod)
        object.__setattr__(self, "alphas_cumprod", table)
        if len(table) < 2:
            raise ValueError(f"alphas_cumprod has {len(table)} entries; expected at least 2")
        if not (table[0] < 1 and table[-1] >= 0):
            raise ValueError(
                f"alphas_cumprod goes from {table[0]} to {table[-1]}; expected values in (0, 1), "
                "where the last may be 0"
            )
        for i, (here, after) in enumerate(zip(table, table[1:], strict=False)):
            if not after < here:
                raise ValueError(
                    f"alphas_cumprod[{i + 1}] = {after} is not below the entry before, {here}; "
                    "expected a strictly decreasing table"
                )

    @cached_property
    def _tables(self) -> dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]]:
        return {}

    def _table(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Log-SNR (N,) at the entries and its rise (N - 1,) to the next, beside `like`."""
        key = (like.device, like.dtype)
        if key not in self._tables:
            entries = [0.5 * (math.log(a) - math.log1p(-a)) for a in self.alphas_cumprod if a > 0]
            if self._zero_terminal:
                entries.append(entries[-1])
            level = torch.tensor(entries, dtype=torch.float64)
            self._tables[key] = (level.to(*key), level.diff().to(*key))
        return self._tables[key]

    @property
    def _zero_terminal(self) -> bool:
        return self.alphas_cumprod[-1] == 0

    def _log_snr(self, t: Tensor) -> Tensor:
        level, rise = self._table(t)
        steps = len(self.alphas_cumprod)
        position = t * steps - 1
        i = position.floor().clamp(0, steps - 2).long()
        fraction = (position - i).clamp(min=0)
        value = level[i] + fraction * rise[i] - (t * steps).clamp(max=1).log()
        if self._zero_terminal:
            last = i == steps - 2
            value = value + torch.where(last, 1 - fraction, 1.0).log()
        return value

    def alpha(self, t: Tensor) -> Tensor:
        return torch.sigmoid(2 * self._log_snr(t)).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sigmoid(-2 * self._log_snr(t)).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        level, rise = self._table(log_snr)
        steps = len(self.alphas_cumprod)
        last = steps - 2 if self._zero_terminal else steps - 1
        # -level ascends; the repeated entry of a zero terminal SNR is left out of the search
        i = torch.searchsorted(-level[: last + 1], -log_snr.contiguous(), right=True) - 1
        i = i.clamp(0, max(last - 1, 0))
        fraction = (log_snr - level[i]) / rise[i] if last > 0 else torch.zeros_like(log_snr)
        position = i + 1 + fraction.clamp(0, 1)
        if self._zero_terminal:
            noisy = steps - (log_snr - level[last]).clamp(max=0).exp()
            position = torch.where(log_snr < level[last], noisy, position)
        clean = (level[0] - log_snr).clamp(max=0).exp()
        return torch.where(log_snr > level[0], clean, position) / steps
