"""The volumes of a series that are enhanced together, and their estimate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from diff_core.progress import Progress
from diff_medical.enhancer.grid import unfilled
from diff_medical.enhancer.joint import FOLLOW, Joint, evened
from diff_medical.enhancer.low_rank import FEWEST, LowRank, low_rank
from diff_medical.enhancer.outcome import Joined
from diff_medical.enhancer.settings import Settings
from diff_medical.enhancer.shown import Shown
from diff_medical.enhancer.steps import Source
from diff_medical.noise.level import fine_axes, probed
from diff_medical.noise.local import LocalLevels
from diff_medical.scan import scratch
from diff_medical.scan.patterns import not_intensities
from diff_medical.slices.uneven import at_least

__all__ = ["joined_volumes", "joint_estimates"]

Array = NDArray[np.float32]

MUCH = 0.45
"""Share of the noise level that a low rank leaves from which on the network follows it."""


def joined_volumes(
    looks: Sequence[Shown], source: Callable[[int], Source], settings: Settings
) -> list[int]:
    """Return the numbers of the volumes that can be enhanced together: MR of one measured grid
    with noise, whole, and no quantities. None if they are fewer than FEWEST.

    Raises ValueError if they are, and the settings ask for it.
    """
    chosen: list[int] = []
    is_flat = not looks or not fine_axes(source(0).shape, source(0).spacing)
    if settings.series != "network" and not settings.samples and not is_flat:
        grids = Counter(look.measured for look in looks if look.noise.sigma > 0)
        usual = grids.most_common(1)[0][0] if grids else None
        for index, look in enumerate(looks):
            fits = look.modality == "mr" and look.noise.sigma > 0 and look.measured == usual
            if fits and source(index).missing is None and not _quantity(source(index), settings):
                chosen.append(index)
    if len(chosen) >= FEWEST:
        return chosen
    if settings.series in ("lowrank", "both"):
        raise ValueError(
            f"series={settings.series} needs {FEWEST} volumes of magnitudes or more, and "
            f"{len(chosen)} can be enhanced together; use series=network"
        )
    return []


def joint_estimates(
    looks: Sequence[Shown],
    chosen: Sequence[int],
    source: Callable[[int], Source],
    maps: Sequence[LocalLevels | None],
    settings: Settings,
    progress: Progress,
) -> tuple[dict[int, Joint], Joined]:
    """Return the estimate of each of the `chosen` volumes by its number, and the record of all.

    maps: the levels of each voxel that were found for each volume of the series
    """
    first = source(chosen[0])
    counts = looks[chosen[0]].measured
    shape = counts or first.shape
    size = (*shape, len(chosen))
    series = scratch.empty(size, np.float32, large=int(np.prod(size)) > scratch.LARGE)
    spacing = first.spacing
    for number, index in enumerate(chosen):
        volume, look = source(index), looks[index]
        if counts is not None:
            volume = unfilled(volume, counts, positive=look.low >= 0)
            spacing = volume.spacing
        levels = maps[index] or volume.sigma_map
        for planes in volume.steps():
            level = look.noise.sigma if levels is None else at_least(levels(planes), look.noise)
            series[:, :, planes, number] = evened(volume.read(planes), look.noise, level)
        scratch.release(series)
        progress(0.3 * (number + 1) / len(chosen))
    found = low_rank(series, fine_axes(shape, spacing), lambda done: progress(0.3 + 0.7 * done))
    left = float(np.sqrt(np.median(found.left)))
    follows = settings.series == "both" or (settings.series == "auto" and left > MUCH)
    level = FOLLOW * left if follows else None
    made = {
        index: Joint(partial(_planes, found, number), partial(_left, found), level)
        for number, index in enumerate(chosen)
    }
    return made, Joined(tuple(chosen), found.directions, left, found.given_back, follows)


def _quantity(source: Source, settings: Settings) -> bool:
    """Return True for a volume of no intensities, which is left as it is."""
    if settings.modality != "auto":
        return False
    return bool(not_intensities(source.read(probed(source.shape))))


def _planes(found: LowRank, number: int, planes: slice) -> Array:
    return np.array(found.values[:, :, planes, number])


def _left(found: LowRank, planes: slice) -> Array:
    return np.array(found.left[:, :, planes])
