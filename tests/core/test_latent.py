"""Diffusion in latents: a codec that changes nothing but the basis must change nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diff_core import Ancestral, Cosine, Ddim, DpmSolverPP2M, Keyed, Sampler, uniform
from diff_core.exact import ExactDenoiser, Gaussian
from diff_core.latent import Codec, from_latent, latent_scale, sample_latent, to_latent
from diff_core.sample import sample


class Rotation:
    """Signals (B, 4) to latents (B, 1, 4): scale^-1 Q x, with Q orthogonal."""

    def __init__(self, scale: float) -> None:
        generator = torch.Generator().manual_seed(3)
        square = torch.randn(4, 4, generator=generator, dtype=torch.float64)
        self.basis = torch.linalg.qr(square).Q
        self.scale = scale
        self.with_gradients = True

    def encode(self, x: Tensor) -> Tensor:
        return (x @ self.basis.mT / self.scale)[:, None]

    def decode(self, z: Tensor) -> Tensor:
        self.with_gradients = torch.is_grad_enabled()
        return self.scale * z[:, 0] @ self.basis


class Rotated:
    """Noise in the latents' basis: the latents' noise is the signals' noise, rotated."""

    def __init__(self, codec: Rotation, noise: Keyed) -> None:
        self.codec, self.noise = codec, noise

    def __call__(self, k: int, like: Tensor) -> Tensor:
        return to_latent(self.codec, self.noise(k, like[:, 0]))


def gaussian() -> Gaussian:
    root = torch.randn(4, 4, dtype=torch.float64)
    return Gaussian.from_covariance(torch.randn(4, dtype=torch.float64), root @ root.mT)


@pytest.mark.parametrize("sampler", [Ddim(), DpmSolverPP2M(), Ancestral()], ids=repr)
def test_sampling_in_a_rotated_space_is_sampling(sampler: Sampler) -> None:
    codec, signals, schedule, noise = Rotation(0.2), gaussian(), Cosine(), Keyed([1, 2, 3])
    turned = codec.basis @ _covariance(signals) @ codec.basis.mT
    latents = Gaussian.from_covariance(to_latent(codec, signals.mean[None])[0, 0], turned)
    latents = Gaussian(latents.mean[None], latents.variances[None], latents.basis)
    start, times = noise(-1, torch.empty(3, 4, dtype=torch.float64)), uniform(12)
    seen: list[tuple[int, ...]] = []
    got = sample_latent(
        ExactDenoiser(latents, schedule),
        codec,
        sampler,
        to_latent(codec, start),
        times,
        noise=Rotated(codec, noise),
        on_step=lambda k, z, z_0: seen.append(tuple(z.shape)),
    )
    expected = sample(ExactDenoiser(signals, schedule), sampler, start, times, noise=noise)
    torch.testing.assert_close(got, expected)
    assert seen == [(3, 1, 4)] * 12 and not codec.with_gradients


def _covariance(of: Gaussian) -> Tensor:
    assert of.basis is not None
    return of.basis * of.variances @ of.basis.mT


def test_latents_come_back_and_have_unit_deviation() -> None:
    x = 3 + 5 * torch.randn(64, 4, dtype=torch.float64)
    codec = Rotation(0.2)
    assert isinstance(codec, Codec)
    torch.testing.assert_close(from_latent(codec, to_latent(codec, x)), x)
    codec.scale = 1.0
    scale = latent_scale(codec, x)
    assert scale == pytest.approx(1 / codec.encode(x).std(correction=0).item(), rel=1e-6)
    # entries of deviation 5 about means of size |Q 3|
    assert 1 / scale == pytest.approx(math.hypot(5, (codec.encode(x).mean(0)).std()), rel=0.1)


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_latents_that_do_not_vary_have_no_scale(value: float) -> None:
    with pytest.raises(ValueError, match="deviation"):
        latent_scale(Rotation(1.0), torch.full((2, 4), value, dtype=torch.float64))
