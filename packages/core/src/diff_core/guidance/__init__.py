"""Guidance: denoisers and samplers made from a trained denoiser, without training again.

Towards a condition: `Cfg` (classifier-free guidance), `Apg`, `CfgPP`, `CfgZero`, `Autoguidance`,
`Interval`. Within the range of the signals: `Threshold`.
Towards a measurement y = A x_0 + noise (`diff_core.operator.Measurement`):

    Denoiser -> Denoiser, any sampler   `PiGdm`, `Mmps`, `Dps` (gradients of the denoiser),
                                        `DiffPir` (none)
    samplers, any denoiser              `RePaint` (around a sampler; masks), `Ddrm` (an operator
                                        with a singular value decomposition), `Daps`

`Dps` and `Daps` take nonlinear measurements too (`diff_core.operator.NonlinearMeasurement`).

All run through the ordinary loop, with thick slices made thin for example by

    measurement = Measurement(Downsample(axis=-1, factor=4), y, sigma=0.02)
    x_0 = sample(Mmps(denoiser, measurement), Ancestral(), x, times, noise=noise)

The signal's posterior is p(x_0 | y); with the prior's
own E[x_0 | x_t] = D and Cov[x_0 | x_t] = (sigma^2 / alpha) dD/dx_t, the posterior's is

    E[x_0 | x_t, y] = D + (sigma^2 / alpha) grad log p(y | x_t) ,

and the methods differ in what they take for p(y | x_t). Where the prior is Gaussian, `Mmps` is
exact, `PiGdm` and `DiffPir` are if the prior is isotropic too (with its variance as sigma_data^2),
and the others are off by an amount that their pages give.
"""

from __future__ import annotations

from diff_core.guidance.apg import Apg
from diff_core.guidance.autoguidance import Autoguidance
from diff_core.guidance.cfg import Cfg
from diff_core.guidance.cfg_pp import CfgPP
from diff_core.guidance.cfg_zero import CfgZero
from diff_core.guidance.daps import Daps
from diff_core.guidance.ddrm import Ddrm
from diff_core.guidance.diffpir import DiffPir, Renoise
from diff_core.guidance.dps import Dps
from diff_core.guidance.interval import Interval
from diff_core.guidance.mmps import Mmps
from diff_core.guidance.pigdm import PiGdm
from diff_core.guidance.repaint import RePaint
from diff_core.guidance.threshold import Threshold

__all__ = [
    "Apg",
    "Autoguidance",
    "Cfg",
    "CfgPP",
    "CfgZero",
    "Daps",
    "Ddrm",
    "DiffPir",
    "Dps",
    "Interval",
    "Mmps",
    "PiGdm",
    "RePaint",
    "Renoise",
    "Threshold",
]
