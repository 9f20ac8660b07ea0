"""The operators A of inverse problems, y = A x_0 + noise: linear ones with their exact adjoint.

Signals x are real, (B, C, *S); measurements y are real with B rows and a shape of the operator's
own (k-space is (..., 2): see `Fourier`). An operator of your own needs `__call__` and `adjoint`,
no more: guidance never differentiates through it. `Clip` and `Magnitude` are not linear, and
stand in a `NonlinearMeasurement`; there any function that autograd can differentiate will do.

One meaning of masks everywhere: 1 (True) = observed.
"""

from __future__ import annotations

from diff_core.operator.base import Compose, LinearOperator, SpectralOperator
from diff_core.operator.blur import Blur, gaussian_kernel
from diff_core.operator.clip import Clip
from diff_core.operator.dense import Dense
from diff_core.operator.downsample import Downsample
from diff_core.operator.fan_beam import FanBeam
from diff_core.operator.fourier import Fourier
from diff_core.operator.magnitude import Magnitude
from diff_core.operator.mask import Mask
from diff_core.operator.measurement import Measurement
from diff_core.operator.nonlinear import NonlinearMeasurement
from diff_core.operator.radon import Radon

__all__ = [
    "Blur",
    "Clip",
    "Compose",
    "Dense",
    "Downsample",
    "FanBeam",
    "Fourier",
    "LinearOperator",
    "Magnitude",
    "Mask",
    "Measurement",
    "NonlinearMeasurement",
    "Radon",
    "SpectralOperator",
    "gaussian_kernel",
]
