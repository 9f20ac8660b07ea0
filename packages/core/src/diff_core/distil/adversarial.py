r"""Adversarial distillation: a discriminator judges one-step samples from each noise level.

Adversarial Diffusion Distillation (Sauer et al., 2023). The student maps x_s = alpha_s x_0 +
sigma_s z, at the few times s of its sampler, to a sample f = f(x_s, s) at once. It is to deceive
a discriminator Phi, and to say what the teacher D would say of its sample noised again,

    L_adv + lambda E alpha_t |f - D(sg f_t, t)|^2 ,    f_t = alpha_t f + sigma_t z'

(equations 1 and 4). As in Fast High-Resolution Image Synthesis with Latent Adversarial Diffusion
Distillation (Sauer et al., 2024), Phi sees x_0 and f noised to a time t, and the time: any network
that is called as those of denoisers are will do. In place of the hinge, which dropped modes here,
real and fake are compared in pairs, with a penalty on the slopes at both, as in The GAN is dead;
long live the GAN! (Huang et al., 2024). With h(u) = ln(1 + e^u),

    L_adv = E h(Phi(x_t) - Phi(f_t))                                                 (student)
    L_Phi = E h(Phi(f_t) - Phi(x_t)) + gamma / 2 E (|grad Phi(x_t)|^2 + |grad Phi(f_t)|^2)

Each part of the loss has gradients for its own network alone. They may then be summed, so that
`train` takes both steps with its one optimiser, and resumes and averages as ever. An optimiser
with a short memory suits the game: TrainConfig(momentum=0.5, beta2=0.9).

Of the adversarial methods this is the one that fits `Denoiser`: a sample is a function of x_s, s
and the condition. Denoising Diffusion GANs (Xiao et al., 2022) need a fresh latent in every step.
Sample with `diff_core.sample.Consistency` on the same times.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import softplus

from diff_core.condition import Condition
from diff_core.denoiser import Denoise, Denoiser
from diff_core.distil.rows import check_t_min, keep_teacher, normal, placed
from diff_core.forward import marginal
from diff_core.grid import check_times

__all__ = ["AdversarialDistillation", "WithDiscriminator"]


class WithDiscriminator(Denoiser):
    """A student with its discriminator beside it, for training; take `denoiser` out afterwards.

    discriminator: called as discriminator(x_t (B, C, *S), t (B,), cond); its answer, of any shape
        (B, ...), is high for data, and its mean over a row counts
    """

    def __init__(self, denoiser: Denoiser, discriminator: nn.Module) -> None:
        super().__init__(denoiser.schedule)
        self.denoiser = denoiser
        self.discriminator = discriminator
        self.config = {"denoiser": denoiser, "discriminator": discriminator}

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self.denoiser(x_t, t, cond)

    def check(self, times: Tensor) -> None:
        self.denoiser.check(times)

    def on_grid(self, times: Tensor, like: Tensor, cond: Condition | None = None) -> Denoise:
        return self.denoiser.on_grid(times, like, cond)

    def judge(self, x_t: Tensor, t: Tensor, cond: Condition, *, learn: bool) -> Tensor:
        """Phi (B,); without `learn` its gradients reach x_t but not the discriminator."""
        if learn:
            answer = self.discriminator(x_t, t, cond)
        else:
            constants = {n: p.detach() for n, p in self.discriminator.named_parameters()}
            answer = functional_call(self.discriminator, constants, (x_t, t, cond))
        return answer.flatten(1).mean(1)


@dataclass(frozen=True, eq=False)
class AdversarialDistillation:
    """The objective above, for a student inside `WithDiscriminator`, on the teacher's data.

    times:     (N + 1,), falling; the sampler's grid: the student is asked at its first N times
    teacher:   kept as a copy, with its guidance if it has any; None for the discriminator alone
    teaching:  lambda, the weight of the teacher
    penalty:   gamma, the weight of the penalty on slopes
    t_min:     least time to which the discriminator's and the teacher's inputs are noised

    The batch is that of `Denoising`. Start the student as a copy of the teacher. Raises ValueError
    for a grid that does not fall, a negative weight, t_min outside [0, 1), or a denoiser that has
    no discriminator.
    """

    times: Tensor
    teacher: Denoiser | None = None
    teaching: float = 0.1
    penalty: float = 0.1
    t_min: float = 1e-2

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", check_times(self.times))
        for name in ("teaching", "penalty"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a number from 0 up")
        check_t_min(self.t_min)
        keep_teacher(self, self.teacher)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        if not isinstance(denoiser, WithDiscriminator):
            raise ValueError(
                f"denoiser is a {type(denoiser).__name__}; expected WithDiscriminator"
            )
        x_0, cond, schedule = batch["x_0"], Condition.of(batch), denoiser.schedule
        k = torch.randint(len(self.times) - 1, (x_0.shape[0],), generator=generator)
        s, t = self.times[k].to(x_0), self._draw(x_0, generator)
        fake = denoiser(marginal(schedule, x_0, s, normal(x_0, generator)), s, cond)
        real_t = marginal(schedule, x_0, t, normal(x_0, generator))
        fake_t = marginal(schedule, fake, t, normal(x_0, generator))
        real, real_slope = self._judged(denoiser, real_t, t, cond)
        false, false_slope = self._judged(denoiser, fake_t.detach(), t, cond)
        judging = softplus(false - real) + 0.5 * self.penalty * (real_slope + false_slope)
        deceiving = softplus(real.detach() - denoiser.judge(fake_t, t, cond, learn=False))
        if self.teacher is None or self.teaching == 0:
            return judging + deceiving
        teacher = placed(self.teacher, denoiser, x_0)
        return judging + deceiving + self.teaching * self._taught(teacher, fake, cond, generator)

    def _judged(
        self, denoiser: WithDiscriminator, x_t: Tensor, t: Tensor, cond: Condition
    ) -> tuple[Tensor, Tensor | float]:
        """Phi and its squared slope at x_t, (B,) both."""
        if self.penalty == 0 or not torch.is_grad_enabled():
            return denoiser.judge(x_t, t, cond, learn=True), 0.0
        x_t.requires_grad_(True)
        # the fused kernels of attention cannot be differentiated twice
        with sdpa_kernel(SDPBackend.MATH):
            answer = denoiser.judge(x_t, t, cond, learn=True)
            (slope,) = torch.autograd.grad(answer.sum(), x_t, create_graph=True)
        return answer, slope.square().flatten(1).sum(1)

    def _taught(
        self, teacher: Denoiser, fake: Tensor, cond: Condition, generator: torch.Generator
    ) -> Tensor:
        """alpha_t |f - D(sg f_t, t)|^2, mean over entries, (B,)."""
        t = self._draw(fake, generator)
        with torch.no_grad():
            fake_t = marginal(teacher.schedule, fake, t, normal(fake, generator))
            target = teacher(fake_t, t, cond)
        return teacher.schedule.alpha(t) * (fake - target).square().flatten(1).mean(1)

    def _draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A time uniform in (t_min, 1] for each row, (B,)."""
        uniform = torch.rand(x.shape[0], generator=generator)
        return (self.t_min + (1 - self.t_min) * (1 - uniform)).to(x)
