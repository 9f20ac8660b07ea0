"""Networks: any `network(x, time, cond)` will do for a denoiser; these are ours."""

from __future__ import annotations

from diff_core.nn.blocks import ResidualBlock, SelfAttention
from diff_core.nn.embed import Embedding, FourierFeatures
from diff_core.nn.layers import FrameNorm, conv, conv_transpose, make_activation, make_norm
from diff_core.nn.unet import UNet

__all__ = [
    "Embedding",
    "FourierFeatures",
    "FrameNorm",
    "ResidualBlock",
    "SelfAttention",
    "UNet",
    "conv",
    "conv_transpose",
    "make_activation",
    "make_norm",
]
