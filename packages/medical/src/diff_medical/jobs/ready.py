"""A scan that was opened and checked before it is enhanced, and the places of its results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diff_core.files import refuse_existing
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.steps import Source
from diff_medical.jobs.products import Products
from diff_medical.marks.descent import mark_descendant, unmarkable
from diff_medical.marks.told import Told
from diff_medical.scan import bids
from diff_medical.scan.declared import declared_modality, refuse_declared
from diff_medical.scan.dicom.folder import settle
from diff_medical.scan.dicom.stack import Stack
from diff_medical.scan.dicom.write import check_target
from diff_medical.scan.finite import zeroed
from diff_medical.scan.kinds import NIFTI, SCANS
from diff_medical.scan.nifti import Scan, check_kind, on_grid
from diff_medical.scan.open import SeriesScan, open_scan

__all__ = ["FLOAT32", "Missing", "Ready", "prepare"]

FLOAT32 = np.dtype(np.float32)
"""The data type of maps beside a result, and of results with fractions."""
Missing = Literal["refuse", "zero", "keep"]
"""The treatment of values that are NaN or infinite."""


@dataclass(frozen=True)
class Ready:
    """A scan that can be enhanced, and where its results go.

    stack:    the DICOM series whose form the output has, None for a NIfTI or MGH file
    told:     the marks of a synthetic scan, None if it has none
    sidecars: the records of outputs whose format has no room for a mark
    companions: files that come along (`bids.companions`), each with its copy
    bad:      the number of voxels that are NaN or Inf
    keep_nan: whether those stay as they are; else they become 0
    overwrite: whether a DICOM series that came to be there meanwhile is replaced
    """

    scan: Scan
    target: Path
    settings: Settings
    products: Products
    stack: Stack | None
    told: Told | None
    sidecars: tuple[Path, ...]
    companions: tuple[tuple[Path, Path], ...]
    sigma_map: Scan | None
    mask: Scan | None
    float32: bool
    bad: int
    keep_nan: bool
    overwrite: bool

    @property
    def is_derivative(self) -> bool:
        """True if the output is a derivative of a BIDS scan, which has a sidecar."""
        return _is_derivative(self.scan.path, self.target)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The datatype in which the result is kept until it is written."""
        return FLOAT32 if self.float32 or self.stack is not None else self.scan.dtype

    def source(self, index: int) -> Source:
        """Return volume `index` for the engine."""
        sigma_map = self.sigma_map and partial(self.sigma_map.volume, 0)
        mask = self.mask and partial(self.mask.volume, 0)
        read = partial(self.scan.volume, index)
        missing = partial(self.missing, index) if self.bad else None
        return Source(
            self.scan.grid, read, self.scan.spacing, sigma_map, mask, missing, self.scan.modality
        )

    def missing(self, index: int, planes: slice) -> NDArray[np.bool_]:
        """Return which voxels of some planes of a volume are NaN or Inf."""
        return ~np.isfinite(self.scan.values(index, planes))


def prepare(
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
) -> Ready:
    """Open a scan and check that it can be enhanced and its results can be written.

    Arguments and errors are those of `diff_medical.jobs.enhance.enhance_file`.
    """
    if not SCANS.matches(target):
        settle(target)
    beyond = products.paths(target)
    own = (bids.sidecar_path(target),) if _is_derivative(source, target) else ()
    both = NIFTI.matches(source) and NIFTI.matches(target)
    copies = tuple(bids.companions(source, target)) if both else ()
    own += tuple(copy for _, copy in copies)
    refuse_existing(target, *beyond, *own, overwrite=overwrite, source=source)
    scan = open_scan(source, nan_to_zero=missing != "refuse")
    refuse_declared(scan)
    if scan.modality is None and NIFTI.matches(source):
        scan = replace(scan, modality=declared_modality(source))
    stack = scan.stack if isinstance(scan, SeriesScan) and not SCANS.matches(target) else None
    if stack is not None:
        check_target(target)
        if float32:
            raise ValueError("float32 needs NIfTI, DICOM keeps its integers; name a .nii.gz file")
    for path in (target, *beyond):
        check_kind(scan, path)
    told = mark_descendant(scan)
    sidecars = unmarkable(told, target, *beyond)
    refuse_existing(*sidecars, overwrite=overwrite)
    for path in beyond:
        path.parent.mkdir(parents=True, exist_ok=True)
    levels, inside = (None if p is None else on_grid(p, scan) for p in (sigma_map, mask))
    return Ready(
        scan=scan, target=target, settings=settings, products=products, stack=stack, told=told,
        sidecars=sidecars, companions=copies, sigma_map=levels, mask=inside, float32=float32,
        bad=zeroed(scan), keep_nan=missing == "keep",
        overwrite=overwrite,
    )  # fmt: skip


def _is_derivative(source: Path, target: Path) -> bool:
    return bids.is_derivative(target) and bids.is_bids(source)
