"""A scan before and after, shown in a notebook with a slider through its slices.

from diff_medical.pages.notebook import Compared
Compared(volume, result.volume)          # the last line of a cell
"""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Compared"]

_MOST = 24
_PAGE = """<div><input type="range" min="0" max="{last}" value="{middle}" style="width:30rem"
aria-label="Slice" oninput="for (const [i, s] of [...this.parentNode.querySelectorAll('figure')]
.entries()) s.hidden = i != this.value"><div>{slices}</div></div>"""
_SLICE = (
    '<figure style="margin:0"{hidden}><img src="data:image/png;base64,{data}" '
    'alt="Slice {number} before, after and the removed part" style="max-width:100%">'
    "<figcaption>slice {number} of {count}: before, after, removed ({gain} times as strong)"
    "</figcaption></figure>"
)


class Compared:
    """A scan and its result, which show themselves in Jupyter, slice by slice, with the removed
    part.

    before, after: (X, Y, Z) or (X, Y), of one shape and unit
    axis:          the axis that the slider walks along; at most 24 slices are shown
    Raises ValueError for volumes of two shapes, or with other axes.
    """

    def __init__(self, before: ArrayLike, after: ArrayLike, *, axis: int = 2) -> None:
        self._before, self._after = (np.asarray(v, np.float32) for v in (before, after))
        shape = self._before.shape
        if shape != self._after.shape or len(shape) not in (2, 3) or 0 in shape:
            raise ValueError(
                f"before and after must be (X, Y, Z) or (X, Y) of one shape, got {shape} and "
                f"{self._after.shape}"
            )
        if not -3 <= axis < 3:
            raise ValueError(f"axis is {axis}; expected 0, 1 or 2")
        if len(shape) == 2:
            self._before, self._after, axis = self._before[..., None], self._after[..., None], 2
        self._axis = axis

    def _repr_html_(self) -> str:
        """Return the HTML of a slider and of the slices."""
        low, high = np.percentile(self._before, (0.5, 99.5))
        span = max(float(high - low), 1e-12)
        change = float(np.percentile(np.abs(self._before - self._after), 99))
        gain = max(1, min(20, round(span / (4 * change)))) if change > 0 else 1
        count = self._before.shape[self._axis]
        numbers = np.unique(np.linspace(0, count - 1, min(count, _MOST)).round().astype(int))
        middle = len(numbers) // 2
        parts: list[str] = []
        for place, number in enumerate(numbers):
            before, after = (np.take(v, number, self._axis) for v in (self._before, self._after))
            removed = 0.5 + gain * (before - after) / span
            shown = [(before - low) / span, (after - low) / span, removed]
            hidden = "" if place == middle else " hidden"
            parts.append(
                _SLICE.format(hidden=hidden, data=_png(shown), number=number + 1, count=count,
                              gain=gain)
            )  # fmt: skip
        return _PAGE.format(last=len(numbers) - 1, middle=middle, slices="".join(parts))


def _png(planes: list[np.ndarray]) -> str:
    """Return planes (X, Y), 0 to 1, side by side with y upwards, as base64."""
    from PIL import Image

    row = np.concatenate([np.pad(plane, ((1, 1), (0, 0))) for plane in planes])
    grey = np.rint(255 * np.clip(row, 0, 1)).astype(np.uint8).T[::-1]
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()
