"""A scan from file to file: read, checked, enhanced volume by volume, written with its own
header.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .enhancer import Enhanced, Enhancer, Settings
from .files import SCANS
from .nifti import Scan, ScanError, Voxels, read, write
from .noise import Noise

__all__ = ["Outcome", "enhance_file", "residual_path"]

SHARED = 8  # volumes of a series from which its one noise level is estimated


@dataclass(frozen=True)
class Outcome:
    """What was done to one file; `--json` prints it.

    sigma, distribution, correlation, method: the noise, in the units of the scan (see `Noise`)
    dtype, policy: datatype written, and why
    unchanged:     why the scan was left as it is, "" if it was not
    bounded:       share of voxels held back by the residual bound of 3.5 sigma
    zeroed:        NaN or Inf voxels that were set to 0
    notes:         what a user should know about the file
    """

    input: str
    output: str
    residual: str
    shape: tuple[int, ...]
    spacing: tuple[float, float, float]
    modality: str
    sigma: float
    distribution: str
    correlation: float | None
    method: str
    dtype: str
    policy: str
    unchanged: str
    bounded: float
    zeroed: int
    notes: tuple[str, ...]
    samples: int
    seed: int
    model: str
    code: str
    seconds: float


def residual_path(output: Path) -> Path:
    """Where the residual goes: beside `output`, `_enhanced` in its name replaced by
    `_residual`.
    """
    name, suffix = SCANS.split(output.name)
    return output.with_name(f"{name.removesuffix('_enhanced')}_residual{suffix}")


def enhance_file(
    enhancer: Enhancer,
    source: Path,
    target: Path,
    settings: Settings,
    *,
    float32: bool = False,
    residual: bool = False,
    picture: Path | None = None,
    overwrite: bool = False,
    nan_to_zero: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Writes the enhanced scan `source` to `target`, and what else was asked for.

    float32:  write 32-bit floats rather than the input's datatype, slope and intercept
    residual: also write input - output, as 32-bit floats in the input's units
    picture:  also draw three planes before and after

    Raises ScanError for a file that cannot be used, FileExistsError for an output that exists
    unless `overwrite`, OSError where writing fails; no partial file is left.
    """
    begun = time.monotonic()
    beside = residual_path(target)
    for path in (target, *((beside,) if residual else ()), *((picture,) if picture else ())):
        if path.exists() and path.resolve() == source.resolve():
            raise FileExistsError(f"the output {path} is the input itself; name another with -o")
        if path.exists() and not overwrite:
            raise FileExistsError(f"the output {path} exists; add --overwrite to replace it")
    scan = read(source)
    volumes, zeroed = _finite(scan, nan_to_zero)
    noise = _shared_noise(enhancer, scan, volumes, settings)

    dtype = np.dtype(np.float32) if float32 else scan.dtype
    written = Voxels(scan, dtype)
    removed = Voxels(scan, np.dtype(np.float32)) if residual else None
    results: list[Enhanced] = []
    for index in range(scan.volumes):
        volume = volumes(index)

        def share(part: float, index: int = index) -> None:
            if on_progress:
                on_progress((index + part) / scan.volumes)

        result = enhancer(volume, scan.spacing, settings, noise=noise, progress=share)
        written.put(index, result.volume, keep=not zeroed)
        if removed:
            removed.put(index, volume - result.volume)
        if picture and index == 0:
            from .picture import before_after

            turn = scan.image.affine
            before_after(volume, result.volume, scan.spacing, picture, result.modality, turn)
        results.append(replace(result, volume=np.empty(0, np.float32)))

    label = f"diff-medical {version('diff-medical')} enhance"
    write(target, written, note=label)
    if removed:
        write(beside, removed, note=f"{label} residual")
    first = results[0]
    reasons = {result.unchanged for result in results}
    return Outcome(
        input=str(source),
        output=str(target),
        residual=str(beside) if residual else "",
        shape=scan.shape,
        spacing=scan.spacing,
        modality=first.modality,
        sigma=first.noise.sigma,
        distribution=first.noise.distribution,
        correlation=first.noise.correlation,
        method=first.noise.method,
        dtype=str(dtype),
        policy=_policy(scan, float32),
        unchanged=first.unchanged if len(reasons) == 1 else "",
        bounded=float(np.mean([result.bounded for result in results])),
        zeroed=zeroed,
        notes=(*scan.notes, *_remarks(scan, first.noise, float32)),
        samples=settings.samples,
        seed=settings.seed,
        model=enhancer.card.name if enhancer.card else "",
        code=version("diff-medical"),
        seconds=round(time.monotonic() - begun, 2),
    )


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
    if scan.dtype.kind == "f":
        return "the input's floats"
    slope, inter = scan.scaling
    return f"the input's integers, slope {slope:g}, intercept {inter:g}, rounded to nearest"


def _remarks(scan: Scan, noise: Noise, float32: bool) -> tuple[str, ...]:
    remarks: list[str] = []
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
    return tuple(remarks)
