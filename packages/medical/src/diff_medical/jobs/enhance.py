"""A scan from file to file: read, checked, enhanced volume by volume, written with its own
header.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.files import refuse_existing
from diff_medical.enhancer.engine import Part, enhance_by_planes, is_streamable
from diff_medical.enhancer.enhancer import Enhanced, Enhancer
from diff_medical.enhancer.outcome import Outcome
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.uncertainty import PROBES
from diff_medical.jobs.products import Products
from diff_medical.jobs.remarks import policy, remarks
from diff_medical.marks.descent import descent, record, unmarkable, write_records
from diff_medical.marks.told import Told
from diff_medical.noise.model import Noise
from diff_medical.scan import bids
from diff_medical.scan.dicom.write import check_target, write_series
from diff_medical.scan.finite import Reader, finite
from diff_medical.scan.kinds import SCANS
from diff_medical.scan.names import beside
from diff_medical.scan.nifti import Scan, Voxels, check_kind, on_grid, write
from diff_medical.scan.open import SeriesScan, open_scan
from diff_medical.scan.scratch import empty, release
from diff_medical.slices.memory import remark
from diff_medical.slices.network import network_of
from diff_medical.slices.passes import Passes, passes_for, predicted_seconds

__all__ = ["enhance_file"]

Array = NDArray[np.float32]
SHARED = 8  # volumes of a series from which its one noise level is estimated


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
    on_plan: Callable[[Passes, float], None] | None = None,
) -> Outcome:
    """Writes the enhanced scan `source` to `target`, and what else was asked for.

    source:    a NIfTI file, or the folder or zip archive of a DICOM series
    target:    a NIfTI file; of a DICOM series also a folder, for a DICOM series
    sigma_map: NIfTI file on the grid of the scan: the noise level of each voxel
    mask:      NIfTI file on the grid of the scan: voxels of 0 stay as they are
    on_plan:   told in which planes the scan will be looked at, and the seconds that may take
    float32:   write 32-bit floats rather than the input's datatype, slope and intercept

    A scan with a BIDS name whose target is named as a derivative gets a JSON sidecar. Raises
    ScanError or ValueError for a file that cannot be used, FileExistsError for an output that
    exists unless `overwrite`, OSError where writing fails; no partial file is left.
    """
    begun = time.monotonic()
    beyond = products.paths(target)
    is_derivative = bids.is_derivative(target) and bids.is_bids(source)
    sidecars = (bids.sidecar_path(target),) if is_derivative else ()
    refuse_existing(target, *beyond, *sidecars, overwrite=overwrite, source=source)
    scan = open_scan(source)
    stack = scan.stack if isinstance(scan, SeriesScan) and not SCANS.matches(target) else None
    if stack is not None:
        check_target(target)
        if float32:
            raise ValueError("DICOM keeps its integers; for float32 name a .nii.gz file with -o")
    if scan.modality is not None and settings.modality == "auto":
        settings = replace(settings, modality=scan.modality)
    for path in (target, *beyond):
        check_kind(scan, path)
    told = descent(scan)
    extra = unmarkable(told, target, *beyond)
    refuse_existing(*extra, overwrite=overwrite)
    for path in beyond:
        path.parent.mkdir(parents=True, exist_ok=True)
    levels, inside = (None if p is None else on_grid(p, scan) for p in (sigma_map, mask))
    volumes, zeroed = finite(scan, nan_to_zero)
    passes = passes_for(
        settings.quality, scan.grid, scan.spacing, network_of(enhancer.denoiser).slices
    )
    if on_plan:
        each = predicted_seconds(enhancer.denoiser, passes, scan.grid)
        looks = max(1, settings.samples * settings.steps) + PROBES * settings.uncertainty
        on_plan(passes, each * scan.volumes * looks)
    noise = _shared_noise(enhancer, scan, volumes, settings)
    streams = scan.is_large and is_streamable(settings)

    dtype = np.dtype(np.float32) if float32 or stack is not None else scan.dtype
    written = Voxels(scan, dtype)
    removed = Voxels(scan, np.dtype(np.float32)) if products.residual else None
    doubt = Voxels(scan, np.dtype(np.float32)) if products.uncertainty else None
    results: list[Enhanced] = []
    shown: tuple[NDArray[np.float32], Enhanced] | None = None
    wants_pages = bool(products.picture or products.report)
    for index in range(scan.volumes):
        pages = []  # what the page and the picture show: before, after, uncertainty
        if wants_pages and index == 0 and streams:
            pages = [empty(scan.grid, np.float32) for _ in range(2 + settings.uncertainty)]

        def share(part: float, index: int = index) -> None:
            if on_progress:
                on_progress((index + part) / scan.volumes)

        def put(part: Part, index: int = index, pages: list[Array] = pages) -> None:
            written.put(index, part.after, keep=not zeroed, first=part.first)
            if removed:
                removed.put(index, part.before - part.after, first=part.first)
            if doubt and part.doubt is not None:
                doubt.put(index, part.doubt, first=part.first)
            planes = slice(part.first, part.first + part.after.shape[2])
            for page, values in zip(pages, (part.before, part.after, part.doubt), strict=False):
                page[:, :, planes] = values
            if streams:
                release(written.stored, scan.stored, *pages)

        if streams:
            result = enhance_by_planes(
                enhancer, scan.grid, partial(volumes, index), put, scan.spacing, settings,
                noise=noise, sigma_map=levels and partial(levels.volume, 0),
                mask=inside and partial(inside.volume, 0), progress=share,
            )  # fmt: skip
            if pages:
                doubted = pages[2] if settings.uncertainty else None
                shown = pages[0], replace(result, volume=pages[1], uncertainty=doubted)
        else:
            volume = volumes(index)
            result = enhancer(
                volume, scan.spacing, settings,
                noise=noise, sigma_map=levels and levels.volume(),
                mask=inside and inside.volume(), progress=share,
            )  # fmt: skip
            put(Part(0, volume, result.volume, result.uncertainty))
            if wants_pages and index == 0:
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
    write_records(told, extra)
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
        policy=policy(scan, float32),
        quality=settings.quality,
        planes=str(passes),
        unchanged=first.unchanged if len(reasons) == 1 else "",
        strength=settings.change,
        dose=settings.dose,
        checks=first.checks,
        zeroed=zeroed,
        notes=(
            *scan.notes,
            *remarks(scan, first, settings, float32=float32),
            *remark(enhancer.denoiser.network),
        ),
        samples=settings.samples,
        seed=settings.seed,
        synthetic=told.text() if told else "",
        model=enhancer.card.name if enhancer.card else "",
        code=code,
        seconds=round(time.monotonic() - begun, 2),
    )
    if is_derivative:
        done = {
            k: v for k, v in dataclasses.asdict(outcome).items() if k not in ("input", "output")
        }
        bids.write_sidecar(source, target, done, code, made=record(told))
    if shown is not None:
        _draw(products, scan, *shown, outcome, told)
    return outcome


def _draw(
    products: Products,
    scan: Scan,
    volume: NDArray[np.float32],
    result: Enhanced,
    outcome: Outcome,
    told: Told | None,
) -> None:
    turn = scan.image.affine
    if products.picture:
        from diff_medical.pages.before_after import before_after

        before_after(
            volume, result.volume, scan.spacing, products.picture, result.modality, turn, told=told
        )
    if products.report:
        from diff_medical.pages.enhanced import write_report

        write_report(products.report, volume, result, scan.spacing, turn, outcome)


def _shared_noise(
    enhancer: Enhancer,
    scan: Scan,
    volumes: Reader,
    settings: Settings,
) -> Noise | None:
    """One noise level for a series: the median over some of its volumes. None for a single one."""
    if scan.volumes == 1:
        return None
    picked = np.unique(np.linspace(0, scan.volumes - 1, min(scan.volumes, SHARED)).astype(int))
    found = [enhancer.noise_of(volumes(i), scan.spacing, settings) for i in picked.tolist()]
    found.sort(key=lambda noise: noise.sigma)
    return found[len(found) // 2]
