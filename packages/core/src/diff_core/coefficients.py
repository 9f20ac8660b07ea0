"""Times and coefficients: one number for a whole batch, or one for each of its rows."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["broadcast", "check_time", "floats"]


def broadcast(coef: Tensor, x: Tensor) -> Tensor:
    """`coef` of shape () or (B,) in the dtype of x (B, ...), shaped to multiply it.

    Raises ValueError if `coef` is neither a scalar nor one number per row of x, or if x holds
    integers, to which `coef` would be rounded, or complex numbers.
    """
    if not x.is_floating_point():
        raise ValueError(f"x is {x.dtype}; expected real floating-point numbers")
    if coef.ndim == 0:
        return coef.to(x.dtype)
    if coef.ndim > 1 or coef.shape[0] != x.shape[0]:
        raise ValueError(
            f"coef has shape {tuple(coef.shape)}; expected () or ({x.shape[0]},), one number for "
            f"each row of x {tuple(x.shape)}"
        )
    return coef.to(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))


def floats(t: Tensor) -> tuple[float, ...]:
    """The values of a small tensor as Python floats."""
    return tuple(t.detach().flatten().cpu().numpy().tolist())


def check_time(name: str, t: Tensor, x: Tensor) -> None:
    """Raise ValueError unless t, () or (B,) beside x (B, ...), is a floating-point time in [0, 1].

    TypeError if t is no tensor; ValueError too if x is complex: its two parts are channels here.
    Its values are checked on the CPU only: on an accelerator, reading the answer would stall it at
    every call. A single time may be on the CPU wherever x is.
    """
    if not isinstance(t, Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"{name} is of type {type(t).__name__}; expected a tensor, such as torch.tensor({t})"
        )
    if x.is_complex():
        raise ValueError(
            f"the signal is {x.dtype}; expected real numbers: give complex ones as two channels"
        )
    if t.ndim > 1 or (t.ndim == 1 and t.shape[0] != x.shape[0]):
        raise ValueError(
            f"{name} has shape {tuple(t.shape)}; expected () or ({x.shape[0]},), one time for "
            f"each row of {tuple(x.shape)}"
        )
    if not t.is_floating_point():
        raise ValueError(f"{name} is {t.dtype}; expected floating-point times from 0 to 1")
    if t.device != x.device and not (t.ndim == 0 and t.device.type == "cpu"):
        raise ValueError(f"{name} is on {t.device}; expected {x.device}, where the signal is")
    if t.device.type != "cpu" or torch.compiler.is_compiling():
        return
    if not bool(((t >= 0) & (t <= 1)).all()):
        raise ValueError(
            f"{name} is outside [0, 1]: given values from {t.min().item():g} to "
            f"{t.max().item():g}; expected 0 (clean) to 1 (noisiest)"
        )
