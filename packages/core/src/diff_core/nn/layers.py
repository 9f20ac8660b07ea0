"""Building blocks that work in one, two or three dimensions.

A tensor is (B, C, *S) with `spatial` = len(S) in {1, 2, 3}. Whatever depends on the number of
dimensions is looked up once, here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

__all__ = [
    "Activation",
    "FrameNorm",
    "Norm",
    "conv",
    "conv_transpose",
    "make_activation",
    "make_norm",
]

Norm = Literal["group", "frame", "none"]
Activation = Literal["silu", "relu", "gelu"]

_CONV: tuple[type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d], ...] = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
)
_CONV_TRANSPOSE: tuple[
    type[nn.ConvTranspose1d] | type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d], ...
] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ACTIVATION: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
}


def conv(
    spatial: int,
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, ...] = 3,
    *,
    stride: int | tuple[int, ...] = 1,
    bias: bool = True,
    zero: bool = False,
) -> nn.Module:
    """Convolution over `spatial` axes; size-preserving when the stride is 1 and the kernel odd.

    With stride == kernel it merges patches (no padding). `zero` starts it at zero, so that the
    branch that it closes begins as the identity.
    """
    padding = 0 if kernel == stride else _half(kernel)
    layer = _CONV[spatial - 1](
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        padding=padding,
        bias=bias,  # type: ignore[arg-type]
    )
    if zero:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return layer


def conv_transpose(
    spatial: int,
    in_channels: int,
    out_channels: int,
    factor: tuple[int, ...],
    *,
    bias: bool = True,
) -> nn.Module:
    """Upsampling by an integer factor per axis, the mirror of a patch-merging `conv`."""
    return _CONV_TRANSPOSE[spatial - 1](
        in_channels,
        out_channels,
        factor,
        stride=factor,
        bias=bias,  # type: ignore[arg-type]
    )


def _half(kernel: int | tuple[int, ...]) -> int | tuple[int, ...]:
    return kernel // 2 if isinstance(kernel, int) else tuple(k // 2 for k in kernel)


class FrameNorm(nn.Module):
    """Normalisation over channels and every axis but the last, for each frame on its own.

    A frame's output does not depend on any other frame, so inference in chunks along the last
    axis is exact. Shapes (B, C, *S) -> (B, C, *S).
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(1, x.ndim - 1))
        variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        shape = (-1,) + (1,) * (x.ndim - 2)
        scale = torch.rsqrt(variance + self.eps)
        return (x - mean) * scale * self.weight.view(shape) + self.bias.view(shape)


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """`group`: up to 8 groups over the whole signal; `frame`: FrameNorm; `none`: identity.

    With `none` the receptive field is finite and the network scale-equivariant if also free of
    biases, so tiled inference over all axes is exact.
    """
    if norm == "group":
        groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
        return nn.GroupNorm(groups, channels)
    if norm == "frame":
        return FrameNorm(channels)
    if norm == "none":
        return nn.Identity()
    raise ValueError(f"norm is {norm!r}; expected 'group', 'frame' or 'none'")


def make_activation(activation: Activation) -> nn.Module:
    """Raises ValueError for a name other than `silu`, `relu`, `gelu`."""
    if activation not in _ACTIVATION:
        raise ValueError(f"activation is {activation!r}; expected one of {sorted(_ACTIVATION)}")
    return _ACTIVATION[activation]()
