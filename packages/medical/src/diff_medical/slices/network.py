"""The slice network, a 2-D U-Net over a slab of neighbouring slices, and its denoiser."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser, Preconditioned
from diff_core.nn import UNet
from diff_core.schedule import Edm

__all__ = [
    "NETWORK_TYPES",
    "SIGMA_MAX",
    "SlabNetwork",
    "in_full",
    "network_of",
    "sigma_max_of",
    "slab_denoiser",
]

SIGMA_MAX = 0.5
"""The highest noise level of the shipped network, of the bright level of a scan, which
`diff_medical.scan.intensity` maps to 1."""


class SlabNetwork(nn.Module):
    """A slab of slices in, the same slab out: (B, slices, H, W), time (B,) -> (B, slices, H, W).

    The slices are channels of a 2-D U-Net without normalisation, so that its receptive field is
    finite and a volume can be processed in tiles exactly. With `shuffle` = 2 each slice enters as
    four half-size channels (Shi et al., Real-Time Single Image and Video Super-Resolution Using an
    Efficient Sub-Pixel Convolutional Neural Network, 2016): all of the work is done at half
    resolution, in a wider network at the same cost.

    slices:   odd, how many neighbours are seen at once
    channels: width of each level of the U-Net, each half the size of the one before
    blocks:   residual blocks per level: one number, or one per level
    shuffle:  1 for full resolution, 2 for half
    """

    def __init__(
        self,
        slices: int = 5,
        channels: Sequence[int] = (32, 64, 96, 128),
        blocks: int | Sequence[int] = 2,
        shuffle: int = 1,
    ) -> None:
        super().__init__()
        if slices < 3 or slices % 2 == 0:
            raise ValueError(f"slices is {slices}; expected an odd number of at least 3")
        if shuffle < 1:
            raise ValueError(f"shuffle is {shuffle}; expected at least 1")
        self.config: dict[str, object] = {
            "slices": slices,
            "channels": tuple(channels),
            "blocks": blocks if isinstance(blocks, int) else tuple(blocks),
            "shuffle": shuffle,
        }
        self.slices = slices
        self.shuffle = shuffle
        self.narrow: torch.dtype | None = None  # autocast's, None for that of the weights
        self.tile: int | None = None  # longest edge that fits memory, once larger ones did not
        width = slices * shuffle**2
        unet = UNet(
            2, width, width, channels, blocks=blocks, norm="none", activation="relu", embedding=64
        )
        # with channels last, convolutions on a CPU take a fifth less time
        self.unet: UNet = unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        levels = len(channels)
        self.multiple = shuffle * 2 ** (levels - 1)
        counts = [blocks] * levels if isinstance(blocks, int) else blocks
        # two 3x3 convolutions a block, twice (encoder, decoder), but at the bottom once; stem and
        # head; and one cell of the coarsest grid for each change of resolution
        cells = sum(2 * count * 2**i for i, count in enumerate(counts))
        reach = 2 + 2 * (cells - counts[-1] * 2 ** (levels - 1)) + 2**levels
        self.reach = shuffle * reach

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        height, width = x.shape[-2:]
        missing = (0, -width % self.multiple, 0, -height % self.multiple)
        if any(missing):
            x = F.pad(x, missing, mode="replicate")
        packed = F.pixel_unshuffle(x, self.shuffle).contiguous(memory_format=torch.channels_last)
        # an autocast that is not enabled would end that of training, so there is none
        narrow = torch.autocast(x.device.type, self.narrow) if self.narrow else nullcontext()
        with narrow:
            made = self.unet(packed, time, cond)
        result = F.pixel_shuffle(made.to(x.dtype) if self.narrow else made, self.shuffle)
        return result[..., :height, :width]


def network_of(denoiser: Denoiser) -> SlabNetwork:
    """Return the slab network of a denoiser. Raises ValueError if it has another network."""
    network = denoiser.network
    if not isinstance(network, SlabNetwork):
        raise ValueError(f"network is a {type(network).__name__}; expected a SlabNetwork")
    return network


def sigma_max_of(denoiser: Denoiser) -> float:
    """Return the noise level at which a denoiser ends, on the scale of the network."""
    return float(denoiser.schedule.sigma(torch.ones((), dtype=torch.float64)))


@contextmanager
def in_full(network: object) -> Generator[None]:
    """Within the block a `SlabNetwork` computes in the precision of its weights: where its results
    are subtracted from one another, the rounding of a narrower one is as large as the difference.
    """
    if not isinstance(network, SlabNetwork):
        yield
        return
    narrow, network.narrow = network.narrow, None
    try:
        yield
    finally:
        network.narrow = narrow


NETWORK_TYPES: dict[str, type] = {"SlabNetwork": SlabNetwork}
"""What `diff_core.load(..., types=NETWORK_TYPES)` needs to know to load an enhancer."""


def slab_denoiser(
    slices: int = 5,
    channels: Sequence[int] = (32, 64, 96, 128),
    blocks: int | Sequence[int] = 2,
    shuffle: int = 1,
    *,
    sigma_max: float = SIGMA_MAX,
    sigma_data: float = 0.5,
) -> Preconditioned:
    """An untrained D(x_t; sigma) = E[x_0 | x_t] on slabs (B, slices, H, W), x_t = x_0 + sigma z.

    The path is variance exploding, sigma(t) = sigma_max t, in the units of
    `diff_medical.scan.intensity`.
    """
    network = SlabNetwork(slices, channels, blocks, shuffle)
    return Preconditioned(network, Edm(sigma_max=sigma_max), sigma_data=sigma_data)
