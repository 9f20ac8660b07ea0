"""Linear operators of inverse problems, y = A x_0 + noise, each with its exact adjoint.

Signals x are real, (B, C, *S); measurements y are real with B rows and a shape of the operator's
own (k-space is (..., 2): see `Fourier`). An operator of your own needs `__call__` and `adjoint`,
no more: guidance never differentiates through it.

One meaning of masks everywhere: 1 (True) = observed.
"""

from __future__ import annotations

from diff_core.operator.base import Compose, LinearOperator, SpectralOperator
from diff_core.operator.blur import Blur, gaussian_kernel
from diff_core.operator.dense import Dense
from diff_core.operator.downsample import Downsample
from diff_core.operator.fourier import Fourier
from diff_core.operator.mask import Mask
from diff_core.operator.measurement import Measurement
from diff_core.operator.radon import Radon

__all__ = [
    "Blur",
    "Compose",
    "Dense",
    "Downsample",
    "Fourier",
    "LinearOperator",
    "Mask",
    "Measurement",
    "Radon",
    "SpectralOperator",
    "gaussian_kernel",
]
