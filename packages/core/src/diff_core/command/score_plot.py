"""Scores of many files as a picture: a dot a file, a mean and interval a group."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import numpy as np

from diff_core.evaluate.interval import mean_interval
from diff_core.files import replacing

__all__ = ["plot_scores"]

COLUMNS, MOST_DOTS = 3, 400


def plot_scores(
    groups: Mapping[str, Sequence[Mapping[str, float]]],
    better: Mapping[str, int],
    path: str | os.PathLike[str],
) -> None:
    """Draw one panel for each metric of `better` into `path` (PNG, PDF or SVG by its suffix).

    groups: scores of the files of each group; those that are not finite are left out
    better: +1 for each metric of which more is better, else -1
    """
    from matplotlib.figure import Figure

    rows = math.ceil(len(better) / COLUMNS)
    height = rows * (1.0 + 0.32 * len(groups)) + 0.3
    figure = Figure(figsize=(11.0, height), dpi=120, layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True).ravel()
    rng = np.random.default_rng(0)
    for panel, name in zip(panels, better, strict=False):
        for place, scores in enumerate(groups.values()):
            values = np.array([row[name] for row in scores])
            values = values[np.isfinite(values)]
            dots = values[:: max(1, math.ceil(len(values) / MOST_DOTS))]
            spread = place + rng.uniform(-0.22, 0.22, len(dots))
            panel.plot(dots, spread, ".", color="#9db4c0", markersize=4, zorder=1)
            found = mean_interval(values.tolist())
            if found.count:
                error = None if math.isnan(found.half) else found.half
                panel.errorbar(found.mean, place, xerr=error, fmt="o", color="#0f6f6a", capsize=3)
        arrow = "more" if better[name] > 0 else "less"
        panel.set_title(f"{name.replace('_', '-').upper()} ({arrow} is better)", fontsize=10)
        panel.grid(axis="x", alpha=0.3)
        panel.spines[["top", "right", "left"]].set_visible(False)
        panel.tick_params(left=False)
    panels[0].set_yticks(range(len(groups)), list(groups))
    panels[0].set_ylim(len(groups) - 0.5, -0.5)
    for panel in panels[len(better) :]:
        panel.set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(temporary)
