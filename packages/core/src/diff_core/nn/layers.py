"""Building blocks that work in one, two or three dimensions.

A tensor is (B, C, *S) with `spatial` = len(S) in {1, 2, 3}. Whatever depends on the number of
dimensions is looked up once, here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

__all__ = [
    "Activation",
    "Conv",
    "ConvTranspose",
    "conv",
    "conv_transpose",
    "make_activation",
]

Activation = Literal["silu", "relu", "gelu"]
"""The name of an activation, see `make_activation`."""

Conv = nn.Conv1d | nn.Conv2d | nn.Conv3d
"""A convolution over one, two or three axes."""
ConvTranspose = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
"""A transposed convolution over one, two or three axes."""

_CONV: tuple[Callable[..., Conv], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONV_TRANSPOSE: tuple[Callable[..., ConvTranspose], ...] = (
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
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
) -> Conv:
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
        bias=bias,
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
) -> ConvTranspose:
    """Upsampling by an integer factor per axis, the mirror of a patch-merging `conv`."""
    return _CONV_TRANSPOSE[spatial - 1](
        in_channels, out_channels, factor, stride=factor, bias=bias
    )


def _half(kernel: int | tuple[int, ...]) -> int | tuple[int, ...]:
    return kernel // 2 if isinstance(kernel, int) else tuple(k // 2 for k in kernel)


def make_activation(activation: Activation) -> nn.Module:
    """Raise ValueError for a name other than `silu`, `relu`, `gelu`."""
    if activation not in _ACTIVATION:
        raise ValueError(f"activation is {activation!r}; expected one of {sorted(_ACTIVATION)}")
    return _ACTIVATION[activation]()
