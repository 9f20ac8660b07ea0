"""Scores of an estimate against a reference, with the data range and the mask always explicit.

Numbers of this kind are comparable only when the data range, the mask and the dimensions agree;
`Scores` carries all three. PSNR and SSIM are scikit-image's definitions; SSIM is 3-D with Gaussian
weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.metrics.similarity import inner, similarity
from diff_medical.metrics.structure import edge_sharpness, multiscale_ssim, slice_ssim

__all__ = ["BETTER", "MASKED", "METRICS", "Scores", "score"]

Array = NDArray[np.floating]

MASKED = ("psnr", "ssim", "nmse", "mae")
"""The scores that a mask confines."""
METRICS = ("psnr", "ssim", "ssim_2d", "ms_ssim", "nmse", "mae", "edges")
"""All scores."""
BETTER = {name: -1 if name in ("nmse", "mae") else 1 for name in METRICS}
"""1 for a score that is better when it is higher, else -1."""


@dataclass(frozen=True)
class Scores:
    """Scores of one pair.

    psnr: 10 log10(data_range^2 / MSE), dB; infinite for equal volumes
    ssim: mean structural similarity, Gaussian window of sd 1.5 voxels (11 wide), over `dims` axes.
          Z. Wang et al., "Image quality assessment: from error visibility to structural
          similarity", 2004
    ssim_2d, ms_ssim, scales, edges: see `diff_medical.metrics.structure`; over the whole volume,
          whatever the mask; NaN unless they were asked for
    nmse: sum (est - ref)^2 / sum ref^2
    mae:  mean |est - ref|, in the units of the volumes
    data_range, mask, voxels, dims: what they were computed with
    masked: names of the scores that are of the mask alone, "" without one
    """

    psnr: float
    ssim: float
    nmse: float
    mae: float
    data_range: float
    mask: str
    voxels: int
    dims: int
    ssim_2d: float = float("nan")
    ms_ssim: float = float("nan")
    scales: int = 0
    edges: float = float("nan")
    masked: str = ""


def score(
    reference: Array,
    estimate: Array,
    *,
    data_range: float | None = None,
    mask: Array | None = None,
    mask_name: str = "mask",
    window: tuple[float, float] | None = None,
    structure: bool = False,
) -> Scores:
    """Return the scores of `estimate` against `reference`, both (X, Y, Z) or (X, Y), finite, same
    units.

    data_range: the reference's maximum minus its minimum (all voxels) if not given
    mask:       voxels other than 0 count; SSIM is computed on the whole volume and averaged over
                the mask
    window:     lowest and highest value shown: both volumes are clipped to it first, and it is the
                data range unless that is given
    structure:  also SSIM of slices and over scales, and edge sharpness
    Raises ValueError for shapes that differ, a constant reference without data_range, an empty
    mask.
    """
    if reference.shape != estimate.shape:
        raise ValueError(
            f"estimate has shape {estimate.shape}, the reference {reference.shape}; "
            "expected the same"
        )
    reference = reference.astype(np.float64)
    estimate = estimate.astype(np.float64)
    if window is not None:
        low, high = window
        if not low < high:
            raise ValueError(f"window is {window}; expected the lower value first")
        reference, estimate = reference.clip(low, high), estimate.clip(low, high)
        data_range = high - low if data_range is None else data_range
    if data_range is None:
        data_range = float(reference.max() - reference.min())
    if not data_range > 0:
        raise ValueError(
            f"data_range is {data_range}; expected a positive number (is the reference constant?)"
        )
    if mask is None:
        inside = np.ones(reference.shape, dtype=bool)
        mask_name = "none, all voxels"
    else:
        if mask.shape != reference.shape:
            raise ValueError(
                f"mask has shape {mask.shape}, the reference {reference.shape}; expected the same"
            )
        inside = mask != 0
        if not inside.any():
            raise ValueError("mask has no voxel other than 0; expected at least one")

    error = (estimate - reference)[inside]
    mse = float(np.mean(np.square(error)))
    energy = float(np.sum(np.square(reference[inside])))
    mean_ssim, similarity = _ssim(reference, estimate, data_range)
    more: dict[str, Any] = {}
    if structure:
        ref, est = np.atleast_3d(reference), np.atleast_3d(estimate)
        over_scales, scales = multiscale_ssim(ref, est, data_range)
        more = {
            "ssim_2d": slice_ssim(ref, est, data_range),
            "ms_ssim": over_scales,
            "scales": scales,
            "edges": edge_sharpness(ref, est),
        }
    return Scores(
        psnr=float("inf") if mse == 0 else 10 * float(np.log10(data_range**2 / mse)),
        ssim=mean_ssim if mask is None else float(similarity[inside].mean()),
        nmse=float(np.sum(np.square(error))) / energy if energy > 0 else float("nan"),
        mae=float(np.mean(np.abs(error))),
        data_range=data_range,
        mask=mask_name,
        voxels=int(inside.sum()),
        masked="" if mask is None else " ".join(MASKED),
        dims=sum(n > 1 for n in reference.shape),
        **more,
    )


def _ssim(reference: Array, estimate: Array, data_range: float) -> tuple[float, Array]:
    """scikit-image's mean SSIM (5 voxels at each border left out, as is its custom) and the map.

    Axes of length 1 do not count; an axis thinner than the window repeats its end slices.
    """
    sizes = [n for n in reference.shape if n > 1]
    pad = [(-(-max(0, 11 - n) // 2),) * 2 for n in sizes]
    padded = [np.pad(x.reshape(sizes), pad, mode="edge") for x in (reference, estimate)]
    axes = range(len(sizes))
    luminance, structure = similarity(padded[0], padded[1], data_range, axes)
    full = luminance * structure
    within = tuple(slice(low, low + n) for (low, _), n in zip(pad, sizes, strict=True))
    return float(inner(full, axes).mean()), full[within].reshape(reference.shape)
