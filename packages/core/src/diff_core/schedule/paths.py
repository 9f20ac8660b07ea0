"""The schedules in closed form, and the protocol of them all."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

__all__ = [
    "Cosine",
    "Edm",
    "RectifiedFlow",
    "Schedule",
    "ShiftedSnr",
    "Sigmoid",
    "VarianceExploding",
    "VariancePreserving",
    "log_ratio",
    "log_snr",
]


@runtime_checkable
class Schedule(Protocol):
    """The diffusion path as the rest of the package sees it.

    A schedule of your own needs alpha and sigma: one that derives from this class inherits `time`.
    """

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Scale of the signal at time t."""
        ...

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise at time t."""
        ...

    def time(self, log_snr: Tensor) -> Tensor:
        """Inverse of `log_snr`; a value out of the schedule's range gives the nearer end.

        By bisection, to the last digit, unless a schedule knows better; log_snr falls with t.
        """
        return _bisected(self, log_snr)


_HALVINGS = 200


def _bisected(schedule: Schedule, level: Tensor) -> Tensor:
    """The times at which the log-SNR is `level`, elementwise."""
    # mps has no float64
    wide = level if level.device.type == "mps" else level.double()
    low, high = torch.zeros_like(wide), torch.ones_like(wide)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        cleaner = log_snr(schedule, middle) > wide
        low, high = torch.where(cleaner, middle, low), torch.where(cleaner, high, middle)
    high = torch.where(wide == math.inf, 0.0, high)
    return torch.where(wide.isnan(), wide, high).to(level.dtype)


def log_snr(schedule: Schedule, t: Tensor) -> Tensor:
    """lambda(t) = log(alpha(t) / sigma(t)); -inf where alpha is 0, +inf where sigma is 0.

    A bridge has alpha = sigma = 0 at t = 1; the limit of the ratio there is 0, hence -inf.
    """
    return log_ratio(schedule.alpha(t), schedule.sigma(t))


def log_ratio(alpha: Tensor, sigma: Tensor) -> Tensor:
    """`log_snr` from the two coefficients."""
    return torch.where(alpha > 0, alpha.log() - sigma.log(), -math.inf)


def _positive_range(owner: str, low_name: str, low: float, high_name: str, high: float) -> None:
    if not 0 < low < high < math.inf:
        raise ValueError(
            f"{owner}: given {low_name}={low}, {high_name}={high}; "
            f"expected 0 < {low_name} < {high_name}"
        )


@dataclass(frozen=True)
class VariancePreserving:
    """DDPM's linear betas in the limit of many steps: alpha^2 + sigma^2 = 1.

        log alpha(t) = -(beta_max - beta_min) t^2 / 4 - beta_min t / 2

    Equation 33 of Score-Based Generative Modeling through Stochastic Differential Equations (Song
    et al., 2021). Raises ValueError unless 0 < beta_min < beta_max.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        _positive_range(type(self).__name__, "beta_min", self.beta_min, "beta_max", self.beta_max)

    def _log_alpha(self, t: Tensor) -> Tensor:
        return t * (-0.25 * (self.beta_max - self.beta_min) * t - 0.5 * self.beta_min)

    def alpha(self, t: Tensor) -> Tensor:
        return self._log_alpha(t).exp()

    def sigma(self, t: Tensor) -> Tensor:
        return (-torch.expm1(2 * self._log_alpha(t))).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        # a t^2 + b t = c with c = -log alpha; this root has no cancellation for small c
        a, b = 0.25 * (self.beta_max - self.beta_min), 0.5 * self.beta_min
        c = 0.5 * torch.logaddexp(-2 * log_snr, torch.zeros_like(log_snr))
        return (2 * c / (b + (b * b + 4 * a * c).sqrt())).clamp(max=1)


@dataclass(frozen=True)
class Cosine:
    """A quarter of a circle, with zero SNR at t = 1.

        alpha = cos(pi t / 2) ,  sigma = sin(pi t / 2)

    Improved Denoising Diffusion Probabilistic Models (Nichol and Dhariwal, 2021), without the
    small offset that its discrete steps needed.
    """

    def alpha(self, t: Tensor) -> Tensor:
        # the sine of the complement is exactly 0 at t = 1, where the cosine rounds to -4e-8
        return torch.sin((1 - t) * (math.pi / 2))

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(t * (math.pi / 2))

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.atan((-log_snr).exp()) * (2 / math.pi)


@dataclass(frozen=True)
class VarianceExploding:
    """Noise that grows by the same factor in equal times.

        alpha = 1 ,  sigma^2 = sigma_min^2 ((sigma_max / sigma_min)^(2 t) - 1)

    Equation 31 of Score-Based Generative Modeling through Stochastic Differential Equations (Song
    et al., 2021) with the noise that it starts from taken off, so that t = 0 is clean.
    Raises ValueError unless 0 < sigma_min < sigma_max.
    """

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        _positive_range(
            type(self).__name__, "sigma_min", self.sigma_min, "sigma_max", self.sigma_max
        )

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_min * torch.expm1(2 * self._log_ratio * t).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        variance = (-2 * log_snr).exp() / self.sigma_min**2
        return (torch.log1p(variance) / (2 * self._log_ratio)).clamp(max=1)


