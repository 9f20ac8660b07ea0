r"""Reflow: learn again, from the pairs (noise, sample) that a model itself makes.

Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow (Liu et al.,
2022). A flow fitted to independent pairs of noise z and data x_0 (equation 1) bends, because the
lines between them cross. Its own ODE couples every z with one x_0; the flow fitted to these pairs
(algorithm 1, the 2-rectified flow) has the same ends, crosses less and is straighter, and a
straight flow is exact in one step. `couple` makes the pairs, `Reflow` is the fit

    L = E w(lambda_t) |f(x_t, t) - x_0|^2 ,    x_t = alpha_t x_0 + sigma_t z ,

whose default weight is the error of the velocity z - x_0. It works with every schedule: the path
of y = x / alpha in rho = sigma / alpha is the line y = x_0 + rho z, DDIM steps along it, and a
flow is straight where the estimate of x_0 does not change on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.distil.rows import check_t_min
from diff_core.forward import marginal
from diff_core.grid import check_times
from diff_core.noise import Keyed
from diff_core.sample import Ddim, Sampler, sample
from diff_core.schedule import log_snr
from diff_core.train.objective import Weight

__all__ = ["Pairs", "Reflow", "couple", "flow_weight", "straightness"]


def flow_weight(log_snr: Tensor) -> Tensor:
    """(exp(lambda) + 1)^2: the error of the flow z - x_0, as `FromFlow` predicts it."""
    return (torch.exp(log_snr) + 1).square()


@dataclass(frozen=True)
class Reflow:
    """The objective above, t uniform in (t_min, 1].

    The batch holds `noise` z beside the `x_0` and the condition of `Denoising`: rows of `Pairs`.
    A copy of the model that made the pairs is the usual start; sample with `Ddim()` or any other
    deterministic sampler. t_min near 1 trains the single step from t = 1 alone, which the paper
    calls distillation. Raises ValueError unless 0 <= t_min < 1, or for a batch
    without `noise`.
    """

    weight: Weight = flow_weight
    t_min: float = 1e-3

    def __post_init__(self) -> None:
        check_t_min(self.t_min)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        if "noise" not in batch:
            raise ValueError(f"batch holds {sorted(batch)}; expected noise, as couple makes it")
        x_0 = batch["x_0"]
        uniform = torch.rand(x_0.shape[0], generator=generator)
        t = (self.t_min + (1 - self.t_min) * (1 - uniform)).to(x_0)
        x_t = marginal(denoiser.schedule, x_0, t, batch["noise"])
        error = (denoiser(x_t, t, Condition.of(batch)) - x_0).square().flatten(1).mean(1)
        return self.weight(log_snr(denoiser.schedule, t)) * error


@dataclass(frozen=True)
class Pairs:
    """Samples for training: item i is row i modulo N of every entry.

    rows: `x_0` and `noise`, both (N, C, *S), and the conditions that x_0 was made with
    """

    rows: dict[str, Tensor]

    def __getitem__(self, index: int, /) -> dict[str, Tensor]:
        return {name: value[index % len(value)] for name, value in self.rows.items()}

    def __len__(self) -> int:
        return len(self.rows["x_0"])


def couple(
    teacher: Denoiser,
    sampler: Sampler,
    times: Tensor,
    like: Tensor,
    seeds: Sequence[int],
    *,
    conditions: dict[str, Tensor] | None = None,
    batch_size: int = 256,
) -> Pairs:
    """Pairs of noise and the sample that the teacher's ODE takes it to; pair i is seeds[i]'s.

    times: the grid, falling to 0; a fine one, for these are the data from now on
    like: any tensor (C, *S) of the shape, dtype and device of one sample
    conditions: (N, ...) each, under the names of the fields of `Condition`

    On the way from t = times[0] the state is sigma_t z; a schedule that keeps some signal there
    gets the z that puts it on the line of the pair, (x_t - alpha_t x_0) / sigma_t. The result is
    on the CPU. Raises ValueError for a stochastic sampler, which couples nothing.
    """
    if sampler.stochastic:
        raise ValueError(f"sampler is {sampler}; expected a deterministic one")
    start = check_times(times)[0]
    alpha, sigma = (f(start).item() for f in (teacher.schedule.alpha, teacher.schedule.sigma))
    given = conditions or {}
    made: list[dict[str, Tensor]] = []
    for first in range(0, len(seeds), batch_size):
        rows = slice(first, min(first + batch_size, len(seeds)))
        some = {name: value[rows] for name, value in given.items()}
        cond = Condition.of({name: value.to(like.device) for name, value in some.items()})
        x = sigma * Keyed(seeds[rows])(-1, like.expand(rows.stop - rows.start, *like.shape))
        x_0 = sample(teacher, sampler, x, times, cond=cond)
        made.append({"x_0": x_0.cpu(), "noise": ((x - alpha * x_0) / sigma).cpu(), **some})
    return Pairs({name: torch.cat([part[name] for part in made]) for name in made[0]})


def straightness(
    denoiser: Denoiser, x: Tensor, times: Tensor, *, cond: Condition | None = None
) -> Tensor:
    """Return the deviation of the paths from x (B, C, *S) at times[0] from straight lines, (B,).

    It is 0 for straight paths: the integral over t of |u(x_t, t) - (z - x_0)|^2, mean over
    entries, with u the denoiser's estimate of the flow on the way and z - x_0 that of the line
    through the two ends: S(Z) of Liu et al., and the same in the schedule's own time where that is
    not `RectifiedFlow`. The ODE is walked by DDIM and the integral is a sum over its steps: refine
    `times` until the number settles. Raises ValueError for a grid that does not fall to 0.
    """
    grid = check_times(times)
    if grid[-1] != 0:
        raise ValueError(f"times ends at {grid[-1].item():g}; expected 0")
    alphas, sigmas = denoiser.schedule.alpha(grid).tolist(), denoiser.schedule.sigma(grid).tolist()
    states, estimates = [x], list[Tensor]()

    def keep(k: int, state: Tensor, estimate: Tensor) -> None:
        states.append(state)
        estimates.append(estimate)

    x_0 = sample(denoiser, Ddim(), x, grid, cond=cond, on_step=keep)
    line = (x - alphas[0] * x_0) / sigmas[0] - x_0
    total = x.new_zeros(x.shape[0])
    for k, width in enumerate((-grid.diff()).tolist()):
        noise = (states[k] - alphas[k] * estimates[k]) / sigmas[k]
        bend = (noise - estimates[k] - line).square().flatten(1).mean(1)
        total = total.add(bend, alpha=width)
    return total
