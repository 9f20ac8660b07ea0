"""Siemens mosaics: all slices of a volume as the tiles of one picture.

The number of slices and their order stand in private elements alone, of which nibabel reads the
CSA header (nibabel's documentation, "Siemens mosaic format" and "Siemens format DICOM with CSA
header").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.dicom.pixels import quiet

__all__ = ["Layout", "is_mosaic", "join", "layout", "split"]

CREATOR, IMAGES = "SIEMENS MR HEADER", 0x0A  # the number of images in a mosaic, of group 0019


@dataclass(frozen=True)
class Layout:
    """The tiles of a mosaic.

    count:  slices
    side:   tiles in a row and in a column
    normal: (3,) the direction from slice to slice, LPS; None where it is not said
    """

    count: int
    normal: NDArray[np.float64] | None

    @property
    def side(self) -> int:
        return math.isqrt(self.count - 1) + 1


def is_mosaic(header: Any) -> bool:
    """Return True for the header of a mosaic."""
    return "MOSAIC" in [str(value).upper() for value in header.get("ImageType") or []]


def layout(header: Any) -> Layout:
    """Return the layout of a mosaic; ValueError where its header does not say it."""
    csa = _csa(header)
    count = _number(csa, "NumberOfImagesInMosaic") or _private(header)
    if not count:
        raise ValueError(
            "is a Siemens mosaic whose private tags, which say how many slices it holds, are "
            "gone; export it with them, or as single slices"
        )
    found = Layout(count, _normal(csa))
    if header.Rows % found.side or header.Columns % found.side:
        raise ValueError(
            f"is a Siemens mosaic of {header.Columns} x {header.Rows} pixels that cannot hold "
            f"{count} slices; export it again"
        )
    return found


def split(picture: NDArray[Any], count: int) -> list[NDArray[Any]]:
    """The tiles (rows, columns) of a mosaic, in their order: along rows, then downwards."""
    side = math.isqrt(count - 1) + 1
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    tiles = picture.reshape(side, rows, side, columns).transpose(0, 2, 1, 3)
    return list(tiles.reshape(side * side, rows, columns)[:count])


def join(tiles: NDArray[Any]) -> NDArray[Any]:
    """The mosaic of tiles (count, rows, columns); places without a tile are 0."""
    count, rows, columns = tiles.shape
    side = math.isqrt(count - 1) + 1
    filled = np.zeros((side * side, rows, columns), tiles.dtype)
    filled[:count] = tiles
    grid = filled.reshape(side, side, rows, columns).transpose(0, 2, 1, 3)
    return grid.reshape(side * rows, side * columns)


def _csa(header: Any) -> Any:
    try:
        with quiet():  # nibabel calls its readers experimental
            from nibabel.nicom import csareader

            return csareader.get_csa_header(header, "image")  # type: ignore[no-untyped-call]
    except Exception:  # whatever its parsing stumbles over; the other elements are then asked
        return None


def _number(csa: Any, name: str) -> int:
    try:
        return int(csa["tags"][name]["items"][0])
    except (TypeError, KeyError, IndexError, ValueError):
        return 0


def _normal(csa: Any) -> NDArray[np.float64] | None:
    try:
        found = np.array([float(v) for v in csa["tags"]["SliceNormalVector"]["items"][:3]])
    except (TypeError, KeyError, ValueError):
        return None
    return found if found.shape == (3,) and np.isfinite(found).all() and found.any() else None


def _private(header: Any) -> int:
    try:
        return int(header.private_block(0x0019, CREATOR)[IMAGES].value)
    except (KeyError, TypeError, ValueError):
        return 0
