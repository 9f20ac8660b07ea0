"""The images of a DICOM series as one volume, or several of them at the same places: in order,
checked, read from their files when asked.

What does not make one is refused with what is wrong: slices missing or of different sizes, a
tilted gantry, pixels that no installed decoder reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan import scratch
from diff_medical.scan.dicom.heights import Heights, heights_of
from diff_medical.scan.dicom.mosaic import split
from diff_medical.scan.dicom.pixels import images, quiet
from diff_medical.scan.dicom.plane import Plane, damaged_header, files_of, planes_of
from diff_medical.scan.refusal import foreign

__all__ = ["Stack", "stacked"]

TILT = 0.02  # mm of sideways shift for each mm between slices above which the gantry was tilted
SAME = 1e-3  # mm between the places of two images below which they are one
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stack:
    """The images of one series, in the order of their places. Their pixels stay in their files
    until they are asked for, one file at a time.

    planes:  one a place, without pixels; of several volumes those of the first come first
    shape:   (X, Y, Z), of several volumes (X, Y, Z, V)
    dtype:   that holds the stored values of every image
    scaling: (planes, 2), rescale slope and intercept of each
    affine:  (4, 4), voxel (x, y, z) to RAS mm; of uneven slices as if they were even
    heights: where the slices lie along their normal
    repeats: how many further images lie at places that are already taken
    keeper:  what must live as long as the files, such as the temporary folder that they are in
    notes:   what a user should know of how it was put together
    """

    planes: tuple[Plane, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scaling: Array
    affine: Array
    heights: Heights
    repeats: int = 0
    keeper: object = None
    notes: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[Any, ...]:
        """pydicom's datasets of the files, without pixels, each once, in the order of places."""
        return tuple(planes[0].header for planes in files_of(self.planes))

    @property
    def is_large(self) -> bool:
        """True if a volume is too large to be held in memory."""
        return int(np.prod(self.shape[:3], dtype=np.int64)) > scratch.LARGE

    def stored(self) -> NDArray[Any]:
        """Return the values as stored, of the stack's shape, before slope and intercept;
        ValueError if not decodable.

        In Fortran order; a large one lies on the disk (`diff_medical.scan.scratch`).
        """
        return self._filled(self.dtype, lambda plane, _: plane)

    def values(self) -> NDArray[np.float32]:
        """Return the values with slope and intercept applied: HU for CT. Else as `stored`."""

        def real(plane: NDArray[Any], number: int) -> NDArray[Any]:
            slope, inter = self.scaling[number]
            return plane * slope + inter

        return self._filled(np.dtype(np.float32), real)

    def _filled(self, dtype: np.dtype[Any], convert: Any) -> NDArray[Any]:
        # the first is decoded before room is made: a damaged header may promise any size
        made: NDArray[Any] | None = None
        for number, plane in self._decoded():
            if made is None:
                made = scratch.empty(self.shape, dtype, large=self.is_large)
            made.reshape(*self.shape[:2], -1, order="F")[:, :, number] = convert(plane, number)
            scratch.release(made)
        assert made is not None  # a stack has a plane
        return made

    def _decoded(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the number of each plane and its (X, Y) values as stored, file by file."""
        numbers = {id(one): number for number, one in enumerate(self.planes)}
        for planes in files_of(self.planes):
            found = pictures(planes)
            for one in sorted(planes, key=lambda plane: plane.index):
                yield numbers[id(one)], self._checked(found, one)

    def _checked(self, found: Iterator[tuple[int, NDArray[Any]]], one: Plane) -> NDArray[Any]:
        plane = next((image.T for index, image in found if index == one.index), None)
        said = "missing" if plane is None else f"{plane.shape} of {plane.dtype}"
        fits = plane is not None and plane.shape == self.shape[:2]
        if plane is None or not fits or not np.can_cast(plane.dtype, self.dtype):
            raise ValueError(
                f"the pixels of a slice are {said}, its header says "
                f"{self.shape[:2]} of {self.dtype}; export it again"
            )
        return plane


def pictures(planes: Sequence[Plane]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the number and the pixels (rows, columns) of each image in the file of `planes`."""
    first = planes[0]
    for number, image in enumerate(images(first.header)):
        if first.held == "tile":
            yield from enumerate(split(image, max(one.index for one in planes) + 1))
            return
        yield number, image


def stacked(headers: Sequence[Any], keeper: object = None) -> Stack:
    """Return the files of a series, in any order, as a stack; ValueError if they make none."""
    ordered = sorted(headers, key=_acquired)
    found = [one for number, header in enumerate(ordered) for one in planes_of(header, number)]
    first = found[0]
    turns = np.array([one.turn for one in found])
    same = len({(one.size, one.apart) for one in found}) == 1
    if not same or np.abs(turns - first.turn).max() > 1e-3:
        raise ValueError(
            "its slices differ in size, spacing or direction; put those of one scan in a folder"
        )
    normal = np.cross(*first.turn)
    places, twice = _without_copies(_by_place(found, normal))
    if all(one.held == "slice" for one in found):
        volumes, repeats = [[images[0] for images in places]], sum(map(len, places)) - len(places)
    else:
        volumes, repeats = _volumes(places), 0
    lowest = volumes[0]
    heights = heights_of(lowest, normal)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first.turn[0] * first.apart[1], first.turn[1] * first.apart[0]
    affine[:3, 2] = normal * heights.step
    affine[:3, 3] = lowest[0].place
    _refuse_tilt(np.array([one.place for one in lowest]), normal)
    chosen = tuple(one for volume in volumes for one in volume)
    count = (len(volumes),) if len(volumes) > 1 else ()
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])  # DICOM counts to the left and to the back
    notes = (_copies(twice),) if twice else ()
    return Stack(
        chosen,
        (*first.size, len(places), *count),
        np.result_type(*{one.dtype for one in chosen}),
        np.array([one.scaling for one in chosen]),
        to_ras @ affine,
        heights,
        repeats,
        keeper,
        (*notes, *({one.note: None for one in chosen if one.note}), *heights.notes()),
    )


