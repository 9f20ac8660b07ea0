"""The loss of the vocoder: magnitudes from mel alone, phases as far as they can be known.

Flow matching between whitened noise (t = 1) and the whitened spectrum (t = 0), with data
prediction: x_t = (1 - t) x_0 + t z, of "Flow Straight and Fast: Learning to Generate and Transfer
Data with Rectified Flow" (Liu et al., 2022). At t = 1 nothing is known of the phase, and the mean
of x_0 is zero: a squared error would teach silence. There the loss compares magnitudes only; what
the noisy state still shows of the phase counts in proportion to its share 1 - t.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_audio.spectra.mel import Mel
from diff_audio.vocoder.envelope import known, level, split, whole
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.forward import marginal

__all__ = ["Vocoding"]

_FLOOR = 1e-2  # of a magnitude of the spectrum of speech near -20 dBFS, in its logarithm
_EMPTY = 0.03  # power above fmax over power below it, under which nothing is above


@dataclass(frozen=True)
class Vocoding:
    """The loss (B,) of a denoiser of whitened spectra on waves `wave` (B, T).

    mel:       the definition that is trained for
    one_step:  probability of t = 1; otherwise t is uniform in [t_min, t_max]
    log_weight, power_weight, complex_weight: of the mean of |ln M - ln M^|, M the magnitude of the
               spectrum, of that of (M^0.4 - M^^0.4)^2, and of that of (1 - t) |x_0 - D|

    Where a recording holds nothing above `mel.fmax` (it was made at a lower rate), what is
    predicted there is not judged.
    """

    mel: Mel = field(default_factory=Mel)
    one_step: float = 0.5
    t_min: float = 0.02
    t_max: float = 0.6
    log_weight: float = 1.0
    power_weight: float = 2.0
    complex_weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.one_step <= 1:
            raise ValueError(f"one_step must be in [0, 1], got {self.one_step}")
        if not 0 <= self.t_min < self.t_max <= 1:
            raise ValueError(
                f"t_min and t_max must be in order and in [0, 1], got {self.t_min}, {self.t_max}"
            )

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        spectrum = self.mel.spectrum(batch["wave"])
        magnitude = spectrum.abs()
        log_mel = self.mel.of_magnitude(magnitude)
        scale = level(self.mel, log_mel)
        x_0 = split(spectrum / scale)
        draws = torch.rand(2, len(x_0), generator=generator)
        between = self.t_min + (self.t_max - self.t_min) * draws[1]
        t = torch.where(draws[0] < self.one_step, 1.0, between).to(x_0)
        noise = torch.randn(x_0.shape, generator=generator).to(x_0) * 0.5**0.5
        x_t = marginal(denoiser.schedule, x_0, t, noise)
        estimate = denoiser(x_t, t, Condition(channels=known(log_mel, scale)))
        return self.loss(magnitude, scale, x_0, estimate, t)

    def loss(self, magnitude: Tensor, scale: Tensor, x_0: Tensor, d: Tensor, t: Tensor) -> Tensor:
        """Return the loss (B,) of an estimate D (B, 2F, N) of x_0; magnitude and scale (B, F, N),
        t (B,).
        """
        judged = self._judged(magnitude)
        error = (whole(x_0) - whole(d)).abs()
        found = scale * _abs(d)
        logs = ((magnitude + _FLOOR).log() - (found + _FLOOR).log()).abs()
        powers = (magnitude.clamp(min=1e-5).pow(0.4) - found.clamp(min=1e-5).pow(0.4)).square()
        phase = self.complex_weight * (1 - t)[:, None, None]
        total = self.log_weight * logs + self.power_weight * powers + phase * error
        return (total * judged).mean(dim=(1, 2))

    def _judged(self, magnitude: Tensor) -> Tensor:
        """Return (B, F, 1): zero above fmax where nothing is there, else one."""
        mel = self.mel
        frequency = torch.arange(mel.bins, device=magnitude.device) * mel.sample_rate / mel.n_fft
        power = magnitude.square().mean(2)
        above, below = (
            frequency > 1.04 * mel.fmax,
            (frequency > 0.6 * mel.fmax) & (frequency < 0.9 * mel.fmax),
        )
        empty = power[:, above].mean(1) < _EMPTY * power[:, below].mean(1)
        return 1.0 - (empty[:, None] & (frequency > 0.98 * mel.fmax)).to(magnitude)[..., None]


def _abs(channels: Tensor) -> Tensor:
    """Return magnitudes (B, F, N) of (B, 2F, N); the smoothing keeps the gradient finite at
    zero.
    """
    real, imaginary = channels.chunk(2, dim=1)
    return (real.square() + imaginary.square() + 1e-8).sqrt()
