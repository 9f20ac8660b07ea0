r"""The loss of a denoiser at each noise level, with an error bar that can be trusted.

One number for all levels hides which of them a change has helped, and is noisy besides: the loss
spans orders of magnitude over the log-SNR. Here every row of data is used once in every bin of
log-SNR, and within a bin the levels are stratified: the B rows of a batch are dealt at random, in
pairs, to B / 2 equal parts of the bin. Two rows a, b of a part differ by chance alone (in data,
noise and place), so that (a - b)^2 has the mean 2 var; for N rows in all

    loss = (1 / N) sum (a + b) ,    error^2 = (1 / N^2) sum (a - b)^2

is unbiased for the variance of `loss` with fresh data and fresh noise: two units in each stratum
(Cochran, Sampling Techniques, 1977, chapter 5).

On a bridge the state is x_t = alpha x_0 + shift y + sigma z, y is the batch's `channels`, and the
log-SNR is that of its shifted variable x_t - shift y.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.bridge import Bridge, bridge_marginal
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.forward import marginal
from diff_core.schedule import Schedule, log_snr
from diff_core.train.objective import Weight, mean_square, x0_weight

__all__ = ["SnrLoss", "snr_loss"]


@dataclass(frozen=True)
class SnrLoss:
    """Mean weighted squared error of x_0, and its standard error, in each of K bins of log-SNR.

    edges: (K + 1) rising values of log(alpha / sigma)
    loss:  (K) mean over rows, entries and the levels of the bin
    error: (K) standard deviation of `loss` from one run with fresh data and noise to the next
    each:  (K, N) the loss of each of the N rows of data, at its own level of the bin
    """

    edges: tuple[float, ...]
    loss: tuple[float, ...]
    error: tuple[float, ...]
    each: tuple[tuple[float, ...], ...]

    @property
    def rows(self) -> int:
        """Number of rows of data."""
        return len(self.each[0])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the bins: ("loss at -2..0", ...)."""
        ends = zip(self.edges, self.edges[1:], strict=False)
        return tuple(f"loss at {low:g}..{high:g}" for low, high in ends)

    def scores(self) -> dict[str, float]:
        """The losses by name, as the training loop logs them: {"loss at -2..0": 0.31, ...}."""
        return dict(zip(self.names, self.loss, strict=True))


def snr_loss(
    denoiser: Denoiser,
    batches: Iterable[dict[str, Tensor]],
    edges: Sequence[float],
    generator: torch.Generator,
    *,
    weight: Weight = x0_weight,
) -> SnrLoss:
    """The loss w(lambda) |D(x_t, t) - x_0|^2 (mean over entries) in bins of lambda = log-SNR.

    batches: as for training, `x_0` (B, C, *S) and the fields of `Condition` that the network
        takes, by name; B even, rows drawn independently.
    edges: rising values of log-SNR within the schedule's range; a bin weighs its levels equally.
    generator: on the CPU; the same seed gives the same levels and noise, for any denoiser.

    Raises ValueError for bad edges, an odd batch, a bridge without `channels`, or no batch at all.
    """
    times = _bin_times(denoiser, edges)
    denoiser.check(times)
    bins = len(edges) - 1
    squares = [0.0] * bins
    each: list[list[float]] = [[] for _ in range(bins)]
    with torch.no_grad():
        for batch in batches:
            count = batch["x_0"].shape[0]
            if count < 2 or count % 2:
                raise ValueError(f"a batch has {count} rows; expected an even number, for pairs")
            for k in range(bins):
                ends = (edges[k], edges[k + 1])
                losses, order = _losses(denoiser, batch, ends, generator, weight)
                pairs = losses[order].reshape(-1, 2)
                squares[k] += pairs.diff(dim=1).square().sum().item()
                each[k].extend(losses.tolist())
    if not each[0]:
        raise ValueError("batches is empty; expected at least one batch")
    return SnrLoss(
        edges=tuple(float(edge) for edge in edges),
        loss=tuple(math.fsum(values) / len(values) for values in each),
        error=tuple(math.sqrt(value) / len(each[0]) for value in squares),
        each=tuple(map(tuple, each)),
    )


def _losses(
    denoiser: Denoiser,
    batch: dict[str, Tensor],
    ends: tuple[float, float],
    generator: torch.Generator,
    weight: Weight,
) -> tuple[Tensor, Tensor]:
    """Losses (B,) in float64 on the CPU, and the order of their levels (B,): rows order[2 i] and
    order[2 i + 1] share a part.
    """
    x_0 = batch["x_0"]
    count = x_0.shape[0]
    order = torch.randperm(count, generator=generator)
    place = torch.rand(count, generator=generator, dtype=torch.float64)
    part = torch.div(torch.arange(count), 2, rounding_mode="floor")
    level = torch.empty(count, dtype=torch.float64)
    level[order] = ends[0] + (ends[1] - ends[0]) * (part + place) / (count / 2)
    # noise is drawn like the objective's, on the CPU and in float32
    noise = torch.randn(x_0.shape, generator=generator).to(x_0)
    t = denoiser.schedule.time(level).to(x_0.device, torch.promote_types(x_0.dtype, torch.float32))
    cond = Condition.of(batch)
    x_t = _state(denoiser.schedule, x_0, cond.channels, t, noise)
    error = mean_square(denoiser(x_t, t, cond) - x_0, cond.lengths)
    return weight(level) * error.to("cpu", torch.float64), order


def _state(
    schedule: Schedule, x_0: Tensor, channels: Tensor | None, t: Tensor, noise: Tensor
) -> Tensor:
    if not isinstance(schedule, Bridge):
        return marginal(schedule, x_0, t, noise)
    if channels is None:
        raise ValueError("the schedule is a bridge; expected its end y as `channels` in a batch")
    return bridge_marginal(schedule, x_0, channels, t, noise)


def _bin_times(denoiser: Denoiser, edges: Sequence[float]) -> Tensor:
    """Times of the edges; ValueError unless they rise within the schedule's range."""
    values = torch.tensor(edges, dtype=torch.float64)
    if len(edges) < 2 or not bool(values.isfinite().all() and (values.diff() > 0).all()):
        raise ValueError(f"edges is {list(edges)}; expected at least 2 finite values that rise")
    lowest = log_snr(denoiser.schedule, torch.ones((), dtype=torch.float64)).item()
    if edges[0] < lowest - 1e-9:
        raise ValueError(
            f"edges starts at {edges[0]}; expected no less than the schedule's lowest log-SNR, "
            f"{lowest:.6g}"
        )
    return denoiser.schedule.time(values)
