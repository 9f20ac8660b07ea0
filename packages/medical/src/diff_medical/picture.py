"""A picture of a scan before and after enhancing: three planes, and what was taken away."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_core.files import replacing

__all__ = ["before_after", "colour_limit", "grey_levels", "upright"]

Array = NDArray[np.float32]
CT_WINDOW = (-160.0, 240.0)  # HU, soft tissue


def before_after(
    noisy: Array,
    enhanced: Array,
    spacing: tuple[float, float, float],
    path: str | os.PathLike[str],
    modality: str = "mr",
    affine: NDArray[np.floating] | None = None,
) -> None:
    """Draws the middle planes of two volumes (X, Y, Z) and their difference into `path`.

    With the scan's `affine` (4, 4) the patient stands upright, facing up in axial planes, left on
    the left ("neurological"); without, or with one that is not usable, axes are as stored. The
    suffix of `path` decides the format (PNG, PDF, SVG). Voxels are drawn in their true
    proportions, both volumes on one grey scale (for CT the soft-tissue window), the residual on
    its own, symmetric around 0. Raises ValueError for shapes that differ or are not 3-D.
    """
    # Not pyplot: it keeps global state and may look for a screen.
    from matplotlib.figure import Figure

    if noisy.shape != enhanced.shape or noisy.ndim != 3:
        raise ValueError(
            f"noisy is {noisy.shape}, enhanced {enhanced.shape}; expected one shape (X, Y, Z)"
        )
    if affine is not None:
        (noisy, spacing), (enhanced, _) = (
            upright(volume, spacing, affine) for volume in (noisy, enhanced)
        )
    residual = noisy - enhanced
    low, high = grey_levels(enhanced, modality)
    spread = colour_limit(residual, high - low)

    drawn = [
        axis for axis in range(3) if min(n for a, n in enumerate(noisy.shape) if a != axis) > 1
    ]
    sizes = [_extent(noisy.shape, spacing, axis) for axis in drawn]
    widths, heights = [w for w, _ in sizes], [h for _, h in sizes]
    # one unit of length for all planes, so that they keep their proportions to each other
    unit = 9.6 / (3 * max(widths))
    figure = Figure(
        figsize=(11.0, unit * sum(heights) + 0.75 + 0.1 * len(drawn)),
        dpi=130,
        layout="constrained",
        facecolor="#111418",
    )
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)  # type: ignore[union-attr]
    axes = figure.subplots(len(drawn), 3, squeeze=False, height_ratios=heights)
    titles = ("Before", "After", "Removed (before − after)")
    image: Any = None
    for row, axis in zip(axes, drawn, strict=True):
        for cell, volume, title in zip(row, (noisy, enhanced, residual), titles, strict=True):
            plane = np.take(volume, volume.shape[axis] // 2, axis=axis)
            left, right = [a for a in range(3) if a != axis]
            is_residual = title.startswith("Removed")
            image = cell.imshow(
                plane.T,
                origin="lower",
                aspect=spacing[right] / spacing[left],
                cmap="RdBu_r" if is_residual else "gray",
                vmin=-spread if is_residual else low,
                vmax=spread if is_residual else high,
                interpolation="nearest",
            )
            cell.set_axis_off()
            if axis == drawn[0]:
                cell.set_title(title, color="white", fontsize=12)
    bar = figure.colorbar(image, ax=axes[:, 2], shrink=0.6, pad=0.02)
    bar.ax.tick_params(colors="white", labelsize=8)
    bar.set_label("HU" if modality == "ct" else "intensity", color="white", fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, facecolor=figure.get_facecolor())


def upright(
    volume: Array, spacing: tuple[float, float, float], affine: NDArray[np.floating]
) -> tuple[Array, tuple[float, float, float]]:
    """Volume and voxel sizes with the axes in the order right, front, head."""
    from nibabel.orientations import apply_orientation, io_orientation

    turn = io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    if np.isnan(turn).any():
        return volume, spacing
    first, second, third = np.argsort(turn[:, 0])
    return apply_orientation(volume, turn), (spacing[first], spacing[second], spacing[third])


def grey_levels(volume: Array, modality: str) -> tuple[float, float]:
    """Black and white: the soft-tissue window of CT, else the 1st to the 99.8th percentile."""
    if modality == "ct":
        return CT_WINDOW
    low, high = np.quantile(volume[::2, ::2], [0.01, 0.998])
    return float(low), float(high) if high > low else float(low) + 1.0


def colour_limit(residual: Array, contrast: float) -> float:
    """The value at the ends of the colours of a residual, of an image of that contrast."""
    return max(float(np.quantile(np.abs(residual[::2, ::2]), 0.995)), 1e-6 * contrast, 1e-12)


def _extent(
    shape: tuple[int, ...], spacing: tuple[float, float, float], axis: int
) -> tuple[float, float]:
    """Width and height of the plane across `axis`, mm."""
    left, right = [a for a in range(3) if a != axis]
    return shape[left] * spacing[left], shape[right] * spacing[right]
