"""A napari widget: the enhanced layer, and the removed part as a layer of its own.

napari builds the widget from the types of `enhance`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import napari.layers
    import napari.types

    from diff_medical import Enhancer

__all__ = ["enhance"]


@cache
def _enhancer() -> Enhancer:
    from diff_medical import Enhancer

    return Enhancer.from_pretrained()


def enhance(
    scan: napari.layers.Image,
    modality: Literal["auto", "mr", "ct"] = "auto",
    strength: float = 1.0,
    quality: Literal["draft", "default", "best"] = "default",
) -> list[napari.types.LayerDataTuple]:
    """Return layers with the enhanced scan and with the removed part.

    scan: a grey image layer, 2-D or 3-D, whose scale is the size of its voxels in mm. napari's
          axes are (Z, Y, X); the order does not matter to the enhancer.
    """
    from diff_medical import Settings

    values = np.asarray(scan.data)
    if values.ndim not in (2, 3) or getattr(scan, "rgb", False):
        raise ValueError(f"{scan.name} is no grey image with 2 or 3 axes; choose another layer")
    sizes = [abs(float(size)) for size in scan.scale][-values.ndim :]
    spacing = (*sizes, *[sizes[-1]] * (3 - len(sizes)))
    settings = Settings(modality=modality, strength=strength, quality=quality)
    result = _enhancer()(values.astype(np.float32), spacing, settings)
    common: dict[str, Any] = {"scale": scan.scale, "translate": scan.translate}
    limits = {"contrast_limits": tuple(scan.contrast_limits), "colormap": "gray"}
    note = {"metadata": {"unchanged": result.unchanged, "noise": float(result.noise.sigma)}}
    removed = values - result.volume
    return [
        (result.volume, {"name": f"{scan.name} enhanced", **common, **limits, **note}, "image"),
        (removed, {"name": f"{scan.name} removed", "visible": False, **common}, "image"),
    ]
