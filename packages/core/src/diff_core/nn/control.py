"""A trainable copy of the encoder beside a frozen network, for a further aligned signal.

Zhang et al., Adding Conditional Control to Text-to-Image Diffusion Models (2023), for the U-Net;
for the transformer Chen et al., PixArt-delta: Fast and Controllable Image Generation with Latent
Consistency Models (2024), section 3.2: a copy of the first half of the blocks.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from diff_core.condition import Condition, check_condition
from diff_core.nn.adapter import Adapter
from diff_core.nn.dit import DiT
from diff_core.nn.layers import conv
from diff_core.nn.lengths import extend
from diff_core.nn.unet import UNet

__all__ = ["Control"]


class Control(Adapter):
    """network(x, time, cond), steered by `hint_channels` more of `Condition.channels`.

    The last `hint_channels` of the channels are the hint, those before them the network's own. A
    copy of the encoder (of a `DiT`: of the first half of its blocks, rounded up) takes x and the
    hint; its features enter the frozen network through layers that start at zero, so that an
    untrained branch changes nothing.

    network:       a `UNet` or `DiT`, trained; frozen from then on
    hint_channels: channels of the hint, of the size of x

    Raises ValueError for another network, a number of hint channels below 1, or a condition whose
    channels are not those of the network and the hint.
    """

    def __init__(self, network: nn.Module, hint_channels: int) -> None:
        super().__init__(network)
        if not isinstance(network, UNet | DiT):
            raise ValueError(f"network is a {type(network).__name__}; expected a UNet or a DiT")
        if hint_channels < 1:
            raise ValueError(f"hint_channels is {hint_channels}; expected at least 1")
        self.config = {"network": network, "hint_channels": hint_channels}
        self.hint_channels = hint_channels
        settings = network.config
        spatial = network.inputs.spatial
        self.branch = copy.deepcopy(network).requires_grad_(True)
        if isinstance(self.branch, UNet):
            widths = _numbers(settings["channels"])
            for name in ("up", "merge", "decoder"):
                setattr(self.branch, name, nn.ModuleList())
            self.branch.head = nn.Identity()
            first = conv(spatial, hint_channels, widths[0], _numbers(settings["kernel"]))
            last = conv(spatial, widths[0], widths[0], 1, zero=True)
            zeros: list[nn.Module] = [
                conv(spatial, width, width, 1, zero=True) for width in widths
            ]
        else:
            assert isinstance(self.branch, DiT)
            width = self.branch.stem.out_channels
            self.branch.blocks = self.branch.blocks[: (len(self.branch.blocks) + 1) // 2]
            self.branch.modulation = nn.Identity()
            self.branch.head = nn.Identity()
            patch = self.branch.patch
            first = conv(spatial, hint_channels, width, patch, stride=patch)
            last = conv(spatial, width, width, 1, zero=True)
            zeros = [_zero_linear(width) for _ in self.branch.blocks]
        self.hint = nn.Sequential(first, nn.SiLU(), last)
        self.zeros = nn.ModuleList(zeros)

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """x (B, in_channels, *S), time () or (B,) -> (B, out_channels, *S)."""
        check_condition(cond)
        own, hint = self._parted(cond or Condition(), x)
        lengths = None if own.lengths is None else own.lengths.to(x.device)
        network, branch = self.network, self.branch
        if isinstance(network, UNet) and isinstance(branch, UNet):
            hint = self.hint(extend(hint, network.multiple, lengths))
            steered = branch.encode(branch.enter(x, time, own), hint)
            entered = network.enter(x, time, own)
            features = [
                feature + zero(more)
                for feature, zero, more in zip(
                    network.encode(entered), self.zeros, steered, strict=True
                )
            ]
            return network.decode(features, entered)
        assert isinstance(network, DiT) and isinstance(branch, DiT)
        entered = branch.enter(x, time, own)
        hint = self.hint(extend(hint, network.patch, lengths))
        steps = entered.x + hint.flatten(2).transpose(1, 2)
        hints: list[Tensor] = []
        for i, zero in enumerate(self.zeros):
            steps = branch.block(i, steps, entered)
            hints.append(zero(steps))
        return network.run(network.enter(x, time, own), hints)

    def is_trained(self, name: str) -> bool:
        return not name.startswith("network.")

    def network_name(self, name: str) -> str:
        return name.removeprefix("network.")

    def _parted(self, cond: Condition, x: Tensor) -> tuple[Condition, Tensor]:
        """The network's own condition, and the hint (B, hint_channels, *S)."""
        channels = cond.channels
        assert isinstance(self.network, UNet | DiT)
        own = self.network.inputs.cond_channels
        expected = (len(x), own + self.hint_channels, *x.shape[2:])
        if channels is None or tuple(channels.shape) != expected:
            given = None if channels is None else tuple(channels.shape)
            raise ValueError(
                f"cond.channels is {given}; expected {expected}: {own} of the network's own, then "
                f"{self.hint_channels} of the hint"
            )
        mine = channels[:, :own] if own else None
        return replace(cond, channels=mine), channels[:, own:].to(x.dtype)


def _numbers(setting: object) -> tuple[int, ...]:
    assert isinstance(setting, tuple)
    return setting  # pyright: ignore[reportUnknownVariableType]


def _zero_linear(width: int) -> nn.Module:
    layer = nn.Linear(width, width)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    return layer
