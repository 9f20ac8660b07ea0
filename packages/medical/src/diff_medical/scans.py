"""A scan from file to file: read, checked, enhanced volume by volume, written with its own
header.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from . import bids
from .checks import Checks
from .dicom_write import check_target, write_series
from .enhancer import Enhanced, Enhancer
from .files import SCANS
from .nifti import Scan, ScanError, Voxels, read, write
from .noise_model import Noise
from .products import Products, beside, refuse_existing
from .series import SeriesScan, open_scan
from .settings import Settings

__all__ = ["Outcome", "enhance_file"]

SHARED = 8  # volumes of a series from which its one noise level is estimated


@dataclass(frozen=True)
class Outcome:
    """What was done to one file; `--json` prints it.

    sigma, distribution, coils, correlation, method: the noise, in the units of the scan (`Noise`)
    dtype, policy: datatype written, and why
    unchanged:     why the scan was left as it is, "" if it was not
    strength:      share of the change that was made
    checks:        what was measured of the change (`Checks`); of a series, in its first volume
    zeroed:        NaN or Inf voxels that were set to 0
    notes:         what a user should know about the file
    """

    input: str
    output: str
    products: tuple[str, ...]
    shape: tuple[int, ...]
    spacing: tuple[float, float, float]
    modality: str
    sigma: float
    distribution: str
    coils: int
    correlation: float | None
    method: str
    dtype: str
    policy: str
    unchanged: str
    strength: float
    checks: Checks | None
    zeroed: int
    notes: tuple[str, ...]
    samples: int
    seed: int
    model: str
    code: str
    seconds: float


def enhance_file(
    enhancer: Enhancer,
    source: Path,
    target: Path,
    settings: Settings,
    *,
    products: Products = Products(),  # noqa: B008
    sigma_map: Path | None = None,
    mask: Path | None = None,
    float32: bool = False,
    overwrite: bool = False,
    nan_to_zero: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Writes the enhanced scan `source` to `target`, and what else was asked for.

    source:    a NIfTI file, or the folder or zip archive of a DICOM series
    target:    a NIfTI file; of a DICOM series also a folder, for a DICOM series
    sigma_map: NIfTI file on the grid of the scan: the noise level of each voxel
    mask:      NIfTI file on the grid of the scan: voxels of 0 stay as they are
    float32:   write 32-bit floats rather than the input's datatype, slope and intercept

    A scan with a BIDS name whose target is named as a derivative gets a JSON sidecar. Raises
    ScanError or ValueError for a file that cannot be used, FileExistsError for an output that
    exists unless `overwrite`, OSError where writing fails; no partial file is left.
    """
    begun = time.monotonic()
    beyond = products.paths(target)
    is_derivative = bids.is_derivative(target) and bids.is_bids(source)
    sidecars = (bids.sidecar_path(target),) if is_derivative else ()
    refuse_existing(source, (target, *beyond, *sidecars), overwrite=overwrite)
    scan = open_scan(source)
    stack = scan.stack if isinstance(scan, SeriesScan) and not SCANS.matches(target) else None
    if stack is not None:
        check_target(target)
        if float32:
            raise ValueError("DICOM keeps its integers; for float32 name a .nii.gz file with -o")
    if scan.modality is not None and settings.modality == "auto":
        settings = replace(settings, modality=scan.modality)
    for path in beyond:
        path.parent.mkdir(parents=True, exist_ok=True)
    levels, inside = (None if p is None else _on_grid(p, scan) for p in (sigma_map, mask))
    volumes, zeroed = _finite(scan, nan_to_zero)
    noise = _shared_noise(enhancer, scan, volumes, settings)

    dtype = np.dtype(np.float32) if float32 or stack is not None else scan.dtype
    written = Voxels(scan, dtype)
    removed = Voxels(scan, np.dtype(np.float32)) if products.residual else None
    doubt = Voxels(scan, np.dtype(np.float32)) if products.uncertainty else None
    results: list[Enhanced] = []
    shown: tuple[NDArray[np.float32], Enhanced] | None = None
    for index in range(scan.volumes):
        volume = volumes(index)

        def share(part: float, index: int = index) -> None:
            if on_progress:
                on_progress((index + part) / scan.volumes)

        result = enhancer(
            volume, scan.spacing, settings,
            noise=noise, sigma_map=levels, mask=inside, progress=share,
        )  # fmt: skip
        written.put(index, result.volume, keep=not zeroed)
        if removed:
            removed.put(index, volume - result.volume)
        if doubt and result.uncertainty is not None:
            doubt.put(index, result.uncertainty)
        if index == 0 and (products.picture or products.report):
            shown = volume, result
        results.append(replace(result, volume=np.empty(0, np.float32), uncertainty=None))

    code = version("diff-medical")
    label = f"diff-medical {code} enhance"
    if stack is None:
        write(target, written, note=label)
    else:
        write_series(
            target, stack, written.stored[..., 0], label="enhanced", version=f"diff-medical {code}"
        )
    if removed:
        write(beside(target, "residual"), removed, note=f"{label} residual")
    if doubt and products.uncertainty:
        write(products.uncertainty, doubt, note=f"{label} uncertainty")
    first = results[0]
    reasons = {result.unchanged for result in results}
    outcome = Outcome(
        input=str(source),
        output=str(target),
        products=tuple(str(path) for path in beyond),
        shape=scan.shape,
        spacing=scan.spacing,
        modality=first.modality,
        sigma=first.noise.sigma,
        distribution=first.noise.distribution,
        coils=first.noise.coils,
        correlation=first.noise.correlation,
        method=first.noise.method,
        dtype=str(dtype if stack is None else scan.dtype),
        policy=_policy(scan, float32),
        unchanged=first.unchanged if len(reasons) == 1 else "",
        strength=settings.strength,
        checks=first.checks,
        zeroed=zeroed,
        notes=(*scan.notes, *_remarks(scan, first, float32)),
        samples=settings.samples,
        seed=settings.seed,
        model=enhancer.card.name if enhancer.card else "",
        code=code,
        seconds=round(time.monotonic() - begun, 2),
    )
    if is_derivative:
        done = {
            k: v for k, v in dataclasses.asdict(outcome).items() if k not in ("input", "output")
        }
        bids.write_sidecar(source, target, done, code)
    if shown is not None:
        _draw(products, scan, *shown, outcome)
    return outcome


