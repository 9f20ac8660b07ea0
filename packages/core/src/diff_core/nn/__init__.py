"""Networks: any `network(x, time, cond)` will do for a denoiser; these are ours."""

from __future__ import annotations

from diff_core.nn.adapter import Adapter
from diff_core.nn.attention import CrossAttention, SelfAttention
from diff_core.nn.blocks import ResidualBlock
from diff_core.nn.control import Control
from diff_core.nn.dit import DiT
from diff_core.nn.embed import Embedding, FourierFeatures
from diff_core.nn.layers import conv, conv_transpose, make_activation
from diff_core.nn.lora import Lora
from diff_core.nn.norm import FrameNorm, GroupNorm, make_norm
from diff_core.nn.rotary import Rotary
from diff_core.nn.unet import UNet

__all__ = [
    "Adapter",
    "Control",
    "CrossAttention",
    "DiT",
    "Embedding",
    "FourierFeatures",
    "FrameNorm",
    "GroupNorm",
    "Lora",
    "ResidualBlock",
    "Rotary",
    "SelfAttention",
    "UNet",
    "conv",
    "conv_transpose",
    "make_activation",
    "make_norm",
]
