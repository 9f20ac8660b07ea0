"""The vocoder's network: one vector a frame, from the bottom to the top.

All frequencies of a frame enter a perceptron together, and frames meet in depthwise convolutions
over time, as in "Vocos: Closing the gap between time-domain and Fourier-based neural vocoders"
(Siuzdak, 2024), on blocks of "A ConvNet for the 2020s" (Liu et al., 2022). Normalisation is within
the frame, so that a piece of a recording with `context` frames on each side equals the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from diff_audio.spectra.frame_block import KERNEL, FrameBlock
from diff_core.condition import Condition
from diff_core.nn import FourierFeatures

__all__ = ["FrameNet"]

_FLOOR = 1e-2  # of a magnitude in its logarithm
_TINY = 1e-9


class FrameNet(nn.Module):
    """A network for the whitened clean spectrum x_0, from x_t, what is known of the frames, and t.

    bins:      F of the spectra
    channels:  numbers a frame of the condition
    width:     numbers a frame within
    dilations: one block each, kernel 7 frames

    x_t is (B, 2F, N), real parts and then imaginary parts, and so is the result

        D = exp(g) |x_t|^(w / 2) (e^{i arg x_t} (1 + m) + r),    w = 1 - t,

    with gain g, complex mask m and complex residual r from the network, which start at zero. Of
    x_t it sees ln|x_t|, the phase, and how the phase turned since the frame before, which is the
    instantaneous frequency; all times w. At t = 1, where x_t is nothing but noise, |D| is thus a
    function of the condition alone.
    """

    def __init__(
        self,
        bins: int = 513,
        channels: int = 593,
        width: int = 256,
        dilations: Sequence[int] = (1, 1, 2, 1, 4, 1, 2, 1),
    ) -> None:
        super().__init__()
        self.config: dict[str, object] = {
            "bins": bins,
            "channels": channels,
            "width": width,
            "dilations": list(dilations),
        }
        self.bins, self.channels = bins, channels
        self.dilations = tuple(dilations)
        self.time = nn.Sequential(
            FourierFeatures(64), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, width)
        )
        self.enter = nn.Linear(channels + 5 * bins, width)
        self.first = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(FrameBlock(width, dilation) for dilation in dilations)
        self.last = nn.LayerNorm(width)
        self.leave = nn.Linear(width, 5 * bins)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    @property
    def context(self) -> int:
        """Return the frames on each side that a frame of the result depends on."""
        return 1 + KERNEL // 2 * sum(self.dilations)

    def forward(self, x: Tensor, time: Tensor, cond: Condition | None = None) -> Tensor:
        """Return D in float32, for x = x_t (B, 2F, N), cond.channels (B, channels, N), time (B,).

        Raises ValueError for other shapes.
        """
        if x.ndim != 3 or x.shape[1] != 2 * self.bins:
            raise ValueError(f"x must have shape (B, {2 * self.bins}, N), got {tuple(x.shape)}")
        known = None if cond is None else cond.channels
        if known is None or known.shape != (x.shape[0], self.channels, x.shape[2]):
            raise ValueError(
                f"cond.channels must have shape {(x.shape[0], self.channels, x.shape[2])}, "
                f"got {None if known is None else tuple(known.shape)}"
            )
        weight = 1 - time[:, None, None]
        real, imaginary = x.transpose(1, 2).chunk(2, dim=2)  # (B, N, F)
        magnitude = (real.square() + imaginary.square()).sqrt() + _TINY
        loudness = weight * (magnitude + _FLOOR).log()
        real, imaginary = real / magnitude, imaginary / magnitude
        turned = (weight * part for part in (real, imaginary, *_turn(real, imaginary)))
        features = torch.cat((known.transpose(1, 2), loudness, *turned), dim=2)
        h = self.first(self.enter(features) + self.time(time)[:, None])
        for block in self.blocks:
            h = block(h)
        out = self.leave(self.last(h)).float()
        gain, mask_real, mask_imaginary, rest_real, rest_imaginary = out.chunk(5, dim=2)
        scale = (gain + loudness / 2).clamp(-8.0, 4.0).exp()
        d_real = real * (1 + mask_real) - imaginary * mask_imaginary + rest_real
        d_imaginary = imaginary * (1 + mask_real) + real * mask_imaginary + rest_imaginary
        return torch.cat((scale * d_real, scale * d_imaginary), dim=2).transpose(1, 2)


def _turn(real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """Return e^{i (arg x_n - arg x_{n - 1})} of phases (B, N, F), 0 in the first frame."""
    a, b, c, d = real[:, 1:], imaginary[:, 1:], real[:, :-1], imaginary[:, :-1]
    padding = (0, 0, 1, 0)
    return (
        functional.pad(a * c + b * d, padding),
        functional.pad(b * c - a * d, padding),
    )
