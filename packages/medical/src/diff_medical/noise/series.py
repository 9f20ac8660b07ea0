"""The noise of the volumes of a series (4-D): shared where they agree, else each one's own.

The level of one volume is estimated to a few percent, so the volumes of a run of equal scans take
one level. Files that stack unlike images (contrasts, echoes, magnitude beside real parts) have
volumes of unlike noise, and one level would blur the clean ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from diff_medical.noise.model import Noise

__all__ = ["AGREE", "by_volume"]

AGREE = 1.2
"""Levels agree where the greatest is at most this many times the least."""


def by_volume(found: Sequence[Noise], signed: Sequence[bool]) -> list[Noise]:
    """Return the noise that is assumed for each volume of a series.

    found:  the noise that each volume shows
    signed: whether each volume has negative values

    Volumes whose levels agree share the noise of the one in the middle of them, distribution
    included. Volumes with and without negative values never share one, so the noise of magnitudes
    is not assumed where a value is negative.
    """
    assumed = list(found)
    for side in (False, True):
        order = sorted(
            (i for i in range(len(found)) if signed[i] == side), key=lambda i: found[i].sigma
        )
        while order:
            limit = AGREE * found[order[0]].sigma
            count = sum(found[i].sigma <= limit for i in order)
            group, order = order[:count], order[count:]
            for index in group:
                assumed[index] = found[group[len(group) // 2]]
    return assumed
