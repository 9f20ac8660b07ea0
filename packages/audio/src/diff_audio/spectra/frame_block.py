"""A block over frames, of the denoiser's bottom, the vocoder and the voice.

Liu et al., "A ConvNet for the 2020s" (2022), in one dimension: a dilated depthwise convolution
over time, then a perceptron in each frame. Normalisation is within the frame, so that a piece of a
recording with enough neighbours on both sides equals the whole.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["KERNEL", "FrameBlock", "depthwise"]

KERNEL = 7
"""Frames that a block sees, `dilation` apart."""


def depthwise(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """Return the convolution over N of x (B, N, D) with weight (KERNEL, D), zeros beyond both
    ends.

    As a sum of shifted products: depthwise Conv1d is several times slower on a CPU.
    """
    frames, reach = x.shape[1], KERNEL // 2 * dilation
    padded = functional.pad(x, (0, 0, reach, reach))
    weight = weight.to(x.dtype)
    h = padded[:, :frames] * weight[0]
    for k in range(1, KERNEL):
        start = k * dilation
        h = torch.addcmul(h, padded[:, start : start + frames], weight[k])
    return h


class FrameBlock(nn.Module):
    """A block x + perceptron(norm(depthwise(x))) over (B, N, D)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.empty(KERNEL, width))
        nn.init.normal_(self.weight, std=KERNEL**-0.5)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 3 * width)
        self.contract = nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(depthwise(x, self.weight, self.dilation))
        return x + self.contract(functional.silu(self.expand(h)))
