"""Where the slices of a stack lie along their normal: evenly, with gaps, or unevenly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diff_medical.scan.dicom.plane import Plane

__all__ = ["Heights", "heights_of"]

UNEVEN = 0.05  # share of the slice distance by which a slice may lie off its even place
RUN = 3  # steps of one size that are no accident
WIDEST = 5.0  # times the least distance: slices further apart are two stacks
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Heights:
    """The places of slices along their normal.

    places:  (Z,), mm, upwards
    step:    mm from slice to slice; of uneven ones the least
    is_even: whether all slices are that far apart
    """

    places: Array
    step: float
    is_even: bool = True

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know of uneven slices."""
        if self.is_even:
            return ()
        low, high = np.diff(self.places).min(), np.diff(self.places).max()
        return (
            f"its slices are {low:.2f} to {high:.2f} mm apart: DICOM keeps each at its place, "
            f"NIfTI gets even slices, {self.step:.2f} mm apart, interpolated between them",
        )


def heights_of(planes: Sequence[Plane], normal: Array) -> Heights:
    """Return the places of planes in order; ValueError where some seem to be missing."""
    places = np.array([one.place @ normal for one in planes])
    if len(places) == 1:
        depth = planes[0].depth
        return Heights(places, depth if 0 < depth < np.inf else 1.0)
    steps = np.diff(places)
    mean = float(steps.mean())
    even = places[0] + mean * np.arange(len(places))
    if np.abs(places - even).max() <= UNEVEN * mean:
        return Heights(places, mean)
    step = float(steps.min())
    apart = f"its slices are {step:.2f} to {steps.max():.2f} mm apart"
    if _miss(steps, np.array([one.thickness for one in planes])):
        raise ValueError(f"{apart}: some are missing; export the series again")
    if steps.max() > WIDEST * step:
        raise ValueError(f"{apart}, so they are of several scans; put each in a folder of its own")
    return Heights(places, step, is_even=False)


def _miss(steps: Array, thickness: Array) -> bool:
    """Return True where slices seem to be missing: a step is a multiple of the least one.

    A scan that was planned so has a run of such steps, or slices as thick as they are far apart.
    """
    times = np.rint(steps / steps.min())
    whole = np.abs(steps - times * steps.min()) <= UNEVEN * steps.min() * times
    gaps = (times > 1) & (np.minimum(thickness[1:], thickness[:-1]) < 0.75 * steps)
    for first in range(len(steps) - RUN + 1):
        run = slice(first, first + RUN)
        if len(set(times[run])) == 1:
            gaps[run] = False
    return bool((gaps & whole).any())
