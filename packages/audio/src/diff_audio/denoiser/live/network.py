"""The live denoiser's network: causal, frame by frame, with a state that it hands on.

Convolutions over frequency that see at most the two frames before, and gated recurrent units over
frames at the bottom, as in "A Convolutional Recurrent Neural Network for Real-Time Speech
Enhancement" (K. Tan and D. Wang, 2018). It takes what `BandUNet` takes, so that it is trained on
the same bridge; live sound is one pass from t = 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from diff_audio.denoiser.network import FLOOR, STRIDE, BandNorm, bands_of, noisy_of, rotate
from diff_core.condition import Condition
from diff_core.nn import FourierFeatures

__all__ = ["LiveNet", "State"]

_QUIET = 1e-10  # power of a compressed spectrum, which keeps the level of silence from zero
_EMBEDDING = 64

State = list[Tensor]
"""The memory of a network: level, pasts of the convolutions, state of the recurrent units."""


class _Causal(nn.Module):
    """A convolution over frame and band that sees `past` frames before each."""

    def __init__(self, inside: int, outside: int, past: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.past = past
        self.conv = nn.Conv2d(
            inside, outside, (past + 1, width), (1, stride), (0, (width - 1) // 2)
        )

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the result for x (B, C, N, F) after memory (B, C, past, F), and the next one."""
        seen = torch.cat((memory.to(x.dtype), x), dim=2)
        return self.conv(seen), seen[:, :, seen.shape[2] - self.past :].float()


