"""Thinner slices or filled holes from file to file: opened and checked, restored, written with the
header that is then right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.files import file_job, refuse_existing
from diff_core.progress import Progress, parts
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.marks.descent import mark_descendant, record
from diff_medical.noise.level import probed
from diff_medical.pages.viewer import remarks
from diff_medical.restore.inpaint import Inpainted, inpaint
from diff_medical.restore.outcome import Restored, Wish, write_sidecar
from diff_medical.restore.upsample import Upsampled, finer_spacing, thick_axis, upsample
from diff_medical.scan.bids import sidecar_path
from diff_medical.scan.declared import refuse_declared
from diff_medical.scan.finer import HeaderEdit, finer_header
from diff_medical.scan.finite import zeroed
from diff_medical.scan.kinds import NIFTI
from diff_medical.scan.nifti import Scan, Voxels, on_grid, read, write
from diff_medical.scan.patterns import not_intensities
from diff_medical.scan.refusal import ScanError
from diff_medical.scan.spacing import Spacing

__all__ = ["restore_file", "slices_for"]


View = tuple[Path, Path] | None
Draw = Callable[[Path, Restored, Path | None, View], None]


@dataclass
class _Work:
    """The voxels of a restored scan, and what is recorded of its volumes.

    last: the result for the last volume
    draw: writes a page on the first volume
    """

    voxels: Voxels
    spacing: Spacing
    edit: HeaderEdit | None = None
    sigmas: list[float] = field(default_factory=list[float])
    misfits: list[float] = field(default_factory=list[float])
    last: Upsampled | Inpainted | None = None
    draw: Draw | None = None


@file_job
def restore_file(
    enhancer: Enhancer,
    source: Path,
    target: Path,
    wish: Wish,
    settings: Settings,
    *,
    report: Path | None = None,
    thumbnail: Path | None = None,
    view: View = None,
    float32: bool = False,
    overwrite: bool = False,
    nan_to_zero: bool = False,
    on_progress: Progress | None = None,
) -> Restored:
    """Write what `wish` makes of the NIfTI file `source` to `target`, and a JSON file beside it.

    Datatype, slope and intercept stay, unless `float32`. A series (4-D) is restored volume by
    volume. `report` is where a page goes on the holes that were filled, `thumbnail` its small
    picture, and `view` as in `Products`. Raises ScanError or ValueError for a file that cannot be
    used, FileExistsError for an output that exists unless `overwrite`; no partial file is left.
    """
    begun = time.monotonic()
    for path, role in ((source, "can be read from"), (target, "can be written to")):
        if not NIFTI.matches(path):
            raise ScanError(
                path,
                f"is not NIfTI; scans are {wish.word} where they {role} NIfTI files",
                "convert it to .nii.gz, DICOM with dcm2niix",
            )
    outputs = (target, sidecar_path(target), report, view and view[0])
    refuse_existing(*outputs, overwrite=overwrite, source=source)
    # what stands in a hole plays no part, so it may be NaN
    scan = read(source, nan_to_zero=nan_to_zero and wish.hole is None)
    refuse_declared(scan)
    if reason := not_intensities(scan.volume(0, probed(scan.grid))):
        raise ScanError(source, reason, f"it cannot be {wish.word}; resample it by nearest voxels")
    told = mark_descendant(scan)
    dtype = np.dtype(np.float32) if float32 else scan.dtype
    if wish.hole is None:
        work = _upsampled(enhancer, scan, wish, settings, dtype, on_progress)
    else:
        work = _inpainted(enhancer, scan, wish.hole, settings, dtype, on_progress)
    code = version("diff-medical")
    write(target, work.voxels, note=f"diff-medical {code} {wish.word}", edit=work.edit)
    last = work.last
    assert last is not None  # a scan has a volume
    outcome = Restored(
        input=str(source),
        output=str(target),
        restored=wish.word,
        shape=work.voxels.shape,
        spacing=work.spacing,
        modality=last.modality,
        sigma=float(np.median(work.sigmas)),
        misfit=max(work.misfits, default=None),
        profile=wish.profile if wish.hole is None else None,
        invented=last.filled if isinstance(last, Inpainted) else None,
        planes=str(last.passes),
        notes=scan.notes
        + _remarks(work.misfits)
        + (remarks(scan.grid, scan.spacing, scan.volumes) if view else ()),
        model=enhancer.card.name if enhancer.card else "",
        code=code,
        synthetic=told.text() if told else "",
        seconds=round(time.monotonic() - begun, 2),
    )
    write_sidecar(sidecar_path(target), outcome, wish, record(told))
    if report is not None and work.draw is not None:
        work.draw(report, outcome, thumbnail, view)
    return outcome


def _upsampled(
    enhancer: Enhancer,
    scan: Scan,
    wish: Wish,
    settings: Settings,
    dtype: np.dtype[np.generic],
    progress: Progress | None,
) -> _Work:
    """Return the scan with more and thinner slices."""
    zeroed(scan)
    axis, count = slices_for(scan, wish)
    shape = (*scan.shape[:axis], count, *scan.shape[axis + 1 :])
    spacing = finer_spacing(scan.spacing, axis, scan.grid[axis] / count)
    work = _Work(Voxels(scan, dtype, shape), spacing, finer_header(axis, scan.grid[axis], count))
    for index, report in enumerate(parts(progress, scan.volumes)):
        done = upsample(
            enhancer, scan.volume(index), scan.spacing, count, axis=axis, profile=wish.profile,
            settings=settings, progress=report,
        )  # fmt: skip
        work.voxels.put(index, done.volume)
        work.sigmas.append(done.noise.sigma)
        work.misfits.append(done.misfit)
        work.last = done
    return work


def _inpainted(
    enhancer: Enhancer,
    scan: Scan,
    mask: Path,
    settings: Settings,
    dtype: np.dtype[np.generic],
    progress: Progress | None,
) -> _Work:
    """Return the scan with the voxels of a mask filled."""
    hole = _hole(mask, scan)
    work = _Work(Voxels(scan, dtype), scan.spacing)
    for index, report in enumerate(parts(progress, scan.volumes)):
        volume = scan.volume(index)
        filled = inpaint(enhancer, volume, scan.spacing, hole, settings=settings, progress=report)
        work.voxels.put(index, filled.volume)
        if work.voxels.own:  # bit by bit, NaN and negative zero too
            work.voxels.stored[..., index][~hole] = scan.stored[..., index][~hole]
        work.sigmas.append(filled.noise.sigma)
        work.last = filled
        work.draw = work.draw or _page(volume, filled, hole, scan)
    return work


def slices_for(scan: Scan, wish: Wish) -> tuple[int, int]:
    """The axis of the thick slices, and how many there shall be.

    Raises ScanError where there are none, or where the spacing wished for is not that of the scan
    in the planes of the slices, or not finer across them.
    """
    try:
        axis = thick_axis(scan.grid, scan.spacing)
    except ValueError as error:
        raise ScanError(scan.path, str(error), "leave it as it is") from error
    slices = scan.grid[axis]
    if wish.factor is not None:
        return axis, slices * wish.factor
    assert wish.spacing is not None
    thick = scan.spacing[axis]
    wanted = wish.spacing[axis]
    as_it_is = [f"{s:.4g}" for s in scan.spacing]
    as_it_is[axis] = f"{min(wanted, thick / 2):.4g}" if wanted > 0 else f"{thick / 2:.4g}"
    same = all(abs(wish.spacing[a] / scan.spacing[a] - 1) < 0.05 for a in range(3) if a != axis)
    count = round(slices * thick / wanted) if wanted > 0 else 0
    if not same or count <= slices:
        raise ScanError(
            scan.path,
            f"has voxels of {' x '.join(f'{s:.4g}' for s in scan.spacing)} mm, of which only the "
            f"{thick:.4g} can be made finer",
            f"ask for spacing={' '.join(as_it_is)}",
        )
    return axis, count


def _page(
    before: NDArray[np.float32], filled: Inpainted, hole: NDArray[np.bool_], scan: Scan
) -> Draw:
    """Return what writes the page on the holes of a volume, its small picture and its viewer."""

    def draw(path: Path, outcome: Restored, thumbnail: Path | None, view: View) -> None:
        from diff_medical.pages.filled import write_report

        write_report(
            path, before, filled, hole, scan.spacing, scan.image.affine, outcome,
            thumbnail=thumbnail, view=view,
        )  # fmt: skip

    return draw


def _hole(path: Path, scan: Scan) -> NDArray[np.bool_]:
    """The voxels to be filled."""
    hole = on_grid(path, scan).volume() != 0
    if not hole.any():
        raise ScanError(path, "is 0 everywhere", "mark the voxels to be filled")
    return hole


def _remarks(misfits: list[float]) -> tuple[str, ...]:
    if max(misfits, default=0.0) <= 1.5:
        return ()
    return (
        f"thick slices of the result are {max(misfits):.1f} noise levels from the scan: its "
        "slices are not what the profile says, or its noise is more than was estimated; try "
        "--profile box, or give the noise with --sigma",
    )
