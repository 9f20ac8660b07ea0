"""Denoisers from networks that were trained on a table of steps."""

from __future__ import annotations

from torch import Tensor, nn

from diff_core.coefficients import floats
from diff_core.denoiser import Denoiser, FromEps, FromFlow, FromV, FromX0
from diff_core.schedule import Tabulated

__all__ = ["PREDICTIONS", "from_table", "prediction"]

PREDICTIONS: dict[str, type[FromX0 | FromEps | FromV | FromFlow]] = {
    "epsilon": FromEps,
    "sample": FromX0,
    "v_prediction": FromV,
    "flow_prediction": FromFlow,
}
"""What a network predicts, by the name that diffusers and MONAI have for it."""


def prediction(prediction_type: str) -> type[FromX0 | FromEps | FromV | FromFlow]:
    """The denoiser of that name. Raises ValueError for a name not in `PREDICTIONS`."""
    if prediction_type not in PREDICTIONS:
        raise ValueError(
            f"prediction_type is {prediction_type!r}; expected one of {', '.join(PREDICTIONS)}"
        )
    return PREDICTIONS[prediction_type]


def from_table(network: nn.Module, alphas_cumprod: Tensor, prediction_type: str) -> Denoiser:
    """The denoiser of a network trained on a table of N steps, alphas_cumprod (N,) = alpha^2.

    The network is one of this package, told t: see `ModuleNetwork` for the time of its table.
    Raises ValueError for a table that `Tabulated` refuses or an unknown `prediction_type`.
    """
    table = Tabulated(floats(alphas_cumprod.double()))
    return prediction(prediction_type)(network, table)
