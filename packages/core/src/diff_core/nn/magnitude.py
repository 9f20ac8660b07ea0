"""Layers that keep the magnitude of what passes through them.

Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models (2024), configs D
to G: every weight has unit norm per output, every nonlinearity and every sum is rescaled, so that
input of unit variance stays so through the whole network, at initialisation and in training. There
are no biases and no group norms; a constant channel at the input does what biases did.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

__all__ = ["Scaled", "join", "mix", "normalise_weights", "pixel_norm", "silu", "unit"]

_BRANCH = 0.3
_EPS = 1e-4


def silu(x: Tensor) -> Tensor:
    """silu(x) / 0.596, of unit variance for a standard normal x (equation 81)."""
    return F.silu(x) / 0.596


def mix(a: Tensor, b: Tensor, share: float = _BRANCH) -> Tensor:
    """((1 - s) a + s b) / sqrt((1 - s)^2 + s^2): a sum of unit variance (equation 88)."""
    total = math.hypot(1.0 - share, share)
    return torch.add(a * ((1.0 - share) / total), b, alpha=share / total)


def join(a: Tensor, b: Tensor) -> Tensor:
    """a and b (B, C, *S) side by side, each with half of the power (equation 103)."""
    half = (a.shape[1] + b.shape[1]) / 2
    return torch.cat([a * math.sqrt(half / a.shape[1]), b * math.sqrt(half / b.shape[1])], dim=1)


def pixel_norm(x: Tensor, dim: int = 1) -> Tensor:
    """x with unit mean square over the features of each position."""
    wide = torch.promote_types(x.dtype, torch.float32)
    norm = torch.linalg.vector_norm(x, dim=dim, keepdim=True, dtype=wide)
    return x / (norm / math.sqrt(x.shape[dim]) + _EPS).to(x.dtype)


class _Unit(nn.Module):
    """A weight scaled to unit norm over `axes`, all that enters one output (equation 47)."""

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, weight: Tensor) -> Tensor:
        return weight / self.norm(weight)

    def norm(self, weight: Tensor) -> Tensor:
        return torch.linalg.vector_norm(weight, dim=self.axes, keepdim=True).clamp_min(_EPS)


def unit(layer: nn.Module) -> nn.Module:
    """A convolution or linear layer without bias, made to keep magnitude.

    In an upsampling convolution with stride equal to kernel an output sees one tap of the kernel.
    """
    assert isinstance(layer.weight, Tensor)
    nn.init.normal_(layer.weight)
    upsamples = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    axes = (0,) if upsamples else tuple(range(1, layer.weight.ndim))
    parametrize.register_parametrization(layer, "weight", _Unit(axes))
    return layer


def normalise_weights(network: nn.Module) -> None:
    """Scales every raw weight to unit mean square over what enters an output, in place.

    What the network computes stays as it is; its effective learning rate no longer falls as the
    raw weights grow (forced weight normalisation, equation 66). Since weights that are there
    already stay, autograd is not told: several forward passes may precede a backward pass.
    """
    for rule, weight in _raw_weights(network):
        norm = rule.norm(weight.data)
        weight.data.div_(norm * math.sqrt(norm.numel() / weight.numel()))


def _raw_weights(network: nn.Module) -> Iterator[tuple[_Unit, Tensor]]:
    for module in network.modules():
        if isinstance(module, parametrize.ParametrizationList):
            rule, weight = module[0], module.original
            if isinstance(rule, _Unit):
                yield rule, weight


class Scaled(nn.Module):
    """A layer of unit weights times a learned gain that starts at zero."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = unit(layer)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.gain
