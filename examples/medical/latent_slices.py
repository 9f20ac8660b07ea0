"""Diffusion in the latent space of MONAI's `AutoencoderKL`, on slices of your own scans.

python examples/medical/latent_slices.py scans/ --out out/latent

The shipped generator needs no autoencoder: its wavelet packing loses nothing. With thousands of
scans and a GPU a learned latent space is smaller, and this is how one is put together: Rombach
et al., High-Resolution Image Synthesis with Latent Diffusion Models (2022). Writes autoencoder and
denoiser as one checkpoint each, and latent_slices.png: slices, what the autoencoder makes of them,
and samples.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diff_core import Edm, Keyed, Preconditioned, io, karras
from diff_core.interop.monai import MonaiCodec, types
from diff_core.latent import latent_scale, sample_latent, to_latent
from diff_core.nn import UNet
from diff_core.sample import TrigAdams
from diff_core.train import Denoising, TrainConfig, edm_weight, log_normal, train
from diff_medical.data.studies import find_scans
from diff_medical.generator.data.corpus import Corpus, build_corpus
from diff_medical.generator.data.cutting import Cutting

LATENTS = 4  # channels
KL = 1e-6  # weight of the Kullback-Leibler divergence: it only keeps latents from growing


@dataclass(frozen=True)
class Slices:
    """Item i is slice i of the training part, over and over, in tones from 0 to about 1."""

    corpus: Corpus

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        numbers = self.corpus.of("train")
        image = self.corpus.window(int(numbers[index * 7919 % len(numbers)]))
        return {"x_0": torch.from_numpy(image[:1])}


@dataclass(frozen=True)
class Latents:
    """The same slices, encoded."""

    slices: Slices
    codec: MonaiCodec

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        with torch.no_grad():
            return {"x_0": to_latent(self.codec, self.slices[index]["x_0"][None])[0]}


def autoencoder() -> Any:
    """Two halvings: (1, H, W) to (LATENTS, H / 4, W / 4). It remembers its keywords, for `io`."""
    settings: dict[str, Any] = {
        "spatial_dims": 2, "in_channels": 1, "out_channels": 1, "latent_channels": LATENTS,
        "channels": (32, 64, 64), "num_res_blocks": 1, "norm_num_groups": 16,
        "attention_levels": (False, False, False),
        "with_encoder_nonlocal_attn": False, "with_decoder_nonlocal_attn": False,
    }  # fmt: skip
    made = types()["AutoencoderKL"](**settings)
    vars(made)["config"] = settings
    return made


def reconstruction(model: Any, batch: dict[str, Tensor], generator: torch.Generator) -> Tensor:
    """(B,): mean absolute error and KL |N(mu, s^2) - N(0, 1)| of each slice."""
    x = batch["x_0"]
    mu, s = model.encode(x)
    noise = torch.randn(mu.shape, generator=generator).to(mu)
    error = (model.decode(mu + s * noise) - x).abs().flatten(1).mean(1)
    divergence = (mu.square() + s.square() - 2 * s.log() - 1).flatten(1).sum(1) / 2
    return error + KL * divergence


def main(arguments: Sequence[str] | None = None) -> None:
    """Autoencoder, denoiser, samples, picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scans", type=Path, help="folder of NIfTI or DICOM of several people")
    parser.add_argument("--size", type=int, default=64, help="pixels along an edge")
    parser.add_argument("--steps", type=int, default=4000, help="optimiser steps, of each model")
    parser.add_argument("--batch", type=int, default=16, help="slices a step")
    parser.add_argument(
        "--out", type=Path, default=Path("out/latent"), help="folder to write into"
    )
    given = parser.parse_args(arguments)

    corpus = build_corpus(find_scans(given.scans, None), given.out / "corpus", Cutting(given.size))
    slices = Slices(corpus)
    config = TrainConfig(steps=given.steps, batch_size=given.batch, learning_rate=5e-4, ema=0.99)

    # 1. The autoencoder. `train` takes any module and any loss of a batch.
    network = train(
        autoencoder(), reconstruction, slices, config, directory=given.out / "autoencoder"
    )
    some = torch.stack([slices[i]["x_0"] for i in range(64)])
    codec = MonaiCodec(network.eval(), latent_scale(MonaiCodec(network), some))
    io.save(given.out / "autoencoder.safetensors", codec, io.Card(name="autoencoder"))

    # 2. The diffusion, of latents of unit variance.
    unet = UNet(2, LATENTS, LATENTS, (64, 128), blocks=2, attention=(1,), embedding=128)
    denoiser = train(
        Preconditioned(unet, Edm(sigma_max=40.0), sigma_data=1.0),
        Denoising(edm_weight(1.0), times=log_normal(-0.4, 1.2)),
        Latents(slices, codec),
        config,
        directory=given.out / "denoiser",
    ).eval()
    io.save(given.out / "denoiser.safetensors", denoiser, io.Card(name="latent_slices"))

    # 3. Samples: from noise at times[0] down to a latent, and through the decoder.
    count = 8
    with torch.no_grad():
        again = codec.decode(codec.encode(some[:count]))
    times = karras(denoiser.schedule, 18, sigma_min=0.02, sigma_max=40.0)
    start = 40 * Keyed(range(count))(-1, to_latent(codec, some[:count]))
    made = sample_latent(denoiser, codec, TrigAdams(order=2, sigma_data=1.0), start, times)

    error = (again - some[:count]).square().mean().sqrt()
    print(f"latents of {tuple(start.shape[1:])} for slices of {tuple(some.shape[1:])}")
    print(f"  error of the autoencoder  {error:.4f} root mean square, tones of 0 to 1")
    print(f"  deviation of the samples  {made.std():.4f}, of slices {some.std():.4f}")
    draw([some[:count], again, made], given.out / "latent_slices.png")


def draw(rows: list[Tensor], path: Path) -> None:
    """Slices, reconstructions, samples; left is left of the picture's first axis."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, len(rows[0]), figsize=(12, 4.8), layout="constrained")
    names = ("slices", "through the autoencoder", "synthetic")
    for line, images, name in zip(axes, rows, names, strict=True):
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image[0].T, cmap="gray", vmin=0, vmax=1, origin="lower")
            axis.set_axis_off()
        line[0].set_title(name, loc="left", fontsize=10)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
