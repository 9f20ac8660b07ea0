"""Autoencoders of MONAI and diffusers as codecs."""

from __future__ import annotations

import diffusers
import pytest
import torch
from monai.networks.nets import AutoencoderKL

from diff_core import (
    Ddim,
    uniform,
)
from diff_core.interop import diffusers as from_diffusers
from diff_core.interop import monai as from_monai
from diff_core.latent import Codec, from_latent, sample_latent, to_latent
from diff_core.sample import sample
from foreign_networks import autoencoder, filled, noise, unet


def codecs() -> dict[str, Codec]:
    return {
        "monai": from_monai.MonaiCodec(
            filled(
                AutoencoderKL(
                    spatial_dims=2,
                    num_res_blocks=1,
                    channels=(8, 8),
                    attention_levels=(False, False),
                    latent_channels=1,
                    norm_num_groups=4,
                    with_encoder_nonlocal_attn=False,
                    with_decoder_nonlocal_attn=False,
                )
            ),
            scale=0.5,
        ),
        "diffusers": from_diffusers.DiffusersCodec(autoencoder()),
    }


def test_latents_are_those_of_each_library() -> None:
    x, z = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 8, 8)
    by_name = codecs()
    theirs = by_name["monai"].autoencoder
    torch.testing.assert_close(to_latent(by_name["monai"], x), theirs.encode(x)[0] * 0.5)
    torch.testing.assert_close(from_latent(by_name["monai"], z), theirs.decode(z / 0.5))
    # as their pipelines do it: (latent - shift) * scaling, and latent / scaling + shift
    theirs = by_name["diffusers"].autoencoder
    mode = theirs.encode(x).latent_dist.mode()
    torch.testing.assert_close(to_latent(by_name["diffusers"], x), (mode - 0.25) * 0.5)
    decoded = theirs.decode(z / 0.5 + 0.25).sample
    torch.testing.assert_close(from_latent(by_name["diffusers"], z), decoded)


@pytest.mark.parametrize("name", ["monai", "diffusers"])
def test_latent_sampling_with_either_autoencoder(name: str) -> None:
    codec, network = codecs()[name], unet()
    denoiser = from_diffusers.denoiser(network, diffusers.DDIMScheduler(clip_sample=False))
    start = noise(2, 1, 8, 8)[1]
    times = uniform(4, start=0.9)
    got = sample_latent(denoiser, codec, Ddim(), start, times)
    with torch.no_grad():
        expected = codec.decode(sample(denoiser, Ddim(), start, times) / 0.5)
    assert got.shape == (2, 1, 16, 16) and not got.requires_grad
    assert torch.equal(got, expected)
