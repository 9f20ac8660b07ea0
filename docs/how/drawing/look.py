"""The common look of all figures: a dark card, as for reading scans and spectrograms.

A card needs no second version for a dark page. What is wide on a desk is drawn once more for a
narrow window: NAME.webp and NAME-narrow.webp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

__all__ = ["CARD", "COLOURS", "INK", "Panel", "chart", "decibels", "panels"]

CARD, INK, MUTED, RULE = "#14181f", "#e3e7ec", "#98a3b1", "#2b3340"
COLOURS = ("#6cb8ff", "#ffb454", "#86d993", "#ff7f96", "#c6a4ff", "#6fd6cd", "#f2e27a", "#b8c1cc")
WIDE, NARROW = 7.6, 3.9  # inches: of 100 pixels of a page each

STYLE: Any = {
    "axes.edgecolor": RULE,
    "axes.facecolor": CARD,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "figure.facecolor": CARD,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "grid.color": RULE,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.9,
    "savefig.facecolor": CARD,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


@dataclass(frozen=True)
class Panel:
    """An image (H, W) and the words over it; `options` are those of `imshow`.

    ring: column and row of what to look at
    """

    image: NDArray[Any]
    title: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    ring: tuple[float, float] | None = None


def panels(
    shown: Sequence[Panel],
    path: Path,
    *,
    wide: int,
    narrow: int,
    aspect: float,
    rows: Sequence[str] = (),
) -> None:
    """Images in `wide` columns, and in `narrow` columns for a narrow window.

    aspect: height of an image, in widths
    rows:   what each of `shown`'s rows of `wide` images is; a narrow window has them one after
            the other
    """
    blocks = [shown[i : i + wide] for i in range(0, len(shown), wide)] if rows else [shown]
    for columns, width, name in ((wide, WIDE, path), (narrow, NARROW, _narrow(path))):
        counts = [-(-len(block) // columns) for block in blocks]
        side = (width - 0.12) / columns
        lines = max(panel.title.count("\n") for panel in shown) + 1
        per_row = side * aspect + 0.17 * lines + 0.1
        heading = 0.36 if rows else 0.0
        heights = [count * per_row + heading for count in counts]
        with rc_context(STYLE):
            close = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.04)
            figure = Figure(figsize=(width, sum(heights) + 0.08), layout=close)
            parts = figure.subfigures(len(blocks), 1, squeeze=False, height_ratios=heights)[:, 0]
            for number, (part, block, count) in enumerate(zip(parts, blocks, counts, strict=True)):
                if rows:
                    part.suptitle(rows[number], fontsize=10, color=MUTED, x=0.01, ha="left")
                axes = part.subplots(count, columns, squeeze=False).ravel()
                for axis in axes:
                    axis.axis("off")
                for axis, panel in zip(axes, block, strict=False):
                    axis.imshow(panel.image, aspect="auto", **panel.options)
                    if panel.ring:
                        axis.plot(
                            *panel.ring, "o", markersize=19, markeredgecolor=COLOURS[1],
                            markerfacecolor="none", markeredgewidth=1.3,
                        )  # fmt: skip
                    axis.set_title(panel.title, fontsize=9, linespacing=1.25, pad=3)
            _save(figure, name.with_suffix(".webp"))


def chart(
    path: Path,
    draw: Callable[[Sequence[Axes]], None],
    *,
    count: int,
    height: float,
    lossless: bool = True,
) -> None:
    """`draw` on `count` axes: side by side, and one below the other for a narrow window."""
    for name, rows, columns, size in (
        (path, 1, count, (WIDE, height)),
        (_narrow(path), count, 1, (NARROW, 2.9 * count)),
    ):
        with rc_context(STYLE):
            figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.08))
            draw(figure.subplots(rows, columns, squeeze=False).ravel().tolist())
            _save(figure, name.with_suffix(".webp"), lossless)


def decibels(log_snr: float) -> str:
    """10 log10(alpha^2 / sigma^2) of a log-SNR, in words."""
    if not np.isfinite(log_snr):
        return "−∞ dB" if log_snr < 0 else "∞ dB"
    return f"{20 * log_snr / np.log(10):.0f} dB".replace("-", "−")


def _narrow(path: Path) -> Path:
    return path.with_name(path.name + "-narrow")


def _save(figure: Figure, path: Path, lossless: bool = False) -> None:
    """Save a figure: lines without loss, which are small; noise with loss."""
    options = {"lossless": lossless, "quality": 72, "method": 4}
    figure.savefig(path, dpi=200 if lossless else 150, pil_kwargs=options)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB", flush=True)
