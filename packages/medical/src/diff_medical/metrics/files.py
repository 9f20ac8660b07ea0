"""The pairs of files that are compared, and their scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from diff_core.command import Failures
from diff_medical.scan.kinds import SCANS, is_dicom

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from diff_medical.metrics.scores import Scores

__all__ = ["pairs", "score_file"]


def pairs(
    reference: Path, estimate: Path, mask: Path | None, failures: Failures
) -> list[tuple[Path, Path, Path | None]]:
    """Return the reference, estimate and mask of each comparison; what has no counterpart is a
    failure.

    Raises ValueError where a file meets a folder.
    """
    if not reference.is_dir() or is_series(reference):
        for other in (estimate, mask):
            if other is not None and other.is_dir() and not is_series(other):
                raise ValueError("REF is one scan: EST and `mask` must be scans too")
        return [(reference, estimate, mask)]
    if not estimate.is_dir():
        raise ValueError("REF is a folder: EST must be one too")
    found = {_key(path, estimate): path for path in _scans(estimate)}
    matched: list[tuple[Path, Path, Path | None]] = []
    for ref in _scans(reference):
        est = found.get(_key(ref, reference))
        if est is None:
            failures.add(str(ref), f"has no counterpart in {estimate}; enhance it first")
            continue
        folder = mask is not None and mask.is_dir() and not is_series(mask)
        inside = mask / ref.relative_to(reference) if mask is not None and folder else mask
        matched.append((ref, est, inside))
    if not matched and not failures.names:
        failures.add(str(reference), f"no {SCANS.name} in this folder; give another")
    return matched


def is_series(path: Path) -> bool:
    """Return True for a folder that holds the files of a DICOM series, and for a zip archive."""
    if path.is_dir():
        files = (p for p in path.iterdir() if p.is_file() and not SCANS.matches(p))
        return any(is_dicom(p) for p in files if not p.name.startswith("."))
    return path.is_file() and path.suffix.lower() == ".zip"


def _scans(folder: Path) -> list[Path]:
    """Return the files and DICOM series below a folder; nothing hidden."""
    below = sorted(folder.rglob("*"))
    shown = [p for p in below if not any(n.startswith(".") for n in p.relative_to(folder).parts)]
    return [
        p for p in shown if (SCANS.matches(p) and p.is_file()) or (p.is_dir() and is_series(p))
    ]


def _key(path: Path, root: Path) -> str:
    stem = SCANS.split(path.name)[0] if SCANS.matches(path) else path.name
    return path.relative_to(root).with_name(stem.removesuffix("_enhanced")).as_posix()


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
