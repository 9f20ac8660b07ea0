"""A picture of spoken text: the mel, and the symbol that each of its frames belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from diff_core.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

    from diff_audio.spectra.mel import Mel

__all__ = ["draw", "figure"]


def figure(
    mel: Tensor, durations: Tensor, symbols: Sequence[str], definition: Mel, title: str
) -> Any:
    """A matplotlib figure of a log-mel (bands, N) with its symbols below it.

    durations: (I,) frames of each of the `symbols`, begin and end counted.
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(max(8.0, 0.022 * mel.shape[1]), 4.5), layout="constrained")
    above, below = picture.subplots(2, sharex=True, height_ratios=[3, 2])
    seconds = definition.hop / definition.sample_rate
    ends = durations.cumsum(0).numpy() * seconds
    starts = ends - durations.numpy() * seconds
    extent = (0.0, mel.shape[1] * seconds, 0.0, float(definition.mels))
    above.imshow(mel.numpy(), origin="lower", aspect="auto", extent=extent, cmap="magma")
    above.set_ylabel("mel band")
    above.set_title(title, fontsize=9, loc="left")
    for start, end, symbol in zip(starts, ends, symbols, strict=True):
        above.axvline(end, color="white", linewidth=0.3)
        above.text((start + end) / 2, 1, symbol, color="white", fontsize=6, ha="center")
    order = np.arange(len(ends))
    below.barh(order, ends - starts, left=starts, height=1.0, color="tab:blue")
    below.set_ylabel("symbol")
    below.set_xlabel("time, s")
    below.invert_yaxis()
    return picture


def draw(
    mel: Tensor, durations: Tensor, symbols: Sequence[str], definition: Mel, title: str, path: Path
) -> None:
    """Write `figure` as a PNG."""
    with replacing(path) as temporary:
        figure(mel, durations, symbols, definition, title).savefig(temporary, dpi=110)
