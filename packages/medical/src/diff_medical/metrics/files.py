"""The pairs of files that are compared, and their scores."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.command import Failures, report_unread
from diff_core.evaluate import Naming, match_files
from diff_medical.scan.kinds import SCANS, UNREAD, is_dicom
from diff_medical.scan.names import is_made_here

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diff_medical.metrics.scores import Scores

__all__ = ["NAMING", "pairs", "score_file"]

NAMING = Naming(
    lambda path: (path.is_file() and SCANS.matches(path)) or is_series(path),
    lambda path: path.name if path.is_dir() else SCANS.split(path.name)[0],
    "_enhanced",
    is_made_here,
)
"""The rule by which estimates and references are paired."""

SCORED = replace(SCANS, unread={s: why for s, why in UNREAD.items() if s != ".zip"})
"""The scans of a folder; an archive is scored as the DICOM series that it holds."""


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
    if not reference.is_dir() or is_series(reference):
        for other in (estimate, mask):
            if other is not None and other.is_dir() and not is_series(other):
                raise ValueError("REF is one scan: EST and `mask` must be scans too")
        return [(reference, estimate, mask)]
    if not estimate.is_dir():
        raise ValueError("REF is a folder: EST must be one too")
    for folder in dict.fromkeys((reference, estimate)):
        report_unread(folder, SCORED, failures)
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


def is_series(path: Path) -> bool:
    """Return True for a folder that holds the files of a DICOM series, and for a zip archive."""
    if path.is_dir():
        files = (p for p in path.iterdir() if p.is_file() and not SCANS.matches(p))
        return any(is_dicom(p) for p in files if not p.name.startswith("."))
    return path.is_file() and path.suffix.lower() == ".zip"


def _mask_of(scan: Path, root: Path, mask: Path | None) -> Path | None:
    folder = mask is not None and mask.is_dir() and not is_series(mask)
    return mask / scan.relative_to(root) if mask is not None and folder else mask


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

    An estimate or mask that lies where the reference does, with its axes in another order or
    direction, is turned to those of the reference. Raises ScanError for files that cannot be
    compared: they lie elsewhere, or are maps of labels.
    """
    from diff_medical.metrics.scores import score
    from diff_medical.scan.open import open_scan
    from diff_medical.scan.placed import Placed
    from diff_medical.scan.refusal import ScanError

    ref = Placed.on(open_scan(reference))
    est = Placed.on(open_scan(estimate), ref)
    inside = Placed.on(open_scan(mask), ref) if mask is not None else None
    if est.scan.volumes != ref.scan.volumes:
        raise ScanError(
            estimate,
            f"has {est.scan.volumes} volumes, the reference {ref.scan.volumes}",
            "give one series",
        )
    if est.turned:
        failures.warn(str(estimate), f"{est.turned}; the scores are of the turned scan")
    rows: list[tuple[str, Scores]] = []
    for index in range(ref.scan.volumes):
        truth, found = ref.volume(index), est.volume(index)
        for one, values in ((ref, truth), (est, found)):
            one.check(values)
        ref.refuse_labels(truth, found)
        if index == 0 and data_range is None and window is None:
            _warn_of_range(reference, truth, failures)
        within = None
        if inside is not None:
            within = inside.volume(index if inside.scan.volumes == ref.scan.volumes else 0)
        name = str(estimate) + (f"[{index}]" if ref.scan.volumes > 1 else "")
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


def _warn_of_range(path: Path, truth: NDArray[Any], failures: Failures) -> None:
    """Warn where a few voxels set the data range, on which PSNR and SSIM depend."""
    import numpy as np

    low, high = (float(q) for q in np.quantile(truth[::2, ::2], [0.0005, 0.9995]))
    if truth.max() - truth.min() > 3 * (high - low) > 0:
        failures.warn(
            str(path),
            f"a few voxels make its range {(truth.max() - truth.min()) / (high - low):.0f} times "
            f"that of the others ({low:.4g} to {high:.4g}), which raises PSNR and SSIM; give "
            "--data-range",
        )
