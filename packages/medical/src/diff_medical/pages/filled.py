"""A page on filled holes: the scan before and after, and alone what is invented."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diff_medical.pages.browse import browse
from diff_medical.pages.page import Card, Page, Part, image, slider, write_page, write_thumbnail
from diff_medical.pages.viewer import write_viewer
from diff_medical.restore.inpaint import Inpainted
from diff_medical.restore.outcome import Restored
from diff_medical.scan.sections import flat, grey_levels, sections
from diff_medical.scan.spacing import Spacing

__all__ = ["write_report"]

Array = NDArray[np.float32]


def write_report(
    path: Path,
    before: Array,
    filled: Inpainted,
    hole: NDArray[np.bool_],
    spacing: Spacing,
    affine: NDArray[np.floating],
    outcome: Restored,
    *,
    thumbnail: Path | None = None,
    view: tuple[Path, Path] | None = None,
) -> None:
    """Write the page on what was filled in the `hole` of `before` (X, Y, Z) to `path`, whole or
    not at all. What stood in the hole may be NaN.

    thumbnail: a file for a small picture of the scan before and after (JPEG)
    view:      the page that opens it in NiiVue, and the folder of its script; None for none
    """
    inside = hole.astype(np.float32)
    planes = sections((before, filled.volume, inside), spacing, affine, through=hole)
    low, high = grey_levels(flat(cut for p in planes for cut in p.cuts[1]), filled.modality)
    unit = "HU" if filled.modality == "ct" else "units of the scan"
    levels = f"Grey levels {low:.4g} to {high:.4g} {unit}."
    parts = [
        Part(
            "Before and after",
            "Drag across an image, or use the arrow keys: left of the line is the scan before, "
            f"right of it the result. Planes go through the middle of what was filled. {levels}",
            [slider(plane, low, high) for plane in planes],
        ),
        Part(
            "What was filled",
            "The voxels of the mask alone, on the same grey levels: all of this is invented, and "
            "no measurement stands behind it. A lesion that was in there is not brought back.",
            [
                image(p, np.where(p.middle(2) > 0, p.middle(1), low), "gray", low, high, "filled")
                for p in planes
            ],
        ),
    ]
    volumes = {"Before": before, "After": filled.volume}
    shown = (volumes, spacing, affine, (low, high), filled.modality, filled.noise.sigma)
    page = Page(
        what="Holes filled",
        made=f"diff-medical {outcome.code}, {outcome.model}",
        synthetic=outcome.synthetic,
        verdict="The voxels of the mask are invented, not measured.",
        mood="look",
        cards=[
            Card("Filled", f"{filled.filled:.2%}", f"of the voxels: {int(hole.sum()):,}"),
            Card(
                "Noise level", f"{filled.noise.sigma:.4g}", "of the scan; what was filled has none"
            ),
            Card("Everything else", "as it was", "bit by bit, where the datatype is kept", "fine"),
        ],
        notes=outcome.notes,
        parts=parts,
        facts=list(_facts(outcome)),
        browse=browse(*shown),
        viewer=""
        if view is None
        else write_viewer(
            *view,
            Path(outcome.input).name,
            *shown,
            count=int(np.prod(outcome.shape[3:])),
            synthetic=outcome.synthetic,
        ),
        foot="Planes go through what was filled, the patient's left on the left.",
    )
    write_page(path, Path(outcome.input).name, page)
    if thumbnail is not None:
        write_thumbnail(thumbnail, planes[0], low, high)


def _facts(outcome: Restored) -> Iterator[tuple[str, str]]:
    yield "Input", outcome.input
    yield "Output", outcome.output
    yield "Voxels", " × ".join(map(str, outcome.shape))
    yield "Voxel size", " × ".join(f"{s:.3g}" for s in outcome.spacing) + " mm"
    yield "Taken for", {"mr": "MR", "ct": "CT"}[outcome.modality]
    yield "Filled by", f"harmonic filling, then the network as prior; {outcome.planes}"
    yield "Time", f"{outcome.seconds:.1f} s"
