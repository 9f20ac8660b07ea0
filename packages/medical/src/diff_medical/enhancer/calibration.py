"""Is the uncertainty true? Noise is added to scans, and the errors are held against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from diff_core.files import visible_files
from diff_medical.data.reading import Reading, load_scan
from diff_medical.data.studies import find_scans
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.noise.level import estimate
from diff_medical.scan.intensity import recognise
from diff_medical.scan.kinds import SCANS

__all__ = ["Coverage", "coverage", "validation_scans"]

CT_FULL = 1000.0  # HU that percent of noise are of; of MR it is the maximum


@dataclass(frozen=True)
class Coverage:
    """The share of voxels whose truth lies within `uncertainty` of the estimate.

    percent: noise level in percent of the scan's maximum; of 1000 HU for CT
    dose:    share of the noise that the truth has, which the enhancer was told to keep; None where
             it was told to keep none, and that noise counts as error
    sigma:   the same in the units of the scan
    one:     share of voxels with |truth - estimate| <= sd; 68 % if errors are Gaussian
    two:     the same within 2 sd; 95 %
    ratio:   root mean square of (truth - estimate) / sd; 1 if it is true
    psnr:    of the estimate, dB, range as in `percent`
    shape:   of the block of voxels
    """

    file: str
    percent: float
    dose: float | None
    sigma: float
    one: float
    two: float
    ratio: float
    psnr: float
    shape: tuple[int, int, int]


def validation_scans(path: Path) -> list[Path]:
    """The scan `path`; of a folder the validation scans of its manifest, without one all of it."""
    if not path.is_dir():
        return [path]
    if (path / "manifest.jsonl").is_file():
        return [row.path for row in find_scans(path) if row.split == "val"]
    return [p for p in visible_files(path) if SCANS.matches(p)]


def coverage(
    enhancer: Enhancer, path: Path, percents: Sequence[float], *, crop: int, seed: int = 0
) -> list[Coverage]:
    """Return the coverage on the middle block of a scan, at most `crop` voxels wide, at each noise
    level.

    White Gaussian noise of a known level is added to the scan as it is, which stands for the
    truth: its own noise counts as anatomy. CT is noisy at any dose, so it is enhanced a second
    time as a scan of a lower dose (`Settings.dose`), which the truth is the full dose of: its own
    noise, estimated, is the share that stays. Raises ValueError for a scan that cannot be read.
    """
    scan = load_scan(path, reading=Reading(missing="zero"))
    modality = recognise(scan.values)
    full = CT_FULL if modality == "ct" else float(scan.values.max())
    middle = tuple(
        slice(max(0, (n - crop) // 2), max(0, (n - crop) // 2) + crop) for n in scan.values.shape
    )
    truth = scan.values[middle]
    made: list[Coverage] = []
    own = estimate(truth, scan.spacing, modality="ct").sigma if modality == "ct" else 0.0
    for percent, keep in product(percents, (False, True) if own else (False,)):
        sigma = percent / 100 * full
        noise = np.random.default_rng(seed).standard_normal(truth.shape, dtype=np.float32)
        dose = own**2 / (own**2 + sigma**2) if keep else None
        settings = Settings(
            modality, "gaussian", sigma=float(np.hypot(own, sigma)) if keep else sigma, dose=dose,
            uncertainty=True, seed=seed,
        )  # fmt: skip
        found = enhancer(truth + np.float32(sigma) * noise, scan.spacing, settings)
        assert found.uncertainty is not None
        known = found.uncertainty > 0
        error = np.abs(found.volume - truth)[known] / found.uncertainty[known]
        mse = float(np.square(found.volume - truth).mean())
        made.append(
            Coverage(
                file=str(path),
                percent=percent,
                dose=dose,
                sigma=sigma,
                one=float(np.mean(error <= 1)),
                two=float(np.mean(error <= 2)),
                ratio=float(np.sqrt(np.square(error).mean())),
                psnr=10 * float(np.log10(full**2 / mse)) if mse > 0 else float("inf"),
                shape=truth.shape,  # type: ignore[arg-type]
            )
        )
    return made
