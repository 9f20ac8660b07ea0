"""Low-rank additions to the weights of a frozen network.

Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2022), equation 3: a layer of weight
W becomes W + (alpha / rank) B A, with A random and B = 0 at the start. Kernels of convolutions are
flattened to a matrix (M, N times their size).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from diff_core.condition import Condition
from diff_core.nn.adapter import Adapter

__all__ = ["Lora"]

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_ADDED = ".parametrizations.weight.0."
_FROZEN = ".parametrizations.weight.original"


class _LowRank(nn.Module):
    """W -> W + scale B A for a weight W (M, ...)."""

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        inputs = weight[0].numel()
        self.scale = scale
        bound = 1 / math.sqrt(inputs)
        self.a = nn.Parameter(weight.new_empty(rank, inputs).uniform_(-bound, bound))
        self.b = nn.Parameter(weight.new_zeros(len(weight), rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.scale * self.b @ self.a).reshape(weight.shape)


class Lora(Adapter):
    """network(x, time, cond) with low-rank additions to its linear layers and convolutions.

    network: any network with a `config`, trained. Its layers are changed in a copy that shares its
             weights, which are frozen from then on
    rank:    of each addition; one to a layer of M outputs and N inputs has rank (M + N) weights
    alpha:   the addition is alpha / rank times B A; by default B A itself
    targets: layers by name, or by the end of it after a dot ("qkv"); None is every linear layer
             and convolution

    Raises ValueError for a rank below 1, or a target that is not there or is no such layer.
    """

    def __init__(
        self,
        network: nn.Module,
        rank: int = 4,
        *,
        alpha: float | None = None,
        targets: Sequence[str] | None = None,
    ) -> None:
        if rank < 1:
            raise ValueError(f"rank is {rank}; expected at least 1")
        names = _targets(network, targets)
        super().__init__(network)
        self.config = {"network": network, "rank": rank, "alpha": alpha, "targets": targets}
        self.network = _sharing(network)
        for name in names:
            layer = self.network.get_submodule(name)
            weight = layer.get_parameter("weight")
            addition = _LowRank(weight.detach(), rank, 1.0 if alpha is None else alpha / rank)
            parametrize.register_parametrization(layer, "weight", addition)

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """x (B, in_channels, *S), time () or (B,) -> (B, out_channels, *S)."""
        return self.network(x, time, cond)

    @torch.no_grad()
    def merged(self) -> nn.Module:
        """Return a network of its own with the additions in its weights, an ordinary one."""
        network = self.config["network"]
        assert isinstance(network, nn.Module)
        merged = copy.deepcopy(network).requires_grad_(True)
        for name, layer in self.network.named_modules():
            if parametrize.is_parametrized(layer, "weight"):
                weight = layer.weight
                assert isinstance(weight, Tensor)
                merged.get_parameter(f"{name}.weight").copy_(weight)
        return merged

    def is_trained(self, name: str) -> bool:
        return _ADDED in name

    def network_name(self, name: str) -> str:
        return name.removeprefix("network.").replace(_FROZEN, ".weight")


def _targets(network: nn.Module, targets: Sequence[str] | None) -> list[str]:
    """Full names of the layers; ValueError for a target that is not among them."""
    layers = [name for name, layer in network.named_modules() if isinstance(layer, _LAYERS)]
    if targets is None:
        return layers
    chosen: list[str] = []
    for target in targets:
        found = [name for name in layers if name == target or name.endswith(f".{target}")]
        if not found:
            ends = sorted({name.rsplit(".", 1)[-1] for name in layers})
            raise ValueError(
                f"targets has {target!r}, which is no linear layer or convolution of the network; "
                f"their names end in {', '.join(ends)}"
            )
        chosen += [name for name in found if name not in chosen]
    return chosen


def _sharing(network: nn.Module) -> nn.Module:
    """A copy of the modules with the very same parameters and buffers."""
    tensors = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
