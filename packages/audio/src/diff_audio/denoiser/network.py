"""The denoiser's network: a U-Net over frequency with a memory over time.

Frequency is down-sampled and time is not, so every frame keeps its place and a sound that lasts
one frame can be treated alone; the reach over time comes from dilated convolutions at the bottom,
where a frame is one vector. As U-Net: Ronneberger, Fischer and Brox, "U-Net: Convolutional
Networks for Biomedical Image Segmentation" (2015); bottom blocks: Liu et al., "A ConvNet for the
2020s" (2022); modulation by time: Perez et al., "FiLM: Visual Reasoning with a General
Conditioning Layer" (2018).

On a CPU, memory traffic costs more than arithmetic here. Tensors are therefore (B, C, N, F) in
channels-last memory: a frame's F * C numbers lie side by side, convolutions take that layout as it
is, and per-frame normalisation is one `layer_norm` over the last dimension of a view.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from diff_audio.spectra.frame_block import KERNEL, FrameBlock
from diff_core.condition import Condition
from diff_core.nn import FourierFeatures

__all__ = ["FLOOR", "STRIDE", "BandNorm", "BandUNet", "bands_of", "noisy_of", "rotate"]

STRIDE = 4
"""The stride of the first and the last layer, in bins."""
FLOOR = 1e-4
"""A floor in the logarithm of the power of spectra of order one."""


class BandNorm(nn.Module):
    """A normalisation of each frame over channel and frequency; gain and bias per channel and
    band.
    """

    def __init__(self, channels: int, bands: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(bands * channels))
        self.bias = nn.Parameter(torch.zeros(bands * channels))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, frames, bands = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(batch, frames, bands * channels)
        rows = functional.layer_norm(rows, self.weight.shape, self.weight, self.bias)
        return rows.view(batch, frames, bands, channels).permute(0, 3, 1, 2)


class _BandBlock(nn.Module):
    """A block x + conv(silu(film(norm(conv(silu(norm(x))))))), 3 x 3 over frame and band."""

    def __init__(self, channels: int, bands: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = BandNorm(channels, bands)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = BandNorm(channels, bands)
        self.film = nn.Linear(embedding, 2 * channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.norm2(self.conv1(functional.silu(self.norm1(x))))
        # One dtype throughout: mixing would silently widen a bfloat16 tensor.
        gain, shift = self.film(embedding).to(h.dtype)[:, :, None, None].chunk(2, dim=1)
        return x + self.conv2(functional.silu(torch.addcmul(shift, h, 1 + gain)))


class BandUNet(nn.Module):
    """A network for the clean spectrum x_0, from the bridge's state x_t, the noisy spectrum y and
    t.

    bins:      F of the spectra, a multiple of 4 * 2^(len(channels) - 1)
    channels:  width of each level; the first has F / 4 bands, each further one half as many
    width:     numbers a frame at the bottom
    dilations: one bottom block each, kernel 7 frames
    embedding: width of the embedding of time
    unit:      typical magnitude of the spectra, which are divided by it on the way in

    D = (1 + m_y) y + m_x x_t + r, with complex masks m and a residual r from the network. Its last
    layer starts at zero, so that an untrained network returns y. All shapes are (B, 2, F, N), real
    and imaginary part.
    """

    def __init__(
        self,
        bins: int = 256,
        channels: Sequence[int] = (16, 32, 48, 64),
        width: int = 256,
        dilations: Sequence[int] = (1, 2, 4, 8, 4, 1),
        embedding: int = 128,
        unit: float = 0.075,
    ) -> None:
        super().__init__()
        bands = bands_of(bins, len(channels))
        self.config: dict[str, object] = {
            "bins": bins,
            "channels": list(channels),
            "width": width,
            "dilations": list(dilations),
            "embedding": embedding,
            "unit": unit,
        }
        self.bins, self.unit = bins, unit
        self.dilations = tuple(dilations)
        self.time = nn.Sequential(
            FourierFeatures(64),
            nn.Linear(64, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
            nn.SiLU(),
        )
        self.stem = nn.Conv2d(5, channels[0], (3, 7), (1, STRIDE), (1, 3))
        pairs = list(zip(channels, channels[1:], strict=False))
        self.encoder = nn.ModuleList(
            _BandBlock(c, f, embedding) for c, f in zip(channels, bands, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, (1, 2), (1, 2)) for a, b in pairs)
        flat = channels[-1] * bands[-1]
        self.enter = nn.Linear(flat, width)
        blocks = [FrameBlock(width, d) for d in dilations]
        for block in blocks:  # each begins as the identity, so that a network can grow
            nn.init.zeros_(block.contract.weight)
            nn.init.zeros_(block.contract.bias)
        self.bottom = nn.ModuleList(blocks)
        self.leave = nn.Linear(width, flat)
        self.decoder = nn.ModuleList(
            _BandBlock(c, f, embedding) for c, f in zip(channels, bands, strict=True)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, (1, 2), (1, 2)) for a, b in pairs)
        self.last = BandNorm(channels[0], bands[0])
        self.head = nn.ConvTranspose2d(
            channels[0], 6, (3, 2 * STRIDE), (1, STRIDE), (1, STRIDE // 2)
        )
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    @property
    def context(self) -> int:
        """Return the frames on each side that a frame of the result depends on."""
        levels = len(self.encoder)
        return 2 + 2 * 2 * levels + KERNEL // 2 * sum(self.dilations)

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """Return D (B, 2, F, N) in float32, for x = x_t and cond.channels = y (B, 2, F, N), time
        (B,).
        """
        y = noisy_of(x, cond, self.bins)
        power = (y / self.unit).square().sum(1, keepdim=True)
        features = torch.cat((x / self.unit, y / self.unit, 0.25 * (power + FLOOR).log()), dim=1)
        out = self._body(features.transpose(2, 3), self.time(time)).transpose(2, 3).float()
        return y + rotate(out[:, :2], y) + rotate(out[:, 2:4], x) + self.unit * out[:, 4:]

    def _body(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Map (B, 5, N, F) to (B, 6, N, F)."""
        h = self.stem(features.contiguous(memory_format=torch.channels_last))
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            h = block(self.down[level - 1](h) if level else h, embedding)
            skips.append(h)
        batch, channels, frames, bands = h.shape
        z = self.enter(h.permute(0, 2, 3, 1).reshape(batch, frames, bands * channels))
        for block in self.bottom:
            z = block(z)
        h = self.leave(z).view(batch, frames, bands, channels).permute(0, 3, 1, 2)
        for level in reversed(range(len(skips))):
            h = self.decoder[level](h + skips[level], embedding)
            if level:
                h = self.up[level - 1](h)
        return self.head(functional.silu(self.last(h)))


