"""The scores of many files as a table: for people, as CSV, as JSON and as a picture."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from diff_audio.metrics.files import Scored, summary

if TYPE_CHECKING:
    from diff_core.evaluate import Summary

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """The scores of all files.

    rows:   what is scored, by file
    places: group by file
    names:  scores, in the order in which they are printed
    failed: why a file has no scores, by file
    """

    rows: Mapping[str, Scored]
    places: Mapping[str, str]
    names: Sequence[str]
    failed: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def groups(self) -> dict[str, list[dict[str, float]]]:
        """The scores of each group, sorted by group."""
        groups: dict[str, list[dict[str, float]]] = {}
        for name in sorted(self.rows, key=lambda name: self.places[name]):
            groups.setdefault(self.places[name], []).append(self.rows[name].scores)
        return groups

    def means(self) -> list[tuple[str | None, dict[str, Summary], int]]:
        """Return the means of each group, if there are several, and of all files (None), each with
        the number of files that failed.
        """
        groups: dict[str, list[Scored]] = {}
        for name in sorted(self.rows, key=lambda name: self.places[name]):
            groups.setdefault(self.places[name], []).append(self.rows[name])
        failed = Counter(self.places[name] for name in self.failed)
        several = [(g, self._summary(some), failed[g]) for g, some in groups.items()]
        every = self._summary(list(self.rows.values()))
        return [*(several if len(groups) > 1 else []), (None, every, len(self.failed))]

    def _summary(self, rows: Sequence[Scored]) -> dict[str, Summary]:
        from diff_audio.metrics.scores import WER

        found = summary([row.scores for row in rows], self.names)
        if WER in found:  # of all words: a rate of a short file weighs less
            from diff_audio.metrics.words import pooled

            found[WER] = pooled([row.words for row in rows])
        return found

    def json(self) -> Iterator[str]:
        """Yield one line for each file, and one for each mean; an undefined score is null."""
        for name, row in self.rows.items():
            lag = {} if row.lag is None else {"lag_ms": row.lag}
            notes = {"notes": list(row.notes)} if row.notes else {}
            line = {"file": name, "group": self.places[name], **_strict(row.scores)}
            yield json.dumps(line | _counts(row) | lag | notes)
        for name, reason in self.failed.items():
            yield json.dumps({"file": name, "group": self.places[name], "failed": reason})
        for name, table, failed in self.means():
            whose = {} if name is None else {"group": name}
            mean = {score: _strict(_numbers(found)) for score, found in table.items()}
            yield json.dumps({**whose, "mean": mean, "failed": failed})

    def definitions(self) -> Iterator[str]:
        """Yield one line for each score."""
        from diff_audio.metrics.scores import DEFINITIONS

        for name in self.names:
            yield f"{name:7} {DEFINITIONS[name]}"

    def lines(self) -> Iterator[str]:
        """Yield the lines of the table for people."""
        means = self.means()
        titles = [name for name, _, _ in means if name is not None]
        width = max(len("95 % +-"), *(len(n) for n in [*self.rows, *titles, *self.failed]))
        lags = any(row.lag is not None for row in self.rows.values())
        heads = [*self.names, *(["lag, ms"] if lags else [])]
        yield f"{'file':{width}}" + _cells(heads)
        for file, row in self.rows.items():
            values = [
                *(row.scores[name] for name in self.names),
                *([row.lag or 0.0] if lags else []),
            ]
            yield f"{file:{width}}" + _cells(_cell(value) for value in values)
        for file, reason in self.failed.items():
            yield f"{file:{width}}  failed: {reason}"
        for title, table, failed in means:
            if titles:
                yield ""
                yield title or "all"
            found = [table[name] for name in self.names]
            yield f"{'mean':{width}}" + _cells(_cell(one.mean) for one in found)
            # an interval needs two files
            yield f"{'95 % +-':{width}}" + _cells(_cell(one.half) for one in found)
            yield f"{'files':{width}}" + _cells(str(one.count) for one in found)
            if any(one.undefined for one in found):
                yield f"{'no score':{width}}" + _cells(str(one.undefined) for one in found)
            if failed:
                yield f"{'failed':{width}}" + _cells(str(failed) for _ in found)

    def write_csv(self, path: Path) -> None:
        """Write the scores of every file, or why it has none."""
        from diff_core.files import replacing
        from diff_core.lines import cell

        lags = any(row.lag is not None for row in self.rows.values())
        counts = [key for row in self.rows.values() for key in _counts(row)][:2]
        more = [*counts, *(["lag_ms"] if lags else []), *(["failed"] if self.failed else [])]
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["file", "group", *self.names, *more], restval="")
            writer.writeheader()
            for name, row in self.rows.items():
                lag = {"lag_ms": row.lag} if lags else {}
                place = {"file": cell(name), "group": cell(self.places[name])}
                writer.writerow({**place, **row.scores, **_counts(row), **lag})
            for name, reason in self.failed.items():
                place = {"file": cell(name), "group": cell(self.places[name])}
                writer.writerow({**place, "failed": cell(reason)})

    def draw(self, path: Path) -> None:
        """Draw the scores of all files and groups."""
        from diff_audio.metrics.scores import BETTER
        from diff_core.command.score_plot import plot_scores

        plot_scores(self.groups, {name: BETTER[name] for name in self.names}, path)


def _cells(cells: Iterable[str]) -> str:
    return "".join(f"{cell:>9}" for cell in cells)


def _cell(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _numbers(found: Summary) -> dict[str, float]:
    return {
        "mean": found.mean,
        "half_width": found.half,
        "count": found.count,
        "undefined": found.undefined,
    }


def _counts(row: Scored) -> dict[str, int]:
    """Return the words said and wrong, where they were counted."""
    return {} if row.words is None else {"words": row.words.words, "wrong": row.words.wrong}


def _strict(row: Mapping[str, float]) -> dict[str, float | None]:
    """Return the scores without NaN, which JSON does not have."""
    return {name: None if math.isnan(value) else value for name, value in row.items()}
