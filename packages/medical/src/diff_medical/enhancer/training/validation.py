"""Scores of an enhancer in training: fixed scans, fixed noise, the whole inference path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from diff_core.denoiser import Denoiser
from diff_core.evaluate import snr_loss
from diff_core.train import edm_weight
from diff_core.train.job import means
from diff_medical.data.patches import cut
from diff_medical.data.reading import Loaded, Reading, load_scan
from diff_medical.data.studies import Row
from diff_medical.metrics.scores import score
from diff_medical.scan.intensity import Modality, recognise, scale
from diff_medical.scan.spacing import Spacing
from diff_medical.slices.mean import posterior_mean
from diff_medical.slices.network import network_of, sigma_max_of

__all__ = ["Case", "HeldOut", "Validation", "held_out_scans"]

C = TypeVar("C")

LEVELS = (0.05, 0.10)
CROP = 160
EDGES = (0.7, 1.5, 2.5, 3.5, 4.5, 5.5)  # of log-SNR: sigma from 0.5 down to 0.004
SLABS, SIDE = 4, 64


@dataclass(frozen=True)
class Case:
    """A clean volume (X, Y, Z), divided by its maximum, and its spacing in mm."""

    name: str
    clean: NDArray[np.float32]
    spacing: Spacing

    def noisy(self, level: float) -> NDArray[np.float32]:
        """With Gaussian noise of `level` of the maximum, the same at each call."""
        noise = np.random.default_rng(0).standard_normal(self.clean.shape)
        return (self.clean + level * noise).astype(np.float32)


def held_out_scans(
    rows: Sequence[Row], modality: Modality, warn: Callable[[str], None], reading: Reading
) -> Iterator[tuple[str, Loaded]]:
    """Name and voxels of the scans of a modality in the split "val"; those that cannot be read go
    to `warn`.
    """
    for row in rows:
        if row.split != "val":
            continue
        try:
            scan = load_scan(row.path, row.volume, reading)
        except ValueError as error:
            warn(f"skipped {row.path}: {error}")
            continue
        if (row.modality or recognise(scan.values)) == modality:
            yield row.path.name.split(".")[0], scan


@dataclass(frozen=True)
class HeldOut(Generic[C]):
    """Scores of an enhancer on the held-out scans of one modality.

    Called as validation(denoiser, step).
    """

    cases: tuple[C, ...]
    modality: ClassVar[Modality]

    @classmethod
    def of(
        cls,
        rows: Sequence[Row],
        *,
        warn: Callable[[str], None] = print,
        reading: Reading = Reading(),  # noqa: B008
    ) -> Self:
        """Return the validation on the scans of the split "val" among `rows`; those that cannot be
        read go to `warn`.
        """
        scans = held_out_scans(rows, cls.modality, warn, reading)
        made = (cls.case(name, scan) for name, scan in scans)
        return cls(tuple(case for case in made if case is not None))

    @classmethod
    def case(cls, name: str, scan: Loaded) -> C | None:
        """Return the case of a scan, None for one that has nothing to score."""
        raise NotImplementedError

    def __call__(self, denoiser: Denoiser, step: int) -> dict[str, float]:
        return {name: round(value, 4) for name, value in means(self.each(denoiser)).items()}

    def each(self, denoiser: Denoiser) -> dict[str, list[float]]:
        """Return the scores of each scan."""
        raise NotImplementedError


@dataclass(frozen=True)
class Validation(HeldOut[Case]):
    """PSNR (dB) and SSIM (`diff_medical.metrics`), data range = maximum of the scan, all voxels.

    The scan is the central CROP x CROP x CROP voxels, the
    noise Gaussian, its level LEVELS of the maximum of the whole scan and known to the denoiser.

    exact: whether `posterior_mean` takes its own stride; if not, each slice of a direction is
           estimated once
    """

    exact: bool = False
    modality: ClassVar[Modality] = "mr"

    @classmethod
    def case(cls, name: str, scan: Loaded) -> Case | None:
        if not scan.values.max() > 0:
            return None
        starts = [max(0, (n - CROP) // 2) for n in scan.values.shape]
        window = tuple(slice(start, start + CROP) for start in starts)
        return Case(name, scan.values[window] / scan.values.max(), scan.spacing)

    def each(self, denoiser: Denoiser) -> dict[str, list[float]]:
        """Return the scores of each scan."""
        scores: dict[str, list[float]] = {}
        for level in LEVELS if self.cases else ():
            each = [self._score(denoiser, case, level) for case in self.cases]
            for metric, values in zip(("psnr", "ssim"), zip(*each, strict=True), strict=False):
                scores[f"{metric} {level:.0%}"] = list(values)
        return scores

    def level_losses(
        self, denoiser: Denoiser, slices: int, sigma_data: float = 0.5
    ) -> dict[str, float]:
        """The training loss in bins of log-SNR, on slabs of the scans; none if all are thinner."""
        slabs = [slab for case in self.cases for slab in _slabs(case, slices)]
        if not slabs:
            return {}
        x_0 = torch.from_numpy(np.stack(slabs)).to(next(denoiser.parameters()).device)
        generator = torch.Generator().manual_seed(0)
        weight = edm_weight(sigma_data)
        lowest = -math.log(sigma_max_of(denoiser))
        edges = [edge for edge in EDGES if edge >= lowest]
        return snr_loss(denoiser, [{"x_0": x_0}], edges, generator, weight=weight).scores()

    def picture(self, denoiser: Denoiser) -> torch.Tensor:
        """The middle of the first scan, (1, X, 3 Y) in [0, 1]: noisy, denoised and clean."""
        case, level = self.cases[0], LEVELS[-1]
        middle = case.clean.shape[2] // 2
        volumes = (case.noisy(level), self._estimate(denoiser, case, level), case.clean)
        row = np.concatenate([volume[:, :, middle] for volume in volumes], axis=1)
        return torch.from_numpy(row.clip(0, 1).astype(np.float32))[None]

    def _score(self, denoiser: Denoiser, case: Case, level: float) -> tuple[float, float]:
        found = score(case.clean, self._estimate(denoiser, case, level), data_range=1.0)
        return found.psnr, found.ssim

    def _estimate(self, denoiser: Denoiser, case: Case, level: float) -> NDArray[np.float32]:
        noisy = case.noisy(level)
        to = scale(noisy, "mr")
        estimate = posterior_mean(
            denoiser,
            torch.from_numpy(to.normalise(noisy)),
            level / to.scale,
            case.spacing,
            stride=None if self.exact else network_of(denoiser).slices - 2,
        )
        return to.restore(estimate.numpy())


def _slabs(case: Case, slices: int) -> list[NDArray[np.float32]]:
    """SLABS slabs (slices, SIDE, SIDE), normalised, spread over the stack of a scan."""
    axis = int(np.argmax(case.spacing))
    depth = case.clean.shape[axis]
    if depth < slices:
        return []
    volume = scale(case.clean, "mr").normalise(case.clean)
    slabs: list[NDArray[np.float32]] = []
    for share in np.linspace(0.2, 0.8, SLABS):
        centre = np.array(volume.shape) // 2
        centre[axis] = round(share * depth)
        slabs.append(cut(volume, axis, centre, slices, SIDE).astype(np.float32))
    return slabs