def bands_of(bins: int, levels: int) -> list[int]:
    """Return the bands of each level: F / 4, and half as many at each further one. Raises
    ValueError for bins that these do not divide.
    """
    cell = STRIDE * 2 ** (levels - 1)
    if not levels or bins % cell:
        raise ValueError(f"bins is {bins}; expected a multiple of {cell} for {levels} levels")
    return [bins // STRIDE // 2**level for level in range(levels)]


def noisy_of(x: Tensor, cond: Condition | None, bins: int) -> Tensor:
    """Return the noisy spectrum y (B, 2, F, N) that comes with x_t. Raises ValueError where it is
    missing, and for other shapes.
    """
    y = None if cond is None else cond.channels
    if y is None or y.shape != x.shape:
        given = None if y is None else tuple(y.shape)
        raise ValueError(
            f"cond.channels must be the noisy spectrum, {tuple(x.shape)}, got {given}"
        )
    if x.ndim != 4 or x.shape[1:3] != (2, bins):
        raise ValueError(f"x must have shape (B, 2, {bins}, N), got {tuple(x.shape)}")
    return y


def rotate(mask: Tensor, spectrum: Tensor) -> Tensor:
    """The complex product of two (B, 2, F, N)."""
    a, b = mask.unbind(1)
    c, d = spectrum.unbind(1)
    return torch.stack((a * c - b * d, a * d + b * c), dim=1)