@dataclass(frozen=True)
class Edm:
    """Time is the noise level.

        alpha = 1 ,  sigma = sigma_max t

    Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), with
    time scaled to [0, 1]. Raises ValueError unless sigma_max > 0.
    """

    sigma_max: float = 80.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma_max < math.inf:
            raise ValueError(f"Edm: given sigma_max={self.sigma_max}; expected a number above 0")

    def alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.sigma_max * t

    def time(self, log_snr: Tensor) -> Tensor:
        return ((-log_snr).exp() / self.sigma_max).clamp(max=1)


@dataclass(frozen=True)
class RectifiedFlow:
    """The straight path, with zero SNR at t = 1.

        alpha = 1 - t ,  sigma = t

    Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow (Liu et al.,
    2022); Flow Matching for Generative Modeling (Lipman et al., 2022).
    """

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t.clone()

    def time(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr)


@dataclass(frozen=True)
class Sigmoid:
    """alpha^2 falls along a logistic curve from u = start to u = end: zero SNR at t = 1.

        alpha^2 = (v(end) - v(u)) / (v(end) - v(start)) ,
        v(u) = 1 / (1 + e^(-u / tau)) ,  u = start + t (end - start)

    Scalable Adaptive Computation for Iterative Generation (Jabri et al., 2022), appendix B.
    Raises ValueError unless start < end and tau > 0.
    """

    start: float = -3.0
    end: float = 3.0
    tau: float = 1.0

    def __post_init__(self) -> None:
        if not (-math.inf < self.start < self.end < math.inf and 0 < self.tau < math.inf):
            raise ValueError(f"given {self}; expected start < end and tau > 0")

    @property
    def _ends(self) -> tuple[float, float]:
        return self.start / self.tau, self.end / self.tau

    def _share(self, part: Tensor, near: float, far: float) -> Tensor:
        """(v(near) - v(near + part (far - near))) / (v(near) - v(far)), without cancellation."""

        def difference(part: Tensor) -> Tensor:
            # v(a) - v(b) = sinh((a - b) / 2) / (2 cosh(a / 2) cosh(b / 2))
            turn = part * (0.5 * (far - near))
            return torch.sinh(turn) / torch.cosh(0.5 * near + turn)

        return difference(part) / difference(torch.ones_like(part))

    def alpha(self, t: Tensor) -> Tensor:
        start, end = self._ends
        return self._share(1 - t, end, start).sqrt()

    def sigma(self, t: Tensor) -> Tensor:
        start, end = self._ends
        return self._share(t, start, end).sqrt()

    def time(self, log_snr: Tensor) -> Tensor:
        start, end = self._ends
        low, high = 1 / (1 + math.exp(-start)), 1 / (1 + math.exp(-end))
        # v rises from v(start) by sigma^2 (v(end) - v(start)); then u = logit(v)
        rise = torch.sigmoid(-2 * log_snr) * (high - low)
        logit = torch.log1p(rise / low) - torch.log1p(-rise * (1 + math.exp(start)))
        return (logit / (end - start)).clamp(max=1)


@dataclass(frozen=True)
class ShiftedSnr:
    """Another schedule with sigma / alpha multiplied by `factor` at every time.

    It is the same path run through at another pace: more noise for longer at factor > 1, as large
    images and long signals need. simple diffusion (Hoogeboom et al., 2023) takes the ratio of the
    sides of the images, Scaling Rectified Flow Transformers (Esser et al., 2024), equation 23, the
    root of the ratio of their numbers of entries, which is the same.
    Raises ValueError unless factor > 0, or if it is above 1 and the schedule's SNR at t = 1 is not
    zero: there is no more noise to go to.
    """

    schedule: Schedule
    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise ValueError(f"factor is {self.factor}; expected a number above 0")
        lowest = log_snr(self.schedule, torch.ones((), dtype=torch.float64)).item()
        if self.factor > 1 and lowest > -math.inf:
            raise ValueError(
                f"factor is {self.factor} and {self.schedule} ends at log-SNR {lowest:g}; "
                "expected a schedule with alpha(1) = 0, or a factor of at most 1"
            )

    def _inner(self, t: Tensor) -> Tensor:
        return self.schedule.time(log_snr(self.schedule, t) - math.log(self.factor))

    def alpha(self, t: Tensor) -> Tensor:
        return self.schedule.alpha(self._inner(t))

    def sigma(self, t: Tensor) -> Tensor:
        return self.schedule.sigma(self._inner(t))

    def time(self, log_snr: Tensor) -> Tensor:
        return self.schedule.time(log_snr + math.log(self.factor))
