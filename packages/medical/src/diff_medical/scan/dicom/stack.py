"""The slices of a DICOM series as one volume: in order, checked, read from their files when asked.

What does not make one volume is refused with what is wrong: slices missing or of different sizes,
a tilted gantry, pixels that no installed decoder reads.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan import scratch
from diff_medical.scan.refusal import foreign

__all__ = ["Stack", "quiet", "scaling_of", "stacked"]

UNEVEN = 0.01  # share of the slice distance by which distances may differ
TILT = 0.02  # mm of sideways shift for each mm between slices above which the gantry was tilted
ASKEW = 0.02  # by which the two directions of a slice may differ from unit vectors at right angles
NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
          "BitsAllocated")  # fmt: skip
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stack:
    """The slices of one series, in the order of their places. Their pixels stay in their files
    until they are asked for, one slice at a time.

    slices:  pydicom datasets, one a place, without pixels; each knows its file
    shape:   (X, Y, Z)
    dtype:   that holds the stored values of every slice
    scaling: (Z, 2), rescale slope and intercept of each slice
    affine:  (4, 4), voxel (x, y, z) to RAS mm
    repeats: how many further slices lie at places that are already taken
    keeper:  what must live as long as the files, such as the temporary folder that they are in
    """

    slices: tuple[Any, ...]
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    scaling: Array
    affine: Array
    repeats: int = 0
    keeper: object = None

    @property
    def is_large(self) -> bool:
        """True if the volume is too large to be held in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) > scratch.LARGE

    def stored(self) -> NDArray[Any]:
        """(X, Y, Z) values as stored, before slope and intercept; ValueError if not decodable.

        In Fortran order; a large one lies on the disk (`diff_medical.scan.scratch`).
        """
        return self._filled(self.dtype, lambda plane, _: plane)

    def values(self) -> NDArray[np.float32]:
        """(X, Y, Z) values with slope and intercept applied: HU for CT. Else as `stored`."""

        def real(plane: NDArray[Any], number: int) -> NDArray[Any]:
            slope, inter = self.scaling[number]
            return plane * slope + inter

        return self._filled(np.dtype(np.float32), real)

    def _filled(self, dtype: np.dtype[Any], convert: Any) -> NDArray[Any]:
        # the first is decoded before room is made: a damaged header may promise any size
        plane = self._plane(0)
        made = scratch.empty(self.shape, dtype, large=self.is_large)
        for number in range(self.shape[2]):
            plane = self._plane(number) if number else plane
            made[:, :, number] = convert(plane, number)
            scratch.release(made)
        return made

    def _plane(self, number: int) -> NDArray[Any]:
        """(X, Y) of a slice as stored."""
        plane = _decoded(self.slices[number]).T
        if plane.shape != self.shape[:2] or not np.can_cast(plane.dtype, self.dtype):
            raise ValueError(
                f"the pixels of a slice are {plane.shape} of {plane.dtype}, its header says "
                f"{self.shape[:2]} of {self.dtype}; export it again"
            )
        return plane


@dataclass(frozen=True)
class _Numbers:
    """The header of a slice, as numbers.

    turn:   (2, 3) directions along a row and along a column, LPS
    place:  (3,) of the first pixel, mm
    apart:  mm between rows, between columns
    depth:  mm that the slice takes, as far as it says, else 0
    colours, frames: numbers of values a pixel, and of images in the file
    """

    size: tuple[int, int]
    apart: tuple[float, float]
    turn: Array
    place: Array
    depth: float
    number: int
    colours: int
    frames: int
    dtype: np.dtype[Any]
    scaling: tuple[float, float]


