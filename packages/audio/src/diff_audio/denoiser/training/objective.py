"""The loss of the denoiser: the clean spectrum and wave, from any point of the bridge.

The bridge and data prediction are those of "Schroedinger Bridge for Generative Speech Enhancement"
(Jukic et al., 2024). Its end t = 1 is drawn often, because one pass from there is what users run.
The loss compares compressed spectra, complex and magnitude, and the wave's SI-SDR, as in "GTCRN: A
Speech Enhancement Model Requiring Ultralow Computational Resources" (Rong et al., 2024).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from diff_audio.spectra.stft import Spectral
from diff_core.bridge import bridge_estimate, check_bridge_times
from diff_core.denoiser import Denoiser

__all__ = ["Enhancement", "si_sdr_loss"]

_SILENCE = 1e-8  # mean square of a wave at -26 dBFS is 2.5e-3; below this there is nothing to keep


@dataclass(frozen=True)
class Enhancement:
    """The loss (B,) of a bridge denoiser on waves `clean` and `noisy` (B, T), at about -26 dBFS.

    spectral:  the spectrum in which the bridge runs
    one_step:  probability of t = 1; otherwise t is uniform in [t_min, 1]
    complex_weight, magnitude_weight, wave_weight: of the mean of |c - c^|^2, of that of
               (|c|^0.6 - |c^|^0.6)^2, and of -SI-SDR in dB; c is the spectrum without its scale
    """

    spectral: Spectral = field(default_factory=Spectral)
    one_step: float = 0.55
    t_min: float = 0.03
    complex_weight: float = 20.0
    magnitude_weight: float = 30.0
    wave_weight: float = 0.02

    def __post_init__(self) -> None:
        check_bridge_times(self.one_step, self.t_min)

    def __call__(
        self, denoiser: Denoiser, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        clean, noisy = batch["clean"], batch["noisy"]
        x_0, y = self.spectral.analysis(clean), self.spectral.analysis(noisy)
        estimate = bridge_estimate(
            denoiser, x_0, y, generator, one_step=self.one_step, t_min=self.t_min
        )
        return self.loss(clean, x_0, estimate)

    def loss(self, clean: Tensor, x_0: Tensor, estimate: Tensor) -> Tensor:
        """Return the loss (B,) of an estimated spectrum (B, 2, F, N) given the clean one and its
        wave.
        """
        scale = self.spectral.scale
        error = ((estimate - x_0) / scale).square().sum(1).flatten(1).mean(1)
        magnitude = (_power(x_0 / scale) - _power(estimate / scale)).square().flatten(1).mean(1)
        wave = self.spectral.synthesis(estimate, clean.shape[-1])
        return (
            self.complex_weight * error
            + self.magnitude_weight * magnitude
            + self.wave_weight * si_sdr_loss(clean, wave)
        )


def _power(spectrum: Tensor) -> Tensor:
    """Return |c|^0.6; the floor keeps the gradient finite at zero."""
    return (spectrum.square().sum(1) + 1e-6).pow(0.3)


def si_sdr_loss(reference: Tensor, estimate: Tensor) -> Tensor:
    """Return -SI-SDR in dB of (B, T), (B,), at least -40; where the reference is silent, 0.

    Le Roux et al., "SDR - half-baked or well done?" (2019), equation (3), the mean left in.
    """
    energy = reference.square().sum(-1)
    spoken = energy / reference.shape[-1] > _SILENCE
    gain = (reference * estimate).sum(-1) / energy.clamp(min=1e-12)
    target = gain[:, None] * reference
    signal = target.square().sum(-1)
    distortion = (estimate - target).square().sum(-1)
    tiny = 1e-4 * signal + 1e-12  # caps the score at 40 dB and keeps log10 away from zero
    loss = -10 * ((signal + tiny) / (distortion + tiny)).log10()
    return torch.where(spoken, loss, torch.zeros_like(loss))
