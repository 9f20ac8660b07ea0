"""The table of a sweep, as text and as CSV, and its picture."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from diff_core.files import replacing
from diff_core.lines import cell
from diff_core.train.curves import read_curves
from diff_core.train.log import hours_trained
from diff_core.train.sweep import Result, Trial

__all__ = ["draw_sweep", "table_lines", "write_table"]

_LEGEND = 12  # settings that a legend holds


def table_lines(results: Sequence[Result], score: str) -> list[str]:
    """Return the lines of a table of settings, in the order given."""
    names = list(results[0].setting.values)
    rows = [[*names, "steps", score, "spread", "seeds"]]
    for found in results:
        values = [_text(value) for value in found.setting.values.values()]
        numbers = [f"{value:.5g}" for value in (found.mean, found.spread)]
        rows.append([*values, str(found.step), *numbers, str(len(found.scores))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True))
        for row in rows
    ]


def write_table(
    path: Path, results: Sequence[Result], runs: Sequence[Sequence[Trial]], score: str
) -> None:
    """Write a CSV file with a row for each run: its values, seed, steps, score, hours and folder.

    runs: the runs of each result
    """
    names = list(results[0].setting.values)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(map(cell, [*names, "seed", "steps", score, "hours", "folder"]))
        for found, trials in zip(results, runs, strict=True):
            for trial, value in zip(trials, found.scores, strict=True):
                hours = hours_trained(trial.folder / "log.jsonl")
                place = trial.folder.relative_to(path.parent).as_posix()
                values = map(_text, found.setting.values.values())
                table.writerow([*map(cell, values), trial.seed, found.step, value, hours, place])


def draw_sweep(
    picture: Path, results: Sequence[Result], runs: Sequence[Sequence[Trial]], score: str
) -> None:
    """Draw the score of each setting over the steps, and over the values of each key, into a PNG.

    A hollow mark stands for a setting that ended before the last rung. Does nothing without
    matplotlib.
    """
    if find_spec("matplotlib") is None:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(results[0].setting.values)
    figure = Figure(figsize=(5 + 3 * len(names), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    widths = [5 / 3, *(1 for _ in names)]
    axes = figure.subplots(1, 1 + len(names), squeeze=False, width_ratios=widths)[0]
    for found, trials in zip(results, runs, strict=True):
        means = _means(trials, score, found.step)
        label = ", ".join(_text(value) for value in found.setting.values.values())
        mark = "." if len(means) < 30 else ""
        axes[0].plot(list(means), list(means.values()), marker=mark, label=label)
    axes[0].set(xlabel="step", ylabel=score)
    if len(results) <= _LEGEND:
        axes[0].legend(fontsize="x-small")
    last = max(found.step for found in results)
    for place, name in zip(axes[1:], names, strict=True):
        place.set_ylabel(score)
        _draw_key(place, name, results, last)
    with replacing(picture) as temporary:
        figure.savefig(temporary, format="png", dpi=90)


def _draw_key(axes: Any, name: str, results: Sequence[Result], last: int) -> None:
    """Draw the scores over the values of one key, evenly spaced in their order."""
    values = list(dict.fromkeys(_text(found.setting.values[name]) for found in results))
    if all(isinstance(found.setting.values[name], int | float) for found in results):
        values.sort(key=float)
    for found in results:
        x = values.index(_text(found.setting.values[name]))
        early = found.step < last and "train.steps" not in found.setting.values
        hollow = {"markerfacecolor": "none"} if early else {}
        bar = 0.0 if math.isnan(found.spread) else found.spread
        axes.errorbar(x, found.mean, bar, marker="o", color="C0", capsize=2, **hollow)
    axes.set(xlabel=name, xticks=range(len(values)), xlim=(-0.5, len(values) - 0.5))
    axes.set_xticklabels(values, rotation=30 if max(map(len, values)) > 6 else 0)


def _means(trials: Sequence[Trial], score: str, until: int) -> dict[int, float]:
    """Return the mean score over the runs at each step that all of them have."""
    curves = [read_curves(trial.folder / "log.jsonl").get(score, {}) for trial in trials]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    return {s: sum(c[s] for c in curves) / len(curves) for s in steps if s <= until}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