@contextmanager
def quiet() -> Generator[None]:
    """Without pydicom's remarks on other makers' habits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def stacked(slices: Sequence[Any], keeper: object = None) -> Stack:
    """Datasets of one series, in any order, as a stack; ValueError if they make none."""
    found = [_numbers(one) for one in slices]
    for one in found:
        if one.frames > 1:
            raise ValueError(_UNUSABLE.format("holds several frames in one file"))
        if one.colours != 1:
            raise ValueError("holds colour images, not grey values; give a series of grey values")
        _check_geometry(one)
    first = found[0]
    turns = np.array([one.turn for one in found])
    same = len({(one.size, one.apart) for one in found}) == 1
    if not same or np.abs(turns - first.turn).max() > 1e-3:
        raise ValueError(
            "its slices differ in size, spacing or direction; put those of one scan in a folder"
        )
    normal = np.cross(*first.turn)
    heights = np.array([one.place @ normal for one in found])
    order = sorted(range(len(found)), key=lambda i: (round(heights[i], 3), found[i].number))
    kept: list[int] = []
    for i in order:
        if not kept or heights[i] - heights[kept[-1]] > 1e-3:
            kept.append(i)
    chosen = [found[i] for i in kept]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first.turn[0] * first.apart[1], first.turn[1] * first.apart[0]
    affine[:3, 2] = normal * _step(heights[kept], chosen[0])
    affine[:3, 3] = chosen[0].place
    _refuse_tilt(np.array([one.place for one in chosen]), normal)
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM counts to the left and to the back
    return Stack(
        tuple(slices[i] for i in kept),
        (*first.size, len(kept)),
        np.result_type(*{one.dtype for one in chosen}),
        np.array([one.scaling for one in chosen]),
        to_ras @ affine,
        len(order) - len(kept),
        keeper,
    )


_UNUSABLE = "a slice of the series {}; convert it to NIfTI with dcm2niix"


def _damaged(why: str) -> ValueError:
    return ValueError(f"the header of a slice is damaged ({why}); export it again")


def _numbers(one: Any) -> _Numbers:
    # pydicom converts a value when it is first asked for, and stumbles in all ways
    with foreign(_damaged), quiet():
        missing = [tag for tag in NEEDED if one.get(tag) is None]
    if missing:
        raise ValueError(_UNUSABLE.format(f"lacks {missing[0]}"))
    with foreign(_damaged), quiet():
        rows, columns = (float(v) for v in one.PixelSpacing)
        depth = one.get("SpacingBetweenSlices") or one.get("SliceThickness") or 0
        return _Numbers(
            (int(one.Columns), int(one.Rows)),
            (rows, columns),
            np.array([float(v) for v in one.ImageOrientationPatient]).reshape(2, 3),
            np.array([float(v) for v in one.ImagePositionPatient]).reshape(3),
            float(depth),
            int(one.get("InstanceNumber", 0) or 0),
            int(one.get("SamplesPerPixel", 1) or 1),
            int(one.get("NumberOfFrames", 1) or 1),
            _dtype(one),
            scaling_of(one),
        )


def _dtype(one: Any) -> np.dtype[Any]:
    """Return the datatype of the pixels: floats, where the header does not say whether whole
    numbers have a sign.
    """
    signed, size = one.get("PixelRepresentation"), max(8, int(one.BitsAllocated)) // 8
    return np.dtype(f"{'f' if signed is None else 'iu'[int(signed) == 0]}{size}")


def scaling_of(one: Any) -> tuple[float, float]:
    """Rescale slope and intercept of a dataset."""
    slope, inter = one.get("RescaleSlope"), one.get("RescaleIntercept")
    return 1.0 if slope is None else float(slope), 0.0 if inter is None else float(inter)


def _check_geometry(one: _Numbers) -> None:
    """ValueError for numbers that are no place, size or direction."""
    right = np.abs(one.turn @ one.turn.T - np.eye(2)).max()  # NaN where one is not finite
    numbers = (*one.apart, *one.place, *one.scaling)
    if not right <= ASKEW or not np.isfinite(numbers).all() or min(*one.apart, *one.size) <= 0:
        raise _damaged(
            f"{one.size[0]} x {one.size[1]} pixels, {one.apart} mm apart, at "
            f"{one.place.tolist()} along {one.turn.ravel().tolist()}, slope and intercept "
            f"{one.scaling}"
        )


def _step(heights: Array, first: _Numbers) -> float:
    """mm between slices."""
    if len(heights) == 1:
        return first.depth if 0 < first.depth < np.inf else 1.0
    steps = np.diff(heights)
    step = float(np.median(steps))
    if np.abs(steps - step).max() > UNEVEN * step + 0.01:
        raise ValueError(
            f"its slices are {steps.min():.2f} to {steps.max():.2f} mm apart: some are missing; "
            "export the series again"
        )
    return step


def _refuse_tilt(places: Array, normal: Array) -> None:
    """ValueError where slices are shifted against each other, as under a tilted gantry."""
    if len(places) < 2:
        return
    path = places[-1] - places[0]
    height = float(path @ normal)
    shift = float(np.linalg.norm(path - height * normal))
    if shift > TILT * height:
        angle = np.degrees(np.arctan2(shift, height))
        raise ValueError(
            f"its gantry was tilted by {angle:.1f} degrees, so its slices are no straight stack; "
            "resample it first, as dcm2niix does"
        )


def _decoded(one: Any) -> NDArray[Any]:
    """(rows, columns) as stored, out of the file of the dataset."""
    from pydicom.pixels import pixel_array  # type: ignore[reportPrivateImportUsage]

    syntax = one.file_meta.get("TransferSyntaxUID")

    def refusal(why: str) -> ValueError:
        if syntax is not None and syntax.is_compressed and not _decodes(syntax):
            return ValueError(
                f"its pixels are compressed ({syntax.name}) and no decoder is installed; "
                "pip install 'pylibjpeg[all]', or decompress it with dcmdjpeg or gdcmconv"
            )
        return ValueError(f"its pixels cannot be decoded ({why}); export it again")

    with foreign(refusal), quiet():
        return pixel_array(Path(one.filename))


def _decodes(syntax: Any) -> bool:
    from pydicom.pixels import get_decoder  # type: ignore[reportPrivateImportUsage]

    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False
