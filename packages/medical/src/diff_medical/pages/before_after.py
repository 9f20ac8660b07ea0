"""A picture of a scan: before, after and what was taken away in three planes, and slices through
the result.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing
from diff_medical.marks.mark import NOTICE, Mark
from diff_medical.scan.sections import PLACES, Section, colour_limit, flat, grey_levels, sections
from diff_medical.scan.spacing import Spacing

if TYPE_CHECKING:
    from diff_medical.marks.told import Told

__all__ = ["before_after", "grey_levels"]

Array = NDArray[np.float32]
GROUND, INK, SOFT, LOOK = "#111418", "#e8ebee", "#9aa5b1", "#f2b34c"
WIDTH = 11.0  # inches


def before_after(
    noisy: Array,
    enhanced: Array,
    spacing: Spacing,
    path: str | os.PathLike[str],
    modality: str = "mr",
    affine: NDArray[np.floating] | None = None,
    *,
    told: Told | None = None,
) -> None:
    """Draws the middle planes of two volumes (X, Y, Z), their difference, and slices through the
    second into `path`.

    With the scan's `affine` (4, 4) the patient stands upright, facing up in axial planes, left on
    the left ("neurological"); without, or with one that is not usable, axes are as stored. The
    suffix of `path` decides the format (PNG, PDF, SVG). Voxels are drawn in their true
    proportions, both volumes on one grey scale (for CT the soft-tissue window), the residual on
    its own, symmetric around 0. A picture of a synthetic scan, which is what `told` says of one,
    says so in words, in its metadata, and in PNG in pixels. Raises ValueError for shapes that
    differ or are not 3-D.
    """
    # Not pyplot: it keeps global state and may look for a screen.
    from matplotlib.figure import Figure

    if noisy.shape != enhanced.shape or noisy.ndim != 3:
        raise ValueError(
            f"noisy is {noisy.shape}, enhanced {enhanced.shape}; expected one shape (X, Y, Z)"
        )
    drawn = sections((noisy, enhanced), spacing, affine)
    grey = grey_levels(flat(plane for one in drawn for plane in one.cuts[1]), modality)
    removed = [one.middle(0) - one.middle(1) for one in drawn]
    limit = colour_limit(flat(removed), grey[1] - grey[0])

    # one unit of length in each part, so that planes keep their proportions to each other
    widest, heights = max(one.size[0] for one in drawn), [one.size[1] for one in drawn]
    tall = [0.87 * WIDTH / (columns * widest) * sum(heights) for columns in (3, len(PLACES))]
    figure = Figure(
        figsize=(WIDTH, sum(tall) + 1.3), dpi=130, layout="constrained", facecolor=GROUND
    )
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)  # type: ignore[union-attr]
    halves: Any = figure.subfigures(2, 1, height_ratios=[tall[0] + 0.7, tall[1] + 0.6])
    upper, lower = halves
    for part in halves:
        part.set_facecolor(GROUND)

    axes = upper.subplots(len(drawn), 3, squeeze=False, height_ratios=heights)
    image: Any = None
    for row, one, gone in zip(axes, drawn, removed, strict=True):
        _show(row[0], one, one.middle(0), "gray", grey)
        _show(row[1], one, one.middle(1), "gray", grey)
        image = _show(row[2], one, gone, "RdBu_r", (-limit, limit))
    for cell, title in zip(axes[0], ("Before", "After", "Removed (before − after)"), strict=True):
        cell.set_title(title, color=INK, fontsize=12)
    bar = upper.colorbar(image, ax=axes[:, 2], shrink=0.6, pad=0.02)
    bar.ax.tick_params(colors=INK, labelsize=8)
    bar.set_label("HU" if modality == "ct" else "intensity", color=INK, fontsize=9)

    axes = lower.subplots(len(drawn), len(PLACES), squeeze=False, height_ratios=heights)
    for row, one in zip(axes, drawn, strict=True):
        for cell, plane in zip(row, one.cuts[1], strict=True):
            _show(cell, one, plane, "gray", grey)
    for cell, place in zip(axes[0], PLACES, strict=True):
        cell.set_title(f"After, {place:.0%} through", color=SOFT, fontsize=9)
    if told is not None:
        upper.suptitle(NOTICE, color=LOOK, fontsize=12)
    with replacing(path) as temporary:
        if told is None:
            figure.savefig(temporary, facecolor=GROUND)
        elif temporary.suffix.lower() == ".png":
            _save_stamped(figure, temporary, told.mark)
        else:
            key = "Subject" if temporary.suffix.lower() == ".pdf" else "Description"
            said = f"{NOTICE}. {told.mark.line()}" if told.mark else NOTICE
            figure.savefig(temporary, facecolor=GROUND, metadata={key: said})


def _save_stamped(figure: Any, path: Path, mark: Mark | None) -> None:
    from PIL import Image

    from diff_medical.marks.png import write
    from diff_medical.marks.stamp import stamp

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", facecolor=GROUND)
    pixels = np.array(Image.open(drawn).convert("RGB"))
    stamp(pixels, 2)
    write(path, pixels, mark)


def _show(
    cell: Any, section: Section, plane: Array, colours: str, levels: tuple[float, float]
) -> Any:
    width, height = section.size
    cell.set_axis_off()
    return cell.imshow(
        plane,
        extent=(0, width, 0, height),
        cmap=colours,
        vmin=levels[0],
        vmax=levels[1],
        interpolation="nearest",
    )
