"""The enhancer as a transform of MONAI (M. J. Cardoso et al., "MONAI: An open-source framework for
deep learning in healthcare", 2022).

    from diff_medical.monai import Enhanced
    Compose([LoadImaged("image"), EnsureChannelFirstd("image"), Enhanced("image"), ...])
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config.type_definitions import KeysCollection
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform

from diff_medical.enhancer.enhancer import Enhancer
from diff_medical.enhancer.settings import Settings

__all__ = ["Enhanced"]


class Enhanced(MapTransform):
    """Removes the noise of images (channels, X, Y, Z), each channel on its own.

    settings:          how, as for `Enhancer`
    spacing:           voxel size in mm; None takes it from the affine of a MetaTensor, and is 1 mm
                       for an array that has none
    weights:           a model of your own training; None for the one that comes with the package
    enhancer:          instead of `weights` and `device`
    device:            where to compute
    allow_missing_keys: as in every MapTransform

    Affine and other metadata stay as they are, and so do the operations applied before, so that
    `Compose.inverse` and `Invertd` lead back to the space of the file. Raises ValueError for
    an image without a channel axis, and whatever `Enhancer` raises.
    """

    def __init__(
        self,
        keys: KeysCollection,
        settings: Settings | None = None,
        *,
        spacing: tuple[float, float, float] | None = None,
        weights: Path | None = None,
        enhancer: Enhancer | None = None,
        device: str = "auto",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.settings, self.spacing = settings or Settings(), spacing
        self.enhancer = enhancer or Enhancer.from_pretrained(weights, device=device)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        made = dict(data)
        for key in self.key_iterator(made):
            made[key] = self._enhance(made[key])
        return made

    def _enhance(self, image: Any) -> Any:
        if image.ndim != 4:
            raise ValueError(
                f"image has shape {tuple(image.shape)}; expected (channels, X, Y, Z), as "
                "EnsureChannelFirstd gives"
            )
        values = np.asarray(image.detach().cpu() if isinstance(image, torch.Tensor) else image)
        spacing = self.spacing or _spacing(image)
        channels = [self.enhancer(channel, spacing, self.settings).volume for channel in values]
        result = np.stack(channels)
        if isinstance(image, MetaTensor):
            made = MetaTensor(
                torch.from_numpy(result),
                meta=image.meta,
                applied_operations=image.applied_operations,
            )
            return made.to(image.device)
        if isinstance(image, torch.Tensor):
            return torch.from_numpy(result).to(image.device)
        return result


def _spacing(image: Any) -> tuple[float, float, float]:
    if not isinstance(image, MetaTensor):
        return (1.0, 1.0, 1.0)
    x, y, z = (float(size) for size in image.pixdim)
    return (x, y, z)