def _draw(
    products: Products,
    scan: Scan,
    volume: NDArray[np.float32],
    result: Enhanced,
    outcome: Outcome,
) -> None:
    turn = scan.image.affine
    if products.picture:
        from .picture import before_after

        before_after(volume, result.volume, scan.spacing, products.picture, result.modality, turn)
    if products.report:
        from .report import write_report

        write_report(products.report, volume, result, scan.spacing, turn, outcome)


def _on_grid(path: Path, scan: Scan) -> NDArray[np.float32]:
    """The one volume of a NIfTI file that lies where `scan` does."""
    other = read(path)
    if other.grid != scan.grid or other.volumes != 1:
        raise ScanError(
            path, f"has shape {other.shape}, the scan {scan.shape[:3]}", "give one on its grid"
        )
    if not np.allclose(other.image.affine, scan.image.affine, atol=1e-2):
        raise ScanError(
            path, "lies elsewhere than the scan (their affines differ)", "give one on its grid"
        )
    return other.volume()


def _finite(scan: Scan, nan_to_zero: bool) -> tuple[Callable[[int], NDArray[np.float32]], int]:
    """A reader of volumes without NaN or Inf, and how many voxels it sets to 0."""
    bad, where = 0, ()
    if scan.dtype.kind == "f":
        for index in range(scan.volumes):
            wrong = ~np.isfinite(scan.volume(index))
            count = int(np.count_nonzero(wrong))
            if count and not bad:
                found = [int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape)]
                where = (*found[: len(scan.shape)], *((index,) if scan.volumes > 1 else ()))
            bad += count
    if bad and not nan_to_zero:
        raise ScanError(
            scan.path,
            f"{bad:,} of {int(np.prod(scan.shape)):,} voxels are NaN or Inf, the first at {where}",
            "add --nan-to-zero to take them for 0",
        )
    if not bad:
        return scan.volume, 0

    def zeroed(index: int) -> NDArray[np.float32]:
        return np.nan_to_num(scan.volume(index), copy=False, nan=0.0, posinf=0.0, neginf=0.0)

    return zeroed, bad


def _shared_noise(
    enhancer: Enhancer,
    scan: Scan,
    volumes: Callable[[int], NDArray[np.float32]],
    settings: Settings,
) -> Noise | None:
    """One noise level for a series: the median over some of its volumes. None for a single one."""
    if scan.volumes == 1:
        return None
    picked = np.unique(np.linspace(0, scan.volumes - 1, min(scan.volumes, SHARED)).astype(int))
    found = [enhancer.noise_of(volumes(i), scan.spacing, settings) for i in picked.tolist()]
    found.sort(key=lambda noise: noise.sigma)
    return found[len(found) // 2]


def _policy(scan: Scan, float32: bool) -> str:
    if float32:
        return "32-bit floats, as asked"
    if scan.dtype.kind == "f" and not isinstance(scan, SeriesScan):
        return "the input's floats"
    slope, inter = scan.scaling
    if isinstance(scan, SeriesScan) and scan.dtype.kind == "f":
        return "the input's integers, slope and intercept of each slice, rounded to nearest"
    return f"the input's integers, slope {slope:g}, intercept {inter:g}, rounded to nearest"


def _remarks(scan: Scan, result: Enhanced, float32: bool) -> tuple[str, ...]:
    remarks: list[str] = []
    noise = result.noise
    step = abs(scan.scaling[0])
    if scan.dtype.kind in "iu" and not float32 and noise.sigma and step > noise.sigma:
        remarks.append(
            f"its integer step {step:g} is coarser than the noise; --dtype float32 keeps more"
        )
    if noise.correlation is not None and noise.correlation > 0.4:
        remarks.append(
            f"its noise is correlated between voxels ({noise.correlation:.2f}): "
            "less of it is removed"
        )
    return (*remarks, *(result.checks.remarks() if result.checks else ()))
