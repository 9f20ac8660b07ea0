"""A picture of a run's log: loss, rate, gradient and the scores of validations over steps."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from diff_core.files import replacing
from diff_core.train.log import read_log

__all__ = ["draw_curves", "read_curves"]


def read_curves(log: Path) -> dict[str, dict[int, float]]:
    """Values by name and step; what a resumed run has logged again replaces what was there."""
    curves: dict[str, dict[int, float]] = {}
    for row in read_log(log):
        if "step" not in row:
            continue
        step = int(row["step"])
        values = {k: row[k] for k in ("loss", "gradient", "rate") if k in row}
        for name, value in (values | row.get("validation", {})).items():
            curves.setdefault(name, {})[step] = float(value)
    return curves


def draw_curves(log: Path, picture: Path) -> None:
    """Draw a log into a PNG, one small plot a curve; do nothing without matplotlib."""
    if find_spec("matplotlib") is None or not log.is_file():
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = read_curves(log)
    if not curves:
        return
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (name, values) in enumerate(sorted(curves.items()), 1):
        axes = figure.add_subplot(rows, columns, place)
        steps = sorted(values)
        axes.plot(steps, [values[s] for s in steps], marker="." if len(steps) < 30 else "")
        axes.set_title(name)
        axes.set_xlabel("step")
        if name in ("loss", "gradient") and min(values.values()) > 0:
            axes.set_yscale("log")
    with replacing(picture) as temporary:
        figure.savefig(temporary, format="png", dpi=90)
