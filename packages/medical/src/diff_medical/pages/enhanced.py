"""A page on one enhancement: before and after in three planes, what was removed, what was checked.

One HTML file that needs nothing else, no network either. Planes only: a surface in 3-D would show
the patient's face.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.enhancer.bounds import BOUND
from diff_medical.enhancer.checks import SUSPICIOUS
from diff_medical.pages.browse import browse
from diff_medical.pages.page import (
    Card,
    Mood,
    Page,
    Part,
    image,
    montage,
    slider,
    write_page,
    write_thumbnail,
)
from diff_medical.pages.viewer import write_viewer
from diff_medical.scan.sections import Section, colour_limit, flat, grey_levels, sections
from diff_medical.scan.spacing import Spacing

if TYPE_CHECKING:
    from diff_medical.enhancer.enhancer import Enhanced
    from diff_medical.enhancer.outcome import Outcome

__all__ = ["write_report"]

Array = NDArray[np.float32]
MAGNITUDE = (
    " Noise of magnitudes is positive where there is no signal, and all of it is removed there."
)


def write_report(
    path: Path,
    before: Array,
    result: Enhanced,
    spacing: Spacing,
    affine: NDArray[np.floating],
    outcome: Outcome,
    *,
    thumbnail: Path | None = None,
    view: tuple[Path, Path] | None = None,
) -> None:
    """Write the page on `result`, made of `before` (X, Y, Z), to `path`, whole or not at all.

    thumbnail: a file for a small picture of the scan before and after (JPEG)
    view:      the page that opens it in NiiVue, and the folder of its script; None for none
    """
    volumes = [before, result.volume]
    if result.uncertainty is not None and result.uncertainty.any():
        volumes.append(result.uncertainty)
    planes = sections(volumes, spacing, affine)
    low, high = grey_levels(flat(cut for p in planes for cut in p.cuts[1]), result.modality)
    unit = "HU" if result.modality == "ct" else "units of the scan"
    if result.unchanged:
        parts = [_as_it_was(planes, low, high, unit)]
    else:
        parts = _compared(planes, low, high, unit, is_magnitude=result.noise.is_magnitude)
    if len(volumes) > 2:
        doubt = [p.middle(2) for p in planes]
        top = max(float(np.quantile(flat(doubt), 0.999)), 1e-12)
        parts.append(
            Part(
                "Uncertainty",
                "Standard deviation of the error of each voxel, as the network has it. Over all "
                "voxels together the truth should lie within twice of it in about 19 of 20. At "
                "structures of 2 to 4 voxels, such as small lesions, the error is larger than "
                f"this map shows. Black 0 to yellow {top:.3g} {unit}.",
                [
                    image(plane, values, "inferno", 0.0, top, "uncertainty")
                    for plane, values in zip(planes, doubt, strict=True)
                ],
            )
        )
    foot = (
        _bound(result, unit)
        + "Planes show the middle of the volume, the patient's left on the left."
    )
    verdict, mood = _verdict(outcome)
    page = Page(
        what="Left as it was" if outcome.unchanged else "Noise removed",
        made=f"diff-medical {outcome.code}, {outcome.model}",
        synthetic=outcome.synthetic,
        verdict=verdict,
        mood=mood,
        cards=list(_cards(result, high - min(low, 0.0) if unit != "HU" else 0.0)),
        notes=outcome.notes,
        parts=parts,
        strips=montage(planes, low, high),
        browse=_browse(volumes, planes, result, spacing, affine, (low, high)),
        viewer=_viewer(view, volumes, spacing, affine, (low, high), outcome),
        facts=list(_facts(outcome)),
        foot=foot,
    )
    write_page(path, Path(outcome.input).name, page)
    if thumbnail is not None:
        write_thumbnail(thumbnail, planes[0], low, high)


def _browse(
    volumes: Sequence[Array],
    planes: Sequence[Section],
    result: Enhanced,
    spacing: Spacing,
    affine: NDArray[np.floating],
    levels: tuple[float, float],
) -> dict[str, Any]:
    """Return the volumes to scroll through: the scan alone where nothing was changed."""
    doubt = None
    if len(volumes) > 2:
        top = float(np.quantile(flat(p.middle(2) for p in planes), 0.999))
        doubt = volumes[2], max(top, 1e-12)
    titles = _titles(unchanged=bool(result.unchanged))
    gone = flat(p.middle(0) - p.middle(1) for p in planes)
    return browse(
        dict(zip(titles, volumes, strict=False)), spacing, affine, levels, result.modality,
        result.noise.sigma, doubt=doubt,
        removed=0.0 if result.unchanged else colour_limit(gone, levels[1] - levels[0]),
    )  # fmt: skip


def _viewer(
    view: tuple[Path, Path] | None,
    volumes: Sequence[Array],
    spacing: Spacing,
    affine: NDArray[np.floating],
    levels: tuple[float, float],
    outcome: Outcome,
) -> str:
    """Return the address of the page that opens the volumes in NiiVue, "" for none."""
    if view is None:
        return ""
    titles = _titles(unchanged=bool(outcome.unchanged))
    return write_viewer(
        *view, Path(outcome.input).name, dict(zip(titles, volumes, strict=False)), spacing, affine,
        levels, outcome.modality, outcome.sigma, count=int(np.prod(outcome.shape[3:])),
        synthetic=outcome.synthetic,
    )  # fmt: skip


def _titles(*, unchanged: bool) -> tuple[str, ...]:
    return ("The scan",) if unchanged else ("Before", "After")


def _as_it_was(planes: Sequence[Section], low: float, high: float, unit: str) -> Part:
    """Return the planes of a volume that was not changed."""
    text = f"The result is the scan itself. Grey levels {low:.4g} to {high:.4g} {unit}."
    figures = [image(plane, plane.middle(0), "gray", low, high, "the scan") for plane in planes]
    return Part("The scan", text, figures)


def _compared(
    planes: Sequence[Section], low: float, high: float, unit: str, *, is_magnitude: bool
) -> list[Part]:
    """Return the planes before and after, and what was removed."""
    removed = [p.middle(0) - p.middle(1) for p in planes]
    limit = colour_limit(flat(removed), high - low)
    return [
        Part(
            "Before and after",
            "Drag across an image, or use the arrow keys: left of the line is the scan before, "
            f"right of it the result. Grey levels {low:.4g} to {high:.4g} {unit}.",
            [slider(plane, low, high) for plane in planes],
        ),
        Part(
            "What was removed",
            "Before minus after. It should look like noise and nothing else: outlines of anatomy "
            f"in here were lost from the result. Blue −{limit:.3g} to red {limit:.3g} {unit}."
            + MAGNITUDE
            * is_magnitude,
            [
                image(plane, gone, "RdBu_r", -limit, limit, "removed")
                for plane, gone in zip(planes, removed, strict=True)
            ],
        ),
    ]


def _bound(result: Enhanced, unit: str) -> str:
    """Return how far voxels moved, and how far they may."""
    if result.checks is None:
        return ""
    domain = " in the domain where the noise of magnitudes is even" * result.noise.is_magnitude
    return (
        f"No voxel may move by more than {BOUND:g} standard deviations of the noise{domain}: "
        f"{result.checks.limit:.4g} {unit}. The largest move was {result.checks.largest:.4g}. "
    )


def _verdict(outcome: Outcome) -> tuple[str, Mood]:
    if outcome.unchanged:
        return f"Left as it was: {outcome.unchanged}.", ""
    if outcome.checks and outcome.checks.remarks():
        return "Look at what was removed: a check is out of range.", "look"
    return "Noise removed; all checks within their range.", "fine"


def _cards(result: Enhanced, contrast: float) -> Iterator[Card]:
    noise, checks = result.noise, result.checks
    kind = f"{noise.distribution}, {noise.coils} coils" if noise.coils > 1 else noise.distribution
    share = f", {noise.sigma / contrast:.1%} of the grey levels" if contrast > 0 else ""
    between = ""
    if noise.varies is not None:
        between = f"; {noise.varies[0]:.3g} to {noise.varies[1]:.3g} over the scan"
    yield Card("Noise level", f"{noise.sigma:.4g}", f"{kind}; {noise.method}{share}{between}")
    if checks is None:
        return
    if checks.gain is not None:
        gain = f"{checks.gain:.1f} dB"
        yield Card("Expected gain", gain, "estimated without a reference", "fine")
    text = " / ".join("–" if w is None else f"{w:+.2f}" for w in checks.whiteness)
    worst = max((w for w in checks.whiteness if w is not None), default=0.0)
    most = f"at most {SUSPICIOUS}"
    yield Card("Removed: neighbours", text, f"correlation along x / y / z; {most}", _mood(worst))
    edges = f"{checks.edges:+.2f}"
    yield Card("Removed: edges", edges, f"correlation; {most}", _mood(checks.edges))
    spread = f"{checks.spread:.2f}"
    yield Card("Removed: strength", spread, "standard deviation in units of noise")
    if checks.blobs:
        places = ", ".join(str(blob.place) for blob in checks.blobs[:5])
        more = ", ..." if checks.blob_count > 5 else ""
        yield Card(
            "Removed: small structures?", str(checks.blob_count),
            f"places to look at, by voxel: {places}{more}",
        )  # fmt: skip
    yield Card(
        "Held back", f"{checks.bounded:.2%} / {checks.broad:.2%}",
        "of voxels, by the bounds on single voxels / on broad changes",
    )  # fmt: skip


def _mood(correlation: float) -> Mood:
    return "fine" if correlation <= SUSPICIOUS else "look"


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    yield "Input", outcome.input
    yield "Output", outcome.output
    yield "Voxels", " × ".join(map(str, outcome.shape))
    yield "Voxel size", " × ".join(f"{s:.3g}" for s in outcome.spacing) + " mm"
    if outcome.measured is not None:
        yield "Voxels measured", " × ".join(map(str, outcome.measured))
    yield "Taken for", {"mr": "MR", "ct": "CT"}[outcome.modality]
    if outcome.correlation is not None:
        yield "Noise of neighbours", f"correlation {outcome.correlation:.2f}"
    if not outcome.unchanged:
        how = f"mean of {outcome.samples} posterior samples, seed {outcome.seed}"
        yield "Estimate", how if outcome.samples else "posterior mean"
        yield "Quality", f"{outcome.quality}: {outcome.planes}"
        yield "Share of the change made", f"{outcome.strength:.0%}"
        if outcome.dose is not None:
            yield "Noise left in", f"that of a full dose; the scan has {outcome.dose:.0%} of one"
    yield "Datatype", f"{outcome.dtype}: {outcome.policy}"
    yield "Time", f"{outcome.seconds:.1f} s"