def _acquired(header: Any) -> tuple[int, int, str, str]:
    """The order of files: by number, by acquisition, by time, by name."""
    with foreign(damaged_header), quiet():
        numbers = [int(header.get(name) or 0) for name in ("InstanceNumber", "AcquisitionNumber")]
        times = [str(header.get(name) or "") for name in
                 ("AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime")]  # fmt: skip
    return numbers[0], numbers[1], " ".join(times), str(header.filename)


def _by_place(found: Sequence[Plane], normal: Array) -> list[list[Plane]]:
    """The images at each place, upwards, in the order of their numbers."""
    heights = {id(one): float(one.place @ normal) for one in found}
    places: list[list[Plane]] = []
    for one in sorted(found, key=lambda one: (round(heights[id(one)], 3), one.file, one.index)):
        if places and heights[id(one)] - heights[id(places[-1][0])] <= SAME:
            places[-1].append(one)
        else:
            places.append([one])
    return places


def _without_copies(places: list[list[Plane]]) -> tuple[list[list[Plane]], int]:
    """The places without exact repeats, as of files that were sent twice, and their number of
    files. They have the identity, the place and the pixels of another; some anonymisers give one
    identity to all files, so that alone is not enough.
    """
    kept: list[list[Plane]] = []
    copies: set[int] = set()
    for images_there in places:
        own: list[Plane] = []
        for one in images_there:
            twin = next((o for o in own if (o.uid, o.index) == (one.uid, one.index)), None)
            if one.uid and twin and (id(one.header) in copies or _is_copy(one, twin)):
                copies.add(id(one.header))
            else:
                own.append(one)
        kept.append(own)
    return kept, len(copies)


def _copies(count: int) -> str:
    does = "repeats another and is" if count == 1 else "repeat others and are"
    return f"{count} of its files {does} left out"


def _is_copy(one: Plane, other: Plane) -> bool:
    mine, its = (next(image for number, image in pictures([p]) if number == p.index)
                 for p in (one, other))  # fmt: skip
    return one.scaling == other.scaling and np.array_equal(mine, its)


def _volumes(places: list[list[Plane]]) -> list[list[Plane]]:
    """The volumes of files that hold several images: the first at each place, the second, ...

    Where the order of the images differs from place to place, they are put in that of what tells
    them apart. Raises ValueError where places hold unlike images.
    """
    counts = {len(there) for there in places}
    if len(counts) == 1:
        for order in (None, lambda one: (one.file, one.kind, one.index)):
            sorted_ = [sorted(there, key=order) if order else there for there in places]
            volumes = [list(volume) for volume in zip(*sorted_, strict=True)]
            if all(len({one.kind for one in volume}) == 1 for volume in volumes):
                return volumes
        raise ValueError(
            "holds unlike images (echoes, b values, times) at its places; put each in a file of "
            "its own, or convert it to NIfTI with dcm2niix"
        )
    raise ValueError(
        f"holds {min(counts)} to {max(counts)} images at a place, so some are missing or are of "
        "another scan; export it again, one scan in a folder"
    )


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
