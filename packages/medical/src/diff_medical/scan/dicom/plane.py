"""One image of a DICOM series: the header of its file, and where it lies.

A file holds one image, as scanners have written them for decades; the frames of an enhanced
object (DICOM PS3.3, A.36 and A.38: Philips, Siemens XA); or the tiles of a Siemens mosaic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.dicom.mosaic import Layout, is_mosaic, layout
from diff_medical.scan.dicom.pixels import quiet
from diff_medical.scan.refusal import foreign

__all__ = ["FRAME_TYPES", "Plane", "damaged_header", "files_of", "planes_of"]

NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns",
          "BitsAllocated")  # fmt: skip
ASKEW = 0.02  # by which the two directions of a slice may differ from unit vectors at right angles
UNUSABLE = "a slice of the series {}; convert it to NIfTI with dcm2niix"
UNTOLD = "its mosaics do not say in which direction their slices go: along their normal is taken"
# Which functional group of an enhanced object holds an attribute of its frames.
GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "DiffusionBValue": "MRDiffusionSequence",
    "DiffusionDirectionality": "MRDiffusionSequence",
}
FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence")
"""The sequences that hold the type of a frame."""
Array = NDArray[np.float64]
Get = Callable[[str], Any]


@dataclass(frozen=True)
class Plane:
    """An image of a series.

    header:  pydicom's dataset of its file, without pixels
    index:   which image of the file it is, from 0
    held:    "slice" for a file of one image, "frame" or "tile" for one of several
    uid:     of the file's object
    size:    columns, rows
    turn:    (2, 3) directions along a row and along a column, LPS
    place:   (3,) of the first pixel, LPS mm
    apart:   mm between rows, between columns
    depth:   mm to the next slice, as far as it is known, else 0
    thickness: mm that the slice takes, else 0
    file:    number of the file in its series, in the order of acquisition
    colours: values a pixel
    dtype:   of the stored values
    scaling: rescale slope and intercept
    kind:    what is the same for all images of one volume: the echo, the b value, the time
    note:    what a user should know of its place
    """

    header: Any
    index: int
    held: Literal["slice", "frame", "tile"]
    uid: str
    size: tuple[int, int]
    turn: Array
    place: Array
    apart: tuple[float, float]
    depth: float
    thickness: float
    file: int
    colours: int
    dtype: np.dtype[Any]
    scaling: tuple[float, float]
    kind: tuple[str, ...] = ()
    note: str = ""


def planes_of(header: Any, file: int = 0) -> list[Plane]:
    """Return the images of a file by its header, which is number `file` of its series; ValueError
    where their places are not said.
    """
    with foreign(damaged_header), quiet():
        frames = list(header.get("PerFrameFunctionalGroupsSequence") or [])
        count = int(header.get("NumberOfFrames", 1) or 1)
        tiled = is_mosaic(header)
    if frames:
        if len(frames) != count:
            raise damaged_header(f"it promises {count} frames and describes {len(frames)}")
        return [_plane(header, file, number, partial(_of_frame, header, frame), frame)
                for number, frame in enumerate(frames)]  # fmt: skip
    if count > 1:
        raise ValueError(
            UNUSABLE.format("holds several frames in one file without the place of each")
        )
    one = _plane(header, file, 0, header.get, None)
    return _tiles(one, layout(header)) if tiled else [one]


def _of_frame(header: Any, frame: Any, name: str) -> Any:
    """An attribute of a frame: its own, one that all frames share, or one of the file."""
    shared = header.get("SharedFunctionalGroupsSequence") or [{}]
    for groups in (frame, shared[0]):
        held = groups.get(GROUPS[name]) if name in GROUPS else None
        if held and held[0].get(name) is not None:
            return held[0].get(name)
    return header.get(name)


def _plane(header: Any, file: int, number: int, get: Get, frame: Any) -> Plane:
    # pydicom converts a value when it is first asked for, and stumbles in all ways
    with foreign(damaged_header), quiet():
        missing = [name for name in NEEDED if get(name) is None]
    if missing:
        raise ValueError(UNUSABLE.format(f"lacks {missing[0]}"))
    with foreign(damaged_header), quiet():
        rows, columns = (float(v) for v in get("PixelSpacing"))
        slope, inter = get("RescaleSlope"), get("RescaleIntercept")
        thickness = get("SliceThickness") or 0
        one = Plane(
            header=header,
            index=number,
            held="slice" if frame is None else "frame",
            uid=str(header.get("SOPInstanceUID") or ""),
            size=(int(header.Columns), int(header.Rows)),
            turn=np.array([float(v) for v in get("ImageOrientationPatient")]).reshape(2, 3),
            place=np.array([float(v) for v in get("ImagePositionPatient")]).reshape(3),
            apart=(rows, columns),
            depth=float(get("SpacingBetweenSlices") or thickness),
            thickness=float(thickness),
            file=file,
            colours=int(header.get("SamplesPerPixel", 1) or 1),
            dtype=_dtype(header),
            scaling=(
                1.0 if slope is None else float(slope),
                0.0 if inter is None else float(inter),
            ),
            kind=() if frame is None else _kind(header, frame, get),
        )
    if one.colours != 1:
        raise ValueError("holds colour images, not grey values; give a series of grey values")
    _check_geometry(one)
    return one


def _kind(header: Any, frame: Any, get: Get) -> tuple[str, ...]:
    shared = header.get("SharedFunctionalGroupsSequence") or [{}]
    types = [held[0].get("FrameType") for groups in (frame, shared[0]) for name in FRAME_TYPES
             if (held := groups.get(name))]  # fmt: skip
    gradient: Any = None
    if diffusion := frame.get("MRDiffusionSequence"):
        direction = diffusion[0].get("DiffusionGradientDirectionSequence")
        gradient = direction[0].get("DiffusionGradientOrientation") if direction else None
    names = ("EffectiveEchoTime", "DiffusionBValue", "DiffusionDirectionality",
             "TemporalPositionIndex")  # fmt: skip
    return (*(str(get(name)) for name in names), str(gradient), str(types[:1]))


def _tiles(whole: Plane, tiles: Layout) -> list[Plane]:
    """The images of a mosaic, whose position is that of a slice as large as the mosaic."""
    columns, rows = whole.size[0] // tiles.side, whole.size[1] // tiles.side
    half = np.array([whole.size[0] - columns, whole.size[1] - rows]) / 2
    steps = whole.turn * np.array([[whole.apart[1]], [whole.apart[0]]])
    begin = whole.place + half @ steps
    normal = np.cross(*whole.turn)
    if tiles.normal is not None and normal @ tiles.normal < 0:
        normal = -normal
    step = whole.depth or 1.0
    note = "" if tiles.normal is not None else UNTOLD
    return [
        replace(whole, index=number, held="tile", size=(columns, rows), note=note,
                place=begin + number * step * normal)
        for number in range(tiles.count)
    ]  # fmt: skip


def _dtype(header: Any) -> np.dtype[Any]:
    """Return the datatype of the pixels: floats, where the header does not say whether whole
    numbers have a sign.
    """
    signed, size = header.get("PixelRepresentation"), max(8, int(header.BitsAllocated)) // 8
    return np.dtype(f"{'f' if signed is None else 'iu'[int(signed) == 0]}{size}")


def _check_geometry(one: Plane) -> None:
    """ValueError for numbers that are no place, size or direction."""
    right = np.abs(one.turn @ one.turn.T - np.eye(2)).max()  # NaN where one is not finite
    numbers = (*one.apart, *one.place, *one.scaling)
    if not right <= ASKEW or not np.isfinite(numbers).all() or min(*one.apart, *one.size) <= 0:
        raise damaged_header(
            f"{one.size[0]} x {one.size[1]} pixels, {one.apart} mm apart, at "
            f"{one.place.tolist()} along {one.turn.ravel().tolist()}, slope and intercept "
            f"{one.scaling}"
        )


def damaged_header(why: str) -> ValueError:
    """The refusal of a header that holds what none can."""
    return ValueError(f"the header of a slice is damaged ({why}); export it again")


def files_of(planes: Sequence[Plane]) -> list[list[Plane]]:
    """The planes by their file, in the order of the first of each."""
    found: dict[int, list[Plane]] = {}
    for one in planes:
        found.setdefault(id(one.header), []).append(one)
    return list(found.values())