class _Block(nn.Module):
    """A block x + conv(silu(film(norm(x))))."""

    def __init__(self, channels: int, bands: int, past: int) -> None:
        super().__init__()
        self.norm = BandNorm(channels, bands)
        self.film = nn.Linear(_EMBEDDING, 2 * channels)
        self.conv = _Causal(channels, channels, past, 3)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def modulation(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return shift and gain (B, C, 1, 1) of an embedding of time."""
        gain, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        return shift, 1 + gain

    def forward(
        self, x: Tensor, modulation: tuple[Tensor, Tensor], memory: Tensor
    ) -> tuple[Tensor, Tensor]:
        shift, gain = modulation
        h = torch.addcmul(shift.to(x.dtype), self.norm(x), gain.to(x.dtype))
        h, memory = self.conv(functional.silu(h), memory)
        return x + h, memory


class LiveNet(nn.Module):
    """A causal network for the clean spectrum x_0, from the bridge's state x_t, the noisy spectrum
    y and t.

    bins:     F of the spectra, a multiple of 4 * 2^(len(channels) - 1)
    channels: width of each level; the first has F / 4 bands, each further one half as many
    width:    numbers a frame in the recurrent units
    depth:    recurrent layers
    memory:   s over which the level is averaged, by which the spectra are divided on the way in:
              the network gives k x_0 for k x_t and k y, but for the level of silence

    D = (1 + m_y) y + m_x x_t + r, with complex masks m and a residual r from the network, whose
    last layer starts at zero. All shapes are (B, 2, F, N). Frame n depends on frames 0 to n.
    """

    def __init__(
        self,
        bins: int = 256,
        channels: Sequence[int] = (16, 32, 48),
        width: int = 224,
        depth: int = 2,
        memory: float = 2.0,
    ) -> None:
        super().__init__()
        bands = bands_of(bins, len(channels))
        if not memory > 0:
            raise ValueError(f"memory must be positive, in seconds, got {memory}")
        self.config: dict[str, object] = {
            "bins": bins,
            "channels": list(channels),
            "width": width,
            "depth": depth,
            "memory": memory,
        }
        self.bins, self.width, self.depth = bins, width, depth
        self.decay = math.exp(-0.008 / memory)  # a frame is 8 ms
        pairs = list(zip(channels, channels[1:], strict=False))
        self.time = nn.Sequential(
            FourierFeatures(_EMBEDDING), nn.Linear(_EMBEDDING, _EMBEDDING), nn.SiLU()
        )
        self.stem = _Causal(5, channels[0], 2, 7, STRIDE)
        self.encoder = nn.ModuleList(_Block(c, f, 1) for c, f in zip(channels, bands, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(a, b, (1, 2), (1, 2)) for a, b in pairs)
        flat = channels[-1] * bands[-1]
        self.enter = nn.Linear(flat, width)
        self.recurrent = nn.GRU(width, width, depth, batch_first=True)
        self.leave = nn.Linear(width, flat)
        self.decoder = nn.ModuleList(_Block(c, f, 1) for c, f in zip(channels, bands, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, (1, 2), (1, 2)) for a, b in pairs)
        self.last = BandNorm(channels[0], bands[0])
        self.head = nn.ConvTranspose2d(
            channels[0], 6, (1, 2 * STRIDE), (1, STRIDE), (0, STRIDE // 2)
        )
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self._pasts = [(5, 2, bins)]
        self._pasts += [(c, 1, f) for c, f in zip(channels, bands, strict=True)] * 2

    def initial(self, batch: int) -> State:
        """Return the state before the first frame."""
        device = self.enter.weight.device
        zeros = [torch.zeros(batch, *shape, device=device) for shape in self._pasts]
        hidden = torch.zeros(self.depth, batch, self.width, device=device)
        return [torch.zeros(batch, 2, device=device), *zeros, hidden]

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """Return D (B, 2, F, N) in float32, for x = x_t and cond.channels = y (B, 2, F, N), time
        (B,): a recording from its first frame on.
        """
        y = noisy_of(x, cond, self.bins)
        return self.advance(x, y, self.modulation(time), self.initial(len(x)))[0]

    def modulation(self, time: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return what the blocks have to know of times (B,)."""
        embedding = self.time(time)
        blocks = cast("list[_Block]", [*self.encoder, *self.decoder])
        return [block.modulation(embedding) for block in blocks]

    def advance(
        self, x: Tensor, y: Tensor, modulation: list[tuple[Tensor, Tensor]], state: State
    ) -> tuple[Tensor, State]:
        """Return D of the next frames x = x_t and y (B, 2, F, N), and the state behind them.

        modulation: of t, from `modulation`
        """
        level, stem, *pasts, hidden = state
        unit, level = self._level(y, level)
        y_unit = y / unit
        x_unit = y_unit if x is y else x / unit  # live sound begins at y: t = 1
        power = y_unit.square().sum(1, keepdim=True)
        features = torch.cat((x_unit, y_unit, 0.25 * (power + FLOOR).log()), dim=1)
        h, stem = self.stem(features.transpose(2, 3), stem)
        memories: list[Tensor] = []
        skips: list[Tensor] = []
        levels = len(self.encoder)
        for number, block in enumerate(self.encoder):
            h = self.down[number - 1](h) if number else h
            h, memory = block(h, modulation[number], pasts[number])
            memories.append(memory)
            skips.append(h)
        h, hidden = self._bottom(h, hidden)
        decoded: dict[int, Tensor] = {}
        for number in reversed(range(levels)):
            h, decoded[number] = self.decoder[number](
                h + skips[number], modulation[levels + number], pasts[levels + number]
            )
            h = self.up[number - 1](h) if number else h
        memories += [decoded[number] for number in range(levels)]
        out = self.head(functional.silu(self.last(h))).transpose(2, 3).float()
        if x is y:
            clean = torch.addcmul(y + rotate(out[:, :2] + out[:, 2:4], y), unit, out[:, 4:])
        else:
            clean = y + rotate(out[:, :2], y) + rotate(out[:, 2:4], x) + unit * out[:, 4:]
        return clean, [level, stem, *memories, hidden]

    def _bottom(self, h: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames (B, C, N, F) after the recurrent units, and their state."""
        batch, channels, frames, bands = h.shape
        z = self.enter(h.permute(0, 2, 1, 3).reshape(batch, frames, channels * bands))
        with torch.autocast(h.device.type, enabled=False):
            made, hidden = self.recurrent(z.float(), hidden)
        z = self.leave(z + made)
        return z.view(batch, frames, channels, bands).transpose(1, 2), hidden

    def _level(self, y: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return the level of each frame (B, 1, 1, N) by the frames up to it, weighted by their
        age, and its state: the sums (B, 2) of weighted powers and of weights.
        """
        frames = y.shape[3]
        power = y.float().square().sum(1).mean(1)
        both = torch.stack((power, torch.ones_like(power)), dim=2)  # (B, N, 2)
        age = torch.arange(frames, device=y.device)
        age = age[:, None] - age
        weight = torch.where(age >= 0, self.decay ** age.clamp(min=0).float(), 0.0)
        before = self.decay ** torch.arange(1, frames + 1, device=y.device).float()
        sums = weight @ both + before[:, None] * level[:, None]
        unit = (sums[..., 0] / sums[..., 1] + _QUIET).sqrt()
        return unit[:, None, None], sums[:, -1]
