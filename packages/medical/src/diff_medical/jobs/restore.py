"""Thinner slices or filled holes from file to file: read, checked, restored, written with the
header that then is right.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_core.files import refuse_existing
from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings
from diff_medical.marks.descent import descent, record
from diff_medical.restore.inpaint import Inpainted, inpaint
from diff_medical.restore.outcome import Restored, Wish, write_sidecar
from diff_medical.restore.upsample import finer_spacing, thick_axis, upsample
from diff_medical.scan.bids import sidecar_path
from diff_medical.scan.finer import FinerScan, finer_header
from diff_medical.scan.finite import finite
from diff_medical.scan.kinds import NIFTI
from diff_medical.scan.nifti import Scan, Voxels, on_grid, read, write
from diff_medical.scan.refusal import ScanError

__all__ = ["restore_file", "slices_for"]


def restore_file(
    enhancer: Enhancer,
    source: Path,
    target: Path,
    wish: Wish,
    settings: Settings,
    *,
    report: Path | None = None,
    float32: bool = False,
    overwrite: bool = False,
    nan_to_zero: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Restored:
    """Writes what `wish` makes of the NIfTI file `source` to `target`, and a JSON file beside it.

    Datatype, slope and intercept stay, unless `float32`. A series (4-D) is restored volume by
    volume. `report` is where a page goes on the holes that were filled. Raises ScanError or
    ValueError for a file that cannot be used, FileExistsError for an output that exists unless
    `overwrite`; no partial file is left.
    """
    begun = time.monotonic()
    for path, role in ((source, "can be read from"), (target, "can be written to")):
        if not NIFTI.matches(path):
            raise ScanError(
                path,
                f"is not NIfTI; scans are {wish.word} where they {role} NIfTI files",
                "convert it to .nii.gz, DICOM with dcm2niix",
            )
    refuse_existing(target, sidecar_path(target), report, overwrite=overwrite, source=source)
    scan = read(source)
    told = descent(scan)
    dtype = np.dtype(np.float32) if float32 else scan.dtype
    code = version("diff-medical")

    def share(index: int) -> Callable[[float], None]:
        return lambda part: on_progress((index + part) / scan.volumes) if on_progress else None

    misfits: list[float] = []
    sigmas: list[float] = []
    invented, passes, modality, header_edit = None, None, "", None
    shown: tuple[NDArray[np.float32], Inpainted, NDArray[np.bool_]] | None = None
    if wish.hole is None:
        volumes, _ = finite(scan, nan_to_zero)
        axis, count = slices_for(scan, wish)
        new: Scan = FinerScan(
            scan.path, scan.image, scan.spacing, scan.notes, axis=axis, count=count
        )
        written = Voxels(new, dtype)
        header_edit = finer_header(axis, scan.grid[axis], count)
        for index in range(scan.volumes):
            done = upsample(
                enhancer, volumes(index), scan.spacing, count, axis=axis, profile=wish.profile,
                settings=settings, progress=share(index),
            )  # fmt: skip
            written.put(index, done.volume)
            misfits.append(done.misfit)
            sigmas.append(done.noise.sigma)
            passes, modality = done.passes, done.modality
        spacing = finer_spacing(scan.spacing, axis, scan.grid[axis] / count)
    else:
        hole = _hole(wish.hole, scan)
        new, spacing = scan, scan.spacing
        written = Voxels(scan, dtype)
        for index in range(scan.volumes):
            volume = scan.volume(index)
            filled = inpaint(
                enhancer, volume, scan.spacing, hole, settings=settings, progress=share(index)
            )
            written.put(index, filled.volume)
            if written.own:  # bit by bit, NaN and negative zero too
                written.stored[..., index][~hole] = scan.stored[..., index][~hole]
            shown = shown or (volume, filled, hole)
            sigmas.append(filled.noise.sigma)
            invented, passes, modality = filled.filled, filled.passes, filled.modality
    made = f"diff-medical {code} {wish.word}"
    write(target, written, note=made, edit=header_edit)
    outcome = Restored(
        input=str(source),
        output=str(target),
        restored=wish.word,
        shape=new.shape,
        spacing=spacing,
        modality=modality,
        sigma=float(np.median(sigmas)),
        misfit=max(misfits, default=None),
        profile=wish.profile if wish.hole is None else None,
        invented=invented,
        planes=str(passes),
        notes=scan.notes + _remarks(misfits),
        model=enhancer.card.name if enhancer.card else "",
        code=code,
        synthetic=told.text() if told else "",
        seconds=round(time.monotonic() - begun, 2),
    )
    write_sidecar(sidecar_path(target), outcome, wish, record(told))
    if report is not None and shown is not None:
        from diff_medical.pages.filled import write_report

        write_report(report, *shown, scan.spacing, scan.image.affine, outcome)
    return outcome


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
            f"ask for --spacing {' '.join(as_it_is)}",
        )
    return axis, count


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
        "slices are not what --profile says, or its noise is more than was estimated",
    )
