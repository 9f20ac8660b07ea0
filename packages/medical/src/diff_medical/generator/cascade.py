r"""The generator's model: a coarse scan, then the detail that belongs to it.

In the subbands of a wavelet transform the density of scans is a product,

    p(scan) = p(coarse) p(detail | coarse) .

The coarse subband is small, and holds the anatomy: a network sees many of them in little time.
Detail given the coarse subband is nearly local, and well conditioned. Guth, Coste, De Bortoli and
Mallat, Wavelet Score-Based Generative Modeling (2022), equation 12; Kadkhodaie, Guth, Mallat and
Simoncelli, Learning multi-scale local conditional probability models of images (2023). Ho et al.,
Cascaded Diffusion Models for High Fidelity Image Generation (2022), section 4.2, add noise to what
the second stage is given, so that it forgives the errors of the first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diff_core.condition import Condition
from diff_core.denoiser import Denoiser, Preconditioned
from diff_core.train import Denoising
from diff_medical.generator.network import ScanNetwork, scan_denoiser
from diff_medical.generator.packing import Packing, haar
from diff_medical.generator.vocabulary import Vocabulary

__all__ = ["NETWORK_TYPES", "Cascade", "CascadeDenoising", "Stage"]

BLUR = 0.05  # deviation of the noise in the coarse subband that detail is made for


class Cascade(nn.Module):
    """Two stages of diffusion over a scan (B, 1, *S), and the transforms between them.

    outer:      of the scan; its first channel is the coarse subband, the others are the detail
    inner:      of the coarse subband, which is diffused packed
    vocabulary: of `Condition.vector`
    coarse:     denoises (B, inner.channels, *S / 2^(outer.levels + inner.levels))
    detail:     denoises (B, outer.channels - 1, *S / 2^outer.levels), given the coarse subband as
                the first of `Condition.channels`
    extra:      channels of an aligned scan or label map, which both are given, packed

    Raises ValueError if the denoisers are not of these numbers of channels.
    """

    def __init__(
        self,
        outer: Packing,
        inner: Packing,
        vocabulary: Vocabulary,
        coarse: Preconditioned,
        detail: Preconditioned,
        extra: int = 0,
    ) -> None:
        super().__init__()
        expected = (inner.channels, outer.channels - 1)
        counts = tuple(int(d.network.count) for d in (coarse, detail))  # type: ignore[arg-type]
        if counts != expected:
            raise ValueError(f"coarse and detail have {counts} channels; expected {expected}")
        self.config: dict[str, object] = {
            "outer": outer,
            "inner": inner,
            "vocabulary": vocabulary,
            "coarse": coarse,
            "detail": detail,
            "extra": extra,
        }
        self.outer, self.inner = outer, inner
        self.vocabulary = vocabulary
        self.coarse, self.detail = coarse, detail
        self.extra = extra

    @property
    def spatial(self) -> int:
        """2 for slices, 3 for volumes."""
        return self.outer.spatial

    def forward(self, stage: str, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        """E[x_0 | x_t] of a stage."""
        return self.stage(stage)(x_t, t, cond)

    def stage(self, name: str) -> Preconditioned:
        """The denoiser "coarse" or "detail"."""
        return self.coarse if name == "coarse" else self.detail

    def coarse_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the training batch of the coarse stage: `x_0`, `vector`, `channels`.

        batch: `x_0` (B, outer.channels, *S), packed scans; `vector`; and `channels` from
               `pack_extra` if there are extra ones
        """
        made = {"x_0": self.inner.pack(batch["x_0"][:, :1]), "vector": batch["vector"]}
        extra = self.coarse_extra(batch.get("channels"))
        return made if extra is None else made | {"channels": extra}

    def detail_batch(
        self, batch: dict[str, Tensor], noise: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The same for the stage of detail; noise (B, 1, *S): standard normal, None for none."""
        coarse = batch["x_0"][:, :1]
        given = self.given(coarse, noise, batch.get("channels"))
        return {"x_0": batch["x_0"][:, 1:], "vector": batch["vector"], "channels": given}

    def given(self, coarse: Tensor, noise: Tensor | None, extra: Tensor | None) -> Tensor:
        """`Condition.channels` of the stage of detail."""
        said = coarse if noise is None else coarse + BLUR * noise
        return said if extra is None else torch.cat([said, extra], 1)

    def pack_extra(self, images: Tensor) -> Tensor:
        """Aligned scans or label maps (B, extra, *S) beside the packed scan, of like scale."""
        return _of_one_scale(images, self.spatial, self.outer.levels)

    def coarse_extra(self, extra: Tensor | None) -> Tensor | None:
        """`Condition.channels` of the coarse stage, of what `pack_extra` returns."""
        return None if extra is None else _of_one_scale(extra, self.spatial, self.inner.levels)

    def features(self, images: Tensor, sigma: float) -> Tensor:
        """(B, D) of scans (B, 1, *S): the bottlenecks of both networks, at a noise level."""
        packed = self.outer.pack(images)
        none = torch.from_numpy(self.vocabulary.vector(None)).to(images)
        batch = {"x_0": packed, "vector": none.expand(len(packed), -1)}
        if self.extra:
            blank = images.new_zeros(len(images), self.extra, *images.shape[2:])
            batch["channels"] = self.pack_extra(blank)
        found: list[Tensor] = []
        for stage, part in (
            (self.coarse, self.coarse_batch(batch)),
            (self.detail, self.detail_batch(batch)),
        ):
            time = images.new_full((len(images),), math.log(sigma) / 4)
            network = network_of(stage)
            scaled = part["x_0"] / (1 + sigma**2) ** 0.5
            found.append(network.bottleneck(scaled, time, Condition.of(part)))
        return torch.cat(found, 1)


def _of_one_scale(images: Tensor, spatial: int, levels: int) -> Tensor:
    """`haar`, with the means of blocks in the units of the images."""
    return haar(images, spatial, levels) / 2 ** (spatial * levels / 2)


@dataclass(frozen=True)
class Stage:
    """One stage of a cascade: the keywords of `ScanNetwork`, and where its noise begins."""

    channels: tuple[int, ...] = (128, 192)
    blocks: int | tuple[int, ...] = 2
    attention: tuple[int, ...] = ()
    embedding: int = 192
    places: int = 2
    rank: int = 0
    sigma_max: float = 80.0
    gains: bool = False

    def denoiser(
        self, spatial: int, count: int, vocabulary: Vocabulary, given: int, side: int
    ) -> Preconditioned:
        """The stage's denoiser, untrained."""
        network = ScanNetwork(
            spatial, count, vocabulary, given,
            self.channels, self.blocks, self.attention, self.embedding,
            self.places, self.rank, side, self.gains,
        )  # fmt: skip
        return scan_denoiser(network, self.sigma_max)


@dataclass(frozen=True)
class CascadeDenoising:
    """The sum of both stages' losses; a step of detail costs more, and takes part of the batch.

    share: of a batch's items that the stage of detail is trained on, above 0 to 1; its loss is
           weighted so that the mean over the batch is that of both
    """

    coarse: Denoising
    detail: Denoising
    share: float

    def __call__(
        self, model: Cascade, batch: dict[str, Tensor], generator: torch.Generator
    ) -> Tensor:
        losses = self.coarse(_Called(model, "coarse"), model.coarse_batch(batch), generator)
        count = math.ceil(self.share * len(losses))
        part = {name: value[:count] for name, value in batch.items()}
        like = part["x_0"][:, :1]
        noise = torch.randn(like.shape, generator=generator).to(like)
        fine = self.detail(_Called(model, "detail"), model.detail_batch(part, noise), generator)
        return torch.cat([losses[:count] + fine * (len(losses) / count), losses[count:]])


class _Called(Denoiser):
    """A stage, through the forward of its cascade: that is what runs in reduced precision."""

    def __init__(self, model: Cascade, stage: str) -> None:
        super().__init__(model.stage(stage).schedule)
        self._call = model.__call__
        self._stage = stage

    def forward(self, x_t: Tensor, t: Tensor, cond: Condition | None = None) -> Tensor:
        return self._call(self._stage, x_t, t, cond)


def network_of(denoiser: Preconditioned) -> ScanNetwork:
    """The network of a stage."""
    assert isinstance(denoiser.network, ScanNetwork)
    return denoiser.network


NETWORK_TYPES: dict[str, type] = {
    "Cascade": Cascade,
    "Packing": Packing,
    "ScanNetwork": ScanNetwork,
    "Vocabulary": Vocabulary,
}
"""What `diff_core.load(..., types=NETWORK_TYPES)` needs to know to load a generator."""
