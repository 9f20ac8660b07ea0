"""Small networks of diffusers and MONAI with random weights."""

from __future__ import annotations

import diffusers
import torch
from torch import Tensor, nn

from diff_core import FromEps, FromV, FromX0, Keyed

SMALL = {
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": (8, 16),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
}
MONAI = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 1,
    "num_res_blocks": 1,
    "channels": (8, 16),
    "attention_levels": (False, True),
    "norm_num_groups": 4,
    "num_head_channels": 4,
}
CLASSES = {"epsilon": FromEps, "sample": FromX0, "v_prediction": FromV}
"""Their names of what a network predicts."""


def filled(network: nn.Module) -> nn.Module:
    """Random weights everywhere: MONAI's last layer starts at 0."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        with torch.no_grad():
            parameter.copy_(0.15 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def unet(**change: object) -> nn.Module:
    """A U-Net of diffusers with these settings in place of those of `SMALL`."""
    return filled(diffusers.UNet2DModel(**(SMALL | change)))


def autoencoder() -> nn.Module:
    """One of diffusers with a factor of 2, a scale and a shift."""
    return filled(
        diffusers.AutoencoderKL(
            in_channels=1,
            out_channels=1,
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=1,
            norm_num_groups=4,
            scaling_factor=0.5,
            shift_factor=0.25,
        )
    )


def noise(*shape: int) -> tuple[Keyed, Tensor]:
    """A source of noise and a start drawn from it."""
    source = Keyed(range(shape[0]))
    return source, source(-1, torch.empty(shape))
