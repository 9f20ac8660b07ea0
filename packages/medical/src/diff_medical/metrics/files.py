"""The pairs of files that are compared, and their scores."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from diff_core.command import Failures
from diff_core.evaluate import Naming, match_files
from diff_medical.scan.kinds import SCANS
from diff_medical.scan.names import is_made_here

if TYPE_CHECKING:
    from diff_medical.metrics.scores import Scores

__all__ = ["NAMING", "pairs", "score_file"]

NAMING = Naming(SCANS.matches, lambda path: SCANS.split(path.name)[0], "_enhanced", is_made_here)


def pairs(
    reference: Path,
    estimate: Path,
    mask: Path | None,
    failures: Failures,
    only: Collection[Path] | None = None,
) -> list[tuple[Path, Path, Path | None]]:
    """Return the reference, estimate and mask of each comparison, by the rule of
    `diff_core.evaluate.Naming`; what has no counterpart, or several, is a failure.

    only: the references of a folder to compare, as resolved paths
    Raises ValueError where a file meets a folder.
    """
    if not reference.is_dir():
        if estimate.is_dir() or (mask is not None and mask.is_dir()):
            raise ValueError("REF is one file: EST and `mask` must be files too")
        return [(reference, estimate, mask)]
    if not estimate.is_dir():
        raise ValueError("REF is a folder: EST must be one too")
    found = match_files(reference, estimate, NAMING, only=only)
    for _, path, reason in found.failed:
        failures.add(str(path), reason)
    for path in found.left_out:
        failures.warn(str(path), "left out: an output of the scan beside it, not a reference")
    if found.extra and only is None:
        failures.warn(
            str(estimate),
            f"{len(found.extra)} scans have no reference, such as {found.extra[0][1].name}",
        )
    if not found.pairs and not failures.names:
        failures.add(str(reference), f"no {SCANS.name} in this folder; give another")
    return [(ref, est, _mask_of(ref, reference, mask)) for _, ref, est in found.pairs]


def _mask_of(scan: Path, root: Path, mask: Path | None) -> Path | None:
    return mask / scan.relative_to(root) if mask is not None and mask.is_dir() else mask


def score_file(
    reference: Path,
    estimate: Path,
    mask: Path | None,
    failures: Failures,
    *,
    data_range: float | None = None,
    window: tuple[float, float] | None = None,
) -> list[tuple[str, Scores]]:
    """The scores of each volume of `estimate`, with its name; options as for `metrics.score`.

    Raises ScanError for files that cannot be compared.
    """
    import numpy as np

    from diff_medical.metrics.scores import score
    from diff_medical.scan.nifti import read
    from diff_medical.scan.refusal import ScanError

    ref, est = read(reference), read(estimate)
    inside = read(mask) if mask is not None else None
    for other in (est, inside):
        if other is not None and other.shape[:3] != ref.shape[:3]:
            raise ScanError(
                other.path,
                f"has shape {other.shape}, the reference {ref.shape}",
                "give scans of one grid",
            )
    if est.volumes != ref.volumes:
        raise ScanError(
            estimate, f"has {est.volumes} volumes, the reference {ref.volumes}", "give one series"
        )
    if not np.allclose(ref.image.affine, est.image.affine, atol=1e-3):
        failures.warn(str(estimate), "its affine differs from the reference's")
    rows: list[tuple[str, Scores]] = []
    for index in range(ref.volumes):
        truth, found = ref.volume(index), est.volume(index)
        for scan, values in ((ref, truth), (est, found)):
            if not np.isfinite(values).all():
                count = int(np.count_nonzero(~np.isfinite(values)))
                raise ScanError(scan.path, f"{count:,} voxels are NaN or Inf", "repair it first")
        within = None
        if inside is not None:
            within = inside.volume(index if inside.volumes == ref.volumes else 0)
        name = str(estimate) + (f"[{index}]" if ref.volumes > 1 else "")
        scores = score(
            truth,
            found,
            data_range=data_range,
            mask=within,
            mask_name=str(mask),
            window=window,
            structure=True,
        )
        rows.append((name, scores))
    return rows
