"""The remarks on an enhanced scan beside its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from diff_medical.enhancer.settings import Settings
from diff_medical.scan.nifti import Scan
from diff_medical.scan.open import SeriesScan

if TYPE_CHECKING:
    from diff_medical.enhancer.engine import Findings
    from diff_medical.enhancer.outcome import Joined

__all__ = ["advised", "insist", "policy", "remarks", "remarks_of_series"]

ADVICE = {
    "qform and sform differ": "where viewers disagree, copy one to the other (fslorient)",
    "form is unusable": "set the other one too, for programs that read that (fslorient)",
    "orientation unknown": "set qform or sform (fslorient) where left and right matter",
    "orientation is unknown": "set it (mri_convert) if left and right matter",
}
NUMBER = re.compile(r"[\d.]+")
SHARP = 0.2  # correlation of neighbours below which noise of CT is that of a sharp kernel


def policy(scan: Scan, float32: bool) -> str:
    """Return in which numbers the voxels of a scan are written, and why."""
    if float32:
        return "32-bit floats, as asked"
    if scan.dtype.kind == "f" and not isinstance(scan, SeriesScan):
        return "the input's floats"
    slope, inter = scan.scaling
    if isinstance(scan, SeriesScan) and scan.dtype.kind == "f":
        return "the input's integers, slope and intercept of each slice, rounded to nearest"
    return f"the input's integers, slope {slope:g}, intercept {inter:g}, rounded to nearest"


def remarks(
    scan: Scan, results: Sequence[Findings], settings: Settings, *, float32: bool
) -> tuple[str, ...]:
    """Return what a user should know of a result: what limits it, which checks it failed, and what
    to try.

    results: the findings of each volume; a remark on some volumes of a series names them
    """
    found: dict[str, list[int]] = {}
    for index, result in enumerate(results):
        for text in _of_volume(scan, result, settings, float32=float32):
            found.setdefault(text, []).append(index)
    several = len(results) > 1
    noises = sorted({r.noise.sigma for r in results if not r.unchanged})
    lines = [
        f"{_volumes(where, len(results))}{text}" if several else text
        for text, where in _grouped(found)
    ]
    if len(noises) > 1:
        lines.insert(
            0,
            f"its volumes differ in noise, from {noises[0]:.4g} to {noises[-1]:.4g}: each has its "
            "own level; --json gives them all, and --sigma sets one for all",
        )
    return tuple(lines)


def remarks_of_series(joined: Joined | None, volumes: int) -> tuple[str, ...]:
    """Return what a user should know of volumes that were enhanced together."""
    if joined is None:
        return ()
    count = len(joined.volumes)
    which = f"its {count} volumes" if count == volumes else f"{count} of its {volumes} volumes"
    network = ", and the network removed more" if joined.network else ""
    return (
        f"{which} were enhanced together: {joined.directions} directions are signal, and "
        f"{joined.left:.0%} of the noise level was left{network}; --series network takes each "
        "alone",
    )


def advised(note: str) -> str:
    """Return what is odd about a header with what to try."""
    for beginning, advice in ADVICE.items():
        if beginning in note:
            return f"{note}; {advice}"
    return note


def _grouped(found: Mapping[str, list[int]]) -> Iterator[tuple[str, list[int]]]:
    """Yield remarks that differ in their numbers alone as one, in the words of the first."""
    alike: dict[str, tuple[str, list[int]]] = {}
    for text, where in found.items():
        bare = NUMBER.sub("", text)
        alike.setdefault(bare, (text, []))[1].extend(where)
    yield from alike.values()


def _volumes(where: Sequence[int], count: int) -> str:
    if len(where) == count:
        return "all volumes: "
    some = ", ".join(map(str, sorted(where)[:8])) + (", ..." if len(where) > 8 else "")
    return f"volume {some}: " if len(where) == 1 else f"volumes {some}: "


def _of_volume(
    scan: Scan, result: Findings, settings: Settings, *, float32: bool
) -> Iterator[str]:
    noise = result.noise
    if result.measured is not None:
        grid = " x ".join(map(str, result.measured))
        yield (
            f"its outer frequencies are empty (zero filling or interpolation): {grid} samples "
            "were measured, and noise is estimated and removed on that grid"
        )
    step = abs(scan.scaling[0])
    is_nifti = not isinstance(scan, SeriesScan)
    if result.unchanged:
        yield f"it stays as it is: {result.unchanged}; {insist(result.unchanged)}"
        return
    if scan.dtype.kind in "iu" and not float32 and noise.sigma and step > noise.sigma:
        yield (
            f"its integer step {step:g} is coarser than the noise; "
            + ("" if is_nifti else "name a .nii.gz file as output and ")
            + "add --dtype float32 to keep more"
        )
    if noise.correlation is not None and noise.correlation > 0.4:
        yield (
            f"its noise is correlated between voxels ({noise.correlation:.2f}): less of it is "
            "removed; start from the scan before it was interpolated or filtered, or give its "
            "level with --sigma"
        )
    if noise.varies is not None:
        low, high = noise.varies
        yield (
            f"its noise varies from {low:.3g} to {high:.3g}, as parallel imaging makes it: each "
            "voxel has its own level; --noise-map FILE writes them"
        )
    full = settings.change == 1
    fine = noise.correlation is not None and noise.correlation < SHARP
    if full and fine and result.modality == "ct":
        yield (
            f"its noise is as fine as its pixels (correlation {noise.correlation:.2f}), as sharp "
            "kernels make it: the noise of a full dose is removed with the rest; --dose FRACTION "
            "keeps it"
        )
    if result.checks:
        yield from result.checks.remarks()


def insist(reason: str) -> str:
    """Return what to try where a volume was left as it is for a `reason`."""
    if "values look like" in reason:
        return "if it is a magnitude image all the same, add --modality mr"
    if "voxels are" in reason:
        return "there is nothing to enhance in it"
    if reason == "the noise level is 0":
        return "if there is noise, give its level with --sigma"
    return "if you see noise in it, give its level with --sigma, as --sigma 12 or --sigma 3%"
