"""The network of one stage of the generator, and its denoiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.denoiser import Preconditioned
from diff_core.nn import UNet
from diff_core.schedule import Edm
from diff_medical.generator.prior import LinearPrior
from diff_medical.generator.vocabulary import Vocabulary

__all__ = ["ScanNetwork", "scan_denoiser"]

TRUSTED = 5.0  # noise level at which half of the first channel is left to the linear prior


class ScanNetwork(nn.Module):
    """A U-Net over packed scans: (B, count, *S), time (B,), `Condition` -> the same shape.

    spatial:    2 or 3
    count:      channels of the packed scan
    vocabulary: of `Condition.vector`
    given:      number of `Condition.channels`
    channels, blocks, attention, embedding: see `UNet`
    places:     waves along each axis that tell the network where it is: scans are centred, and
                under much noise the place is nearly all that there is to know
    rank:       of the `LinearPrior` whose estimate of the first channel the network is given, and
                corrects at high noise levels; 0 for none
    side:       of the packed scan, for the prior
    gains:      whether the result is a + b x with b predicted beside a, channel by channel. Where
                little noise is left the network has to hand all of it through, and with a width
                near `count` it has no room for that: b x does it, as a local shrinkage
    """

    def __init__(
        self,
        spatial: int,
        count: int,
        vocabulary: Vocabulary,
        given: int = 0,
        channels: Sequence[int] = (128, 192),
        blocks: int | Sequence[int] = 2,
        attention: Sequence[int] = (),
        embedding: int = 192,
        places: int = 2,
        rank: int = 0,
        side: int = 16,
        gains: bool = False,
    ) -> None:
        super().__init__()
        self.config: dict[str, object] = {
            "spatial": spatial,
            "count": count,
            "vocabulary": vocabulary,
            "given": given,
            "channels": tuple(channels),
            "blocks": blocks if isinstance(blocks, int) else tuple(blocks),
            "attention": tuple(attention),
            "embedding": embedding,
            "places": places,
            "rank": rank,
            "side": side,
            "gains": gains,
        }
        self.count = count
        self.places = places
        self.gains = gains
        self.prior = LinearPrior(vocabulary, side**spatial, rank) if rank else None
        unet = UNet(
            spatial,
            count + 2 * places * spatial + (rank > 0),
            count + (rank > 0) + count * gains,  # the gains last, so that a model can grow by them
            channels,
            blocks=blocks,
            attention=attention,
            embedding=embedding,
            vector_dim=vocabulary.size,
            cond_channels=given,
        )
        self.layout = torch.channels_last if spatial == 2 else torch.channels_last_3d
        self.unet: UNet = unet.to(memory_format=self.layout)  # type: ignore[call-overload]

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        parts = [x]
        if self.places:
            waves = _waves(x.shape[2:], self.places).to(x)
            parts.append(waves.expand(len(x), *waves.shape[1:]))
        if self.prior is None or cond is None or cond.vector is None:
            return self._made(parts, x, time, cond)
        sigma = (4 * time).exp()
        beside = sigma.reshape(-1, *(1,) * (x.ndim - 1)).to(x)
        norm = (1 + beside.square()).sqrt()
        noisy = x[:, :1] * norm  # what `Preconditioned` has scaled
        with torch.autocast(x.device.type, enabled=False):
            hint = self.prior(noisy, sigma, cond.vector)
        parts.append(hint)
        made = self._made(parts, x, time, cond)
        # the hint as `Preconditioned` would have it predicted: D = noisy / norm^2 + sigma / norm F
        told = (hint - noisy / norm.square()) * norm / beside
        share = beside.square() / (beside.square() + TRUSTED**2)
        coarse = (1 - share) * made[:, :1] + share * (told + made[:, -1:])
        return torch.cat([coarse, made[:, 1:-1]], 1)

    def _made(
        self, parts: list[Tensor], x: Tensor, time: Tensor, cond: Condition | None
    ) -> Tensor:
        laid_out = torch.cat(parts, 1).contiguous(memory_format=self.layout)
        made = self.unet(laid_out, time, cond).to(x.dtype)
        if not self.gains:
            return made
        made, gain = made[:, : -self.count], made[:, -self.count :]
        return torch.cat([made[:, : self.count] + gain * x, made[:, self.count :]], 1)

    def bottleneck(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """(B, D): mean and standard deviation over positions of the coarsest level's features."""
        found: list[Tensor] = []
        coarsest = self.unet.encoder[-1]
        handle = coarsest.register_forward_hook(
            lambda _module, _in, out: found.append(cast(Tensor, out))
        )
        try:
            self(x, time, cond)
        finally:
            handle.remove()
        features = found[0].flatten(2)
        return torch.cat([features.mean(2), features.std(2)], 1)


def _waves(size: Sequence[int], count: int) -> Tensor:
    """(1, 2 count axes, *size): sine and cosine of 1, 2, ... half turns across each axis."""
    made: list[Tensor] = []
    for axis, length in enumerate(size):
        place = (torch.arange(length) + 0.5) / length - 0.5
        shape = [1] * len(size)
        shape[axis] = length
        for k in range(1, count + 1):
            angle = (math.pi * k * place).reshape(shape).expand(*size)
            made += [angle.sin(), angle.cos()]
    return torch.stack(made)[None] * math.sqrt(2)


def scan_denoiser(network: ScanNetwork, sigma_max: float = 80.0) -> Preconditioned:
    """D(x_t; sigma) of packed scans, x_t = x_0 + sigma z, with sigma(t) = sigma_max t."""
    return Preconditioned(network, Edm(sigma_max=sigma_max), sigma_data=1.0)
