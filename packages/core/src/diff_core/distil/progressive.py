r"""Progressive distillation: a student that does in one step what its teacher does in two.

Progressive Distillation for Fast Sampling of Diffusion Models (Salimans and Ho, 2022). Two DDIM
steps of the teacher from t by way of m to s give x_s; the student's one step ends there if its
estimate is

    D* = (x_s - (sigma_s / sigma_t) x_t) / (alpha_s - (sigma_s / sigma_t) alpha_t)

(algorithm 2 and appendix G). The x_t in x_s cancels, and what is left is an average of the
teacher's two estimates,

    D* = (1 - a) D(x_t, t) + a D(x_m, m) ,   a = c_ms / (c_ms + r_ms c_tm) ,

with r and c the weights of x and D in DDIM's steps (`rows`): between 0 and 1, a function of the
times alone, and without the cancellation. The loss is w(lambda_t) |f(x_t, t) - D*|^2; the default
weight is SNR + 1 (section 4), which is the error of v.

The student has half the steps, and is the teacher of the next:

    times = uniform(8)
    while len(times) > 2:
        objective = ProgressiveDistillation(teacher, times)
        teacher = train(copy.deepcopy(teacher), objective, samples, config, directory=...)
        times = times[::2]              # sample(teacher, Ddim(), x, times): 4, 2, 1 steps
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.distil.rows import keep_teacher, normal, placed, two_steps
from diff_core.forward import marginal
from diff_core.grid import check_times
from diff_core.schedule import log_snr
from diff_core.train.objective import Weight, v_weight

__all__ = ["ProgressiveDistillation", "truncated_snr_weight"]


def truncated_snr_weight(log_snr: Tensor) -> Tensor:
    """max(SNR, 1): the larger of the weights of data and noise prediction (section 4)."""
    return torch.exp(2 * log_snr).clamp(min=1)


@dataclass(frozen=True, eq=False)
class ProgressiveDistillation:
    """The objective above, of a student on the data that the teacher was trained on.

    teacher: kept as a copy, with its guidance if it has any
    times:   (2 K + 1,), the teacher's grid; the student's, with K steps, is times[::2]
    weight:  w, a function of log-SNR

    The batch is that of `Denoising`. The student is sampled with `Ddim()` on times[::2] and is not
    defined at other times. Start it as a copy of the teacher. Raises ValueError for a grid that
    does not fall or has an odd number of steps, or a teacher that is not defined on it.
    """

    teacher: Denoiser
    times: Tensor
    weight: Weight = v_weight

    def __post_init__(self) -> None:
        times = check_times(self.times)
        if len(times) % 2 == 0:
            raise ValueError(f"times has {len(times) - 1} steps; expected an even number")
        self.teacher.check(times[:-1])
        object.__setattr__(self, "times", times)
        keep_teacher(self, self.teacher)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        x_0, cond = batch["x_0"], Condition.of(batch)
        k = 2 * torch.randint(len(self.times) // 2, (x_0.shape[0],), generator=generator)
        t, m, s = self.times[k], self.times[k + 1], self.times[k + 2]
        x_t = marginal(denoiser.schedule, x_0, t.to(x_0), normal(x_0, generator))
        teacher = placed(self.teacher, denoiser, x_0)
        with torch.no_grad():
            target = two_steps(
                teacher.schedule,
                lambda x, start, _: teacher(x, start.to(x), cond),
                x_t,
                t,
                m,
                s,
            )
        error = (denoiser(x_t, t.to(x_0), cond) - target).square().flatten(1).mean(1)
        return self.weight(log_snr(denoiser.schedule, t)).to(error) * error
