"""A scan from file to file: opened and checked, enhanced volume by volume, written with its own
header.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.files import file_job, replacing
from diff_core.progress import Progress, parts
from diff_medical.enhancer.engine import Findings, Part, enhance
from diff_medical.enhancer.enhancer import Enhanced, Enhancer
from diff_medical.enhancer.joint import Joint
from diff_medical.enhancer.levels import of_levels
from diff_medical.enhancer.outcome import Joined, Outcome
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.uncertainty import PROBES
from diff_medical.jobs.joint import joined_volumes, joint_estimates
from diff_medical.jobs.products import Products
from diff_medical.jobs.ready import FLOAT32, Missing, Ready, prepare
from diff_medical.jobs.remarks import advised, policy, remarks, remarks_of_series
from diff_medical.jobs.series import (
    levels_of_volumes,
    look_of_volumes,
    noise_of_volumes,
    record_of_volumes,
)
from diff_medical.marks.descent import record, write_records
from diff_medical.pages.viewer import remarks as remarks_of_view
from diff_medical.scan import bids
from diff_medical.scan.background import stands_free
from diff_medical.scan.dicom.write import write_series
from diff_medical.scan.names import beside
from diff_medical.scan.nifti import Voxels, write
from diff_medical.scan.scratch import empty, release
from diff_medical.slices.memory import remark
from diff_medical.slices.network import network_of
from diff_medical.slices.passes import Passes, passes_for
from diff_medical.slices.timing import predicted_seconds

__all__ = ["enhance_file", "run"]

Array = NDArray[np.float32]


class Results:
    """The voxels of all results of a scan, put in part by part, and the findings by volume."""

    def __init__(self, ready: Ready) -> None:
        scan, products = ready.scan, ready.products
        self.ready = ready
        self.findings: list[Findings] = []
        self.joined: Joined | None = None
        self.shared: list[bool] = []
        """Whether each volume shares the noise of others."""
        self.written = Voxels(scan, ready.dtype)
        self.removed = Voxels(scan, FLOAT32) if products.residual else None
        self.doubt = Voxels(scan, FLOAT32) if products.uncertainty else None
        self.levels = Voxels(scan, FLOAT32) if products.noise_map else None
        shown = 2 + ready.settings.uncertainty if products.picture or products.report else 0
        self.shown = [empty(scan.grid, np.float32, large=scan.is_large) for _ in range(shown)]
        """Before, after and uncertainty of the first volume, for pages and pictures."""

    def put(self, index: int, part: Part) -> None:
        """Put in some planes of volume `index`."""
        ready = self.ready
        if ready.bad and ready.keep_nan and self.written.stored.dtype.kind == "f":
            planes = slice(part.first, part.first + part.after.shape[2])
            given = ready.scan.values(index, planes)
            part = replace(part, after=np.where(np.isfinite(given), part.after, given))
        keep = not ready.bad or ready.keep_nan
        self.written.put(index, part.after, keep=keep, first=part.first)
        if self.removed:
            removed = np.nan_to_num(part.before - part.after, nan=0.0, posinf=0.0, neginf=0.0)
            self.removed.put(index, removed, first=part.first)
        if self.doubt and part.doubt is not None:
            self.doubt.put(index, part.doubt, first=part.first)
        if self.levels:
            level = np.broadcast_to(np.float32(part.level), part.after.shape)
            self.levels.put(index, level, first=part.first)
        if index == 0:
            planes = slice(part.first, part.first + part.after.shape[2])
            given = (part.before, part.after, part.doubt)
            for shown, values in zip(self.shown, given, strict=False):
                shown[:, :, planes] = values
        if ready.scan.is_large:
            self.release()

    def release(self) -> None:
        """Give back the memory of what lies on the disk."""
        beside = (self.removed, self.doubt, self.levels)
        further = [one.stored for one in beside if one is not None]
        release(self.written.stored, self.ready.scan.stored, *further, *self.shown)

    def write(self, code: str) -> None:
        """Write the files, with the marks of a synthetic scan."""
        ready, label = self.ready, f"diff-medical {code} enhance"
        if ready.stack is None:
            write(ready.target, self.written, note=label)
        else:
            voxels, made_by = self.written.stored, f"diff-medical {code}"
            write_series(
                ready.target, ready.stack, voxels, label="enhanced", version=made_by,
                overwrite=ready.overwrite,
            )  # fmt: skip
        if self.removed:
            write(beside(ready.target, "residual"), self.removed, note=f"{label} residual")
        if self.doubt and ready.products.uncertainty:
            write(ready.products.uncertainty, self.doubt, note=f"{label} uncertainty")
        if self.levels and ready.products.noise_map:
            write(ready.products.noise_map, self.levels, note=f"{label} noise level")
        for given, copy in ready.companions:
            with replacing(copy) as temporary:
                shutil.copyfile(given, temporary)
        write_records(ready.told, ready.sidecars)

    def draw(self, outcome: Outcome) -> None:
        """Write the picture and the page on the first volume, if they were asked for."""
        if not self.shown:
            return
        ready, found = self.ready, self.findings[0]
        before, after = self.shown[:2]
        doubt = self.shown[2] if len(self.shown) > 2 else None
        spacing, turn = ready.scan.spacing, ready.scan.image.affine
        if ready.products.picture:
            from diff_medical.pages.before_after import before_after

            before_after(
                before, after, spacing, ready.products.picture, found.modality, turn,
                told=ready.told,
            )  # fmt: skip
        if ready.products.report:
            from diff_medical.pages.enhanced import write_report

            result = Enhanced(
                after, found.noise, found.modality, found.unchanged, found.checks, doubt
            )
            write_report(
                ready.products.report, before, result, spacing, turn, outcome,
                thumbnail=ready.products.thumbnail, view=ready.products.view,
            )  # fmt: skip


@file_job
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
    missing: Missing = "refuse",
    on_progress: Progress | None = None,
    on_plan: Callable[[Passes, float], None] | None = None,
) -> Outcome:
    """Write the enhanced scan `source` to `target`, and what else was asked for.

    source:    a NIfTI or MGH file, or the folder or zip archive of a DICOM series
    target:    a NIfTI file; for a DICOM series also a folder
    sigma_map: NIfTI file on the grid of the scan: the noise level of each voxel
    mask:      NIfTI file on the grid of the scan: voxels of 0 stay as they are
    missing:   what becomes of voxels that are NaN or Inf: the scan is refused, or they become 0,
               or they are kept; no other voxel's estimate depends on them
    on_plan:   called with the passes over the scan, and the seconds that they may take
    float32:   write 32-bit floats rather than the input's datatype, slope and intercept

    A scan with a BIDS name whose target is named as a derivative gets a JSON sidecar. Raises
    ScanError or ValueError for a file that cannot be used, FileExistsError for an output that
    exists unless `overwrite`, OSError where writing fails; no partial file is left.
    """
    begun = time.monotonic()
    ready = prepare(
        source, target, settings, products=products, sigma_map=sigma_map, mask=mask,
        float32=float32, overwrite=overwrite, missing=missing,
    )  # fmt: skip
    scan = ready.scan
    slices = network_of(enhancer.denoiser).slices
    passes = passes_for(settings.quality, scan.grid, scan.spacing, slices)
    if on_plan:
        each = predicted_seconds(enhancer.denoiser, passes, scan.grid)
        looks = max(1, settings.samples * settings.steps) + PROBES * settings.uncertainty
        on_plan(passes, each * scan.volumes * looks)
    results = run(enhancer, ready, on_progress)
    code = version("diff-medical")
    results.write(code)
    outcome = _outcome(enhancer, results, passes, code, time.monotonic() - begun)
    if ready.is_derivative:
        done = {
            k: v for k, v in dataclasses.asdict(outcome).items() if k not in ("input", "output")
        }
        first = ready.source(0)
        free = stands_free(first.read, first.shape, 1 if scan.is_large else first.shape[2])
        bids.write_sidecar(source, target, done, code, made=record(ready.told), stripped=free)
    results.draw(outcome)
    return outcome


def run(enhancer: Enhancer, ready: Ready, progress: Progress | None = None) -> Results:
    """Enhance all volumes of a scan.

    Raises ValueError where volumes cannot be enhanced together though the settings ask for it.
    """
    results, settings = Results(ready), ready.settings
    looks = look_of_volumes(ready.scan, ready.source, settings)
    noises = noise_of_volumes(looks)
    maps = levels_of_volumes(noises, ready.source, settings)
    # with levels of its own a volume is enhanced on its own grid
    looks = [
        look if levels is None else dataclasses.replace(look, measured=None)
        for look, levels in zip(looks, maps, strict=False)
    ]
    joint: dict[int, Joint] = {}
    work = iter(parts(progress, ready.scan.volumes + bool(looks)))
    if looks:
        report = next(work)
        if chosen := joined_volumes(looks, ready.source, settings):
            joint, results.joined = joint_estimates(
                looks, chosen, ready.source, maps, settings, report
            )
        report(1.0)
    for index, report in enumerate(work):
        source, noise, levels = ready.source(index), noises[index], maps[index]
        if index in joint:
            source, noise = replace(source, joint=joint[index]), looks[index].noise
        if noise is not None and levels is not None:
            source, noise = of_levels(source, noise, levels)
        found = enhance(
            enhancer.denoiser, source, partial(results.put, index), settings,
            noise=noise, progress=report,
        )  # fmt: skip
        results.findings.append(found)
        results.shared.append(noises[index] is not None)
        results.release()
    return results


def _outcome(
    enhancer: Enhancer, results: Results, passes: Passes, code: str, seconds: float
) -> Outcome:
    ready, first = results.ready, results.findings[0]
    scan, settings, noise = ready.scan, ready.settings, first.noise
    reasons = {found.unchanged for found in results.findings}
    return Outcome(
        input=str(scan.path),
        output=str(ready.target),
        products=tuple(str(path) for path in ready.products.paths(ready.target)),
        shape=scan.shape,
        spacing=scan.spacing,
        modality=first.modality,
        sigma=noise.sigma,
        distribution=noise.distribution,
        coils=noise.coils,
        correlation=noise.correlation,
        varies=noise.varies,
        method=noise.method,
        dtype=str(ready.dtype if ready.stack is None else scan.dtype),
        policy=policy(scan, ready.float32),
        quality=settings.quality,
        planes=_planes(passes, results.joined),
        measured=first.measured,
        unchanged=first.unchanged if len(reasons) == 1 else "",
        strength=settings.change,
        dose=settings.dose,
        checks=first.checks,
        joined=results.joined,
        series=record_of_volumes(results.findings, results.shared),
        zeroed=0 if ready.keep_nan else ready.bad,
        notes=(
            *map(advised, scan.notes),
            *remarks_of_series(results.joined, scan.volumes),
            *remarks(scan, results.findings, settings, float32=ready.float32),
            *_kept(ready),
            *_viewed(ready),
            *remark(enhancer.denoiser.network),
        ),
        samples=settings.samples,
        seed=settings.seed,
        synthetic=ready.told.text() if ready.told else "",
        model=enhancer.card.name if enhancer.card else "",
        code=code,
        seconds=round(seconds, 2),
    )


def _planes(passes: Passes, joined: Joined | None) -> str:
    """Return where the scan was looked at: in planes, over its volumes, or both."""
    if joined is None:
        return str(passes)
    together = f"low rank over {len(joined.volumes)} volumes"
    return f"{together}; {passes}" if joined.network else together


def _viewed(ready: Ready) -> tuple[str, ...]:
    scan = ready.scan
    return remarks_of_view(scan.grid, scan.spacing, scan.volumes) if ready.products.view else ()


def _kept(ready: Ready) -> tuple[str, ...]:
    if not (ready.bad and ready.keep_nan):
        return ()
    return (f"{ready.bad:,} voxels are NaN or Inf and stay so; --nan-to-zero makes them 0",)
