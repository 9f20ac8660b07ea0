"""The generator: synthetic scans of what is asked for, with geometry and units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from diff_core import files, grid, io
from diff_core.condition import Condition
from diff_core.denoiser import Denoiser
from diff_core.device import pick_device
from diff_core.guidance.cfg import Cfg
from diff_core.guidance.interval import Interval
from diff_core.hub import Pretrained, locate
from diff_core.io import Card
from diff_core.noise import Keyed
from diff_core.sample import Sampler, TrigAdams, sample
from diff_medical.generator.cascade import NETWORK_TYPES, Cascade
from diff_medical.generator.data.pairs import Pairing
from diff_medical.generator.kinds import Kinds
from diff_medical.generator.request import NORMAL, Request
from diff_medical.generator.tone import decode, encode
from diff_medical.generator.vocabulary import along
from diff_medical.weights import path_of

__all__ = ["Generator", "Made", "Sampling"]

SAMPLER: Sampler = TrigAdams(order=2, sigma_data=1.0)
SIGMA_MIN, RHO = 0.02, 5.0  # of the grid of noise levels
GUIDED = (0.2, 8.0)  # noise levels at which guidance acts: above, it fixes what the scan will be
FEATURE_SIGMA = 0.1  # noise level at which features are read, of packed scans
COARSE, BLURRING, DETAIL = -1, -2, -3  # streams of a seed: both starts, and what is between them


@dataclass(frozen=True)
class Sampling:
    """The way scans are drawn.

    steps:       calls of the network in each of the two stages, from 1
    guidance:    weight of classifier-free guidance of the coarse stage: 1 none, above 1
                 exaggerates what the words mean
    temperature: factor on the starting noise of the coarse stage: below 1 more typical and more
                 alike
    seed:        of scan 0; scan i has seed + i
    batch:       scans at a time: no effect on the result but for rounding

    Raises ValueError for a number out of range.
    """

    steps: int = 18
    guidance: float = 1.5
    temperature: float = 0.9
    seed: int = 0
    batch: int = 8

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not 0 <= self.guidance <= 10:
            raise ValueError(f"guidance is {self.guidance}; expected 0 to 10")
        if not 0 < self.temperature <= 2:
            raise ValueError(f"temperature is {self.temperature}; expected above 0, at most 2")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}; expected 0 to 2^63 - 1")


@dataclass(frozen=True)
class Made:
    """One synthetic scan.

    values:  (H, W) slice or (X, Y, Z) volume, float32, axes in RAS order (axial: x, y; coronal:
             x, z; sagittal: y, z); HU of CT, 0 to 1000 of MR
    affine:  (4, 4) of `volume`, mm, RAS+
    request: with body, plane and position filled in; the position stays None where the training
             data had none
    seed:    of this very scan
    """

    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    request: Request
    seed: int

    @property
    def volume(self) -> NDArray[np.float32]:
        """The values as (X, Y, Z): a slice is one voxel thick."""
        if self.values.ndim == 3:
            return self.values
        return np.expand_dims(self.values, NORMAL[self.request.plane])


class Generator(Pretrained):
    """Draws synthetic scans from a trained model.

    card:        what is known of the model
    fingerprint: first 16 hexadecimal digits of the SHA-256 of the weights' file; "" without one
    counts:      of training slices or volumes, for each of `choices()`
    """

    library, task = "diff_medical", "unconditional-image-generation"

    def __init__(
        self, model: nn.Module, card: Card, *, fingerprint: str = "", device: str = "auto"
    ) -> None:
        """Raises ValueError if the model or the card is not a generator's."""
        if not isinstance(model, Cascade):
            kind = type(getattr(model, "network", model)).__name__
            raise ValueError(f"the weights are of a {kind}; expected a generator's")
        self.device = pick_device(device)
        self.model: Cascade = model.to(self.device).eval()
        self.card = card
        self.fingerprint = fingerprint
        self.kinds = Kinds.of(card)
        self.size = int(cast(int, card.signal["size"]))
        self.thickness = float(cast(float, card.signal["thickness"]))
        self.pairing = Pairing(**cast("dict[str, Any]", card.signal["channels"]))
        self.counts = {self.kinds.request(choice): choice.scans for choice in self.kinds.choices}

    @classmethod
    def from_pretrained(
        cls, path: Path | None = None, *, volume: bool = False, device: str = "auto"
    ) -> Generator:
        """The shipped generator of slices, or of volumes; or that of a file.

        Raises `diff_core.io.CheckpointError` if the file cannot be used.
        """
        pick_device(device)
        path = locate(path) if path else path_of("generate_volume" if volume else "generate")
        model, card = io.load(path, types=NETWORK_TYPES)
        fingerprint = files.fingerprint(path)
        with io.as_checkpoint_error(path):
            made = cls(model, card, fingerprint=fingerprint, device=device)
        return made.of_checkpoint(path)

    @property
    def spatial(self) -> int:
        """The number of axes: 2 for slices, 3 for volumes."""
        return self.model.spatial

    def choices(self) -> tuple[Request, ...]:
        """Return every kind of scan that it was trained on, the commonest first."""
        return tuple(self.counts)

    def __call__(
        self,
        requests: Sequence[Request],
        sampling: Sampling = Sampling(),  # noqa: B008
        *,
        channels: Sequence[NDArray[np.floating]] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> list[Made]:
        """One scan for each request; scan i depends on its request and seed + i only.

        channels: for a model that was trained with them, the label map or scan of each request,
                  of the shape of what is made
        progress: called with the share that is done

        Raises ValueError for a request that the model does not know, with what it knows; and for
        channels of another shape, missing, or given to a model that takes none.
        """
        if not requests:
            raise ValueError("requests is empty; expected at least one")
        seeds = [sampling.seed + i for i in range(len(requests))]
        filled = [self._filled(r, seed) for r, seed in zip(requests, seeds, strict=True)]
        extra = self._extra(channels, len(requests))
        made: list[Made] = []
        for first in range(0, len(filled), sampling.batch):
            part = slice(first, first + sampling.batch)

            def share(done: float, first: int = first) -> None:
                if progress:
                    count = min(sampling.batch, len(filled) - first)
                    progress((first + done * count) / len(filled))

            given = None if extra is None else extra[part]
            images = self._drawn(filled[part], seeds[part], sampling, given, share)
            made += [
                Made(decode(image, request.modality), self._affine(request), request, seed)
                for image, request, seed in zip(images, filled[part], seeds[part], strict=True)
            ]
        return made

    def features(
        self, images: NDArray[np.floating], modality: Sequence[str], *, batch: int = 16
    ) -> NDArray[np.float32]:
        """Return (N, D) of images (N, H, W) or (N, X, Y, Z): what the networks' bottlenecks hold
        of them.

        Mean and standard deviation over positions, at noise level FEATURE_SIGMA without noise
        and without words. Images are in HU for the modality "ct", else in any unit, and are
        resampled to the model's size. Raises ValueError for another number of axes or modalities.
        """
        if images.ndim != self.spatial + 1 or len(images) != len(modality):
            raise ValueError(
                f"images has shape {images.shape} beside {len(modality)} modalities; expected "
                f"{self.spatial + 1} axes and one modality for each"
            )
        found: list[NDArray[np.float32]] = []
        for first in range(0, len(images), batch):
            part = images[first : first + batch]
            tones = [
                encode(image, word)
                for image, word in zip(part, modality[first : first + batch], strict=True)
            ]
            with torch.no_grad():
                features = self.model.features(self._resized(np.stack(tones)), FEATURE_SIGMA)
            found.append(features.cpu().float().numpy())
        return np.concatenate(found)

    def _filled(self, request: Request, seed: int) -> Request:
        choice = self.kinds.find(request)
        found = self.kinds.request(choice)
        position = request.position
        if not choice.positions:
            position = None
        elif position is None:
            share = np.random.default_rng([seed, 1]).random() * (len(choice.positions) - 1)
            places = np.arange(len(choice.positions))
            position = float(np.interp(share, places, choice.positions))
        return replace(found, position=position)

    def _extra(self, channels: Sequence[NDArray[np.floating]] | None, count: int) -> Tensor | None:
        wanted = count if self.pairing.channels else 0
        if len(channels or ()) != wanted:
            raise ValueError(
                f"channels: given {len(channels or ())}; expected {wanted}, since the model was "
                f"trained {'with one for each scan' if wanted else 'without'}"
            )
        if not channels:
            return None
        size = (self.size,) * self.spatial
        for image in channels:
            if image.shape != size:
                raise ValueError(f"channels has shape {image.shape}; expected {size}")
        return torch.from_numpy(np.stack([self.pairing.encode(image) for image in channels]))

    def _drawn(
        self,
        requests: Sequence[Request],
        seeds: Sequence[int],
        sampling: Sampling,
        extra: Tensor | None,
        progress: Callable[[float], None],
    ) -> NDArray[np.float32]:
        model, noise = self.model, Keyed(seeds)
        words = self._words([model.vocabulary.vector(request) for request in requests])
        packed = None if extra is None else model.pack_extra(extra.to(self.device))
        beside = model.coarse_extra(packed)

        denoiser: Denoiser = model.coarse
        if sampling.guidance != 1:
            none = self._words([model.vocabulary.vector(None)] * len(seeds))
            null = Condition(vector=none, channels=beside)
            guided = Cfg(denoiser, null=null, weight=sampling.guidance)
            denoiser = Interval(guided, denoiser, low=GUIDED[0], high=GUIDED[1])
        side = self.size // 2**model.outer.levels
        small = side // 2**model.inner.levels
        x = noise(COARSE, self._like(len(seeds), model.inner.channels, small))
        drawn = self._sampled(
            denoiser,
            x * sampling.temperature,
            Condition(vector=words, channels=beside),
            sampling.steps,
            lambda share: progress(share / 2),
        )
        coarse = model.inner.unpack(drawn)

        blurring = noise(BLURRING, coarse)
        detail = self._sampled(
            model.detail,
            noise(DETAIL, self._like(len(seeds), model.outer.channels - 1, side)),
            Condition(vector=words, channels=model.given(coarse, blurring, packed)),
            sampling.steps,
            lambda share: progress((1 + share) / 2),
        )
        images = model.outer.unpack(torch.cat([coarse, detail], 1))
        return images[:, 0].cpu().numpy()

    @staticmethod
    def _sampled(
        denoiser: Denoiser,
        start: Tensor,
        cond: Condition,
        steps: int,
        progress: Callable[[float], None],
    ) -> Tensor:
        """A sample, from standard normal noise."""
        schedule = denoiser.schedule
        top = float(schedule.sigma(torch.ones(())))
        times = grid.karras(schedule, steps, SIGMA_MIN, top, RHO)

        def on_step(k: int, _x: Tensor, _x_0: Tensor) -> None:
            progress((k + 1) / steps)

        return sample(denoiser, SAMPLER, start * top, times, cond=cond, on_step=on_step)

    def _like(self, count: int, channels: int, side: int) -> Tensor:
        return torch.empty(count, channels, *(side,) * self.spatial, device=self.device)

    def _words(self, vectors: Sequence[NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.stack(vectors)).to(self.device)

    def _resized(self, tones: NDArray[np.float32]) -> Tensor:
        images = torch.from_numpy(tones)[:, None].to(self.device)
        size = (self.size,) * self.spatial
        if images.shape[2:] == size:
            return images
        return F.interpolate(images, size, mode="area")

    def _affine(self, request: Request) -> NDArray[np.float64]:
        """Centred in the field of view; a slice lies at its position along the normal."""
        choice = self.kinds.find(request)
        pixel = choice.view / self.size
        spacing = np.full(3, pixel)
        origin = -spacing * (self.size - 1) / 2
        if self.spatial == 2:
            normal = NORMAL[request.plane]
            share = along(request.plane, 0.5 if request.position is None else request.position)
            spacing[normal] = self.thickness
            origin[normal] = (share - 0.5) * choice.view
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = origin
        return affine
