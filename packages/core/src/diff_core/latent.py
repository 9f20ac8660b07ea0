r"""Diffusion in the latent space of an autoencoder.

High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022). A *codec* maps
signals to latents and back; the diffusion runs on z = scale encode(x), whose deviation is about 1.
To such a denoiser nothing is special: `sample_latent` is `sample`, then `from_latent`.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.noise import Noise
from diff_core.sample import OnStep, Sampler, sample

__all__ = ["Codec", "from_latent", "latent_scale", "sample_latent", "to_latent"]


@runtime_checkable
class Codec(Protocol):
    """An autoencoder, deterministic both ways. See `interop` for those of other libraries."""

    @property
    def scale(self) -> float:
        """The factor that gives latents a deviation of about 1; see `latent_scale`."""
        ...

    def encode(self, x: Tensor) -> Tensor:
        """Latents (B, L, *T) of signals (B, C, *S), before `scale`."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Signals (B, C, *S) of latents (B, L, *T), before `scale`."""
        ...


def to_latent(codec: Codec, x: Tensor) -> Tensor:
    """Return the latent that the diffusion runs on: scale encode(x). It makes training data."""
    return codec.scale * codec.encode(x)


def from_latent(codec: Codec, z: Tensor) -> Tensor:
    """The signal that a latent of the diffusion stands for: decode(z / scale)."""
    return codec.decode(z / codec.scale)


def latent_scale(codec: Codec, x: Tensor) -> float:
    """1 / deviation of encode(x) over all its entries: appendix G of Rombach et al.

    x (B, C, *S) is a batch of training data; the codec's own `scale` is not used.
    Raises ValueError if the latents do not vary, or are not finite.
    """
    with torch.no_grad():
        deviation = codec.encode(x).float().std(correction=0).item()
    if not 0 < deviation < math.inf:
        raise ValueError(
            f"x (shape {tuple(x.shape)}) has latents of deviation {deviation}; expected a finite "
            "one above 0"
        )
    return 1 / deviation


def sample_latent(
    denoiser: Denoiser,
    codec: Codec,
    sampler: Sampler,
    z: Tensor,
    times: Tensor,
    *,
    noise: Noise | None = None,
    cond: Condition | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Walk the latent z (B, L, *T) from times[0] to times[-1]; return its signal (B, C, *S).

    Arguments and errors are those of `sample`; `on_step` sees latents, cond is that of the latent
    denoiser. Gradients are off.
    """
    z = sample(denoiser, sampler, z, times, noise=noise, cond=cond, on_step=on_step)
    with torch.no_grad():
        return from_latent(codec, z)
