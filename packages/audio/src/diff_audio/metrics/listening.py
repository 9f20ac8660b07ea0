"""The scores of a listening test: means of systems, and of their differences, with intervals.

One value a listener, the mean over the recordings, because the scores of one listener are not
independent; the interval is Student's t over listeners. ITU-R BS.1534-3, 2015, section 4.1.2: a
listener who scores the hidden reference under 90 in more than 15 % of the recordings is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from diff_core.evaluate import Interval, mean_interval
from diff_core.pages.blind import answers_to, read_key

__all__ = ["Result", "read_answers", "score_answers"]

_SURE, _SHARE = 90.0, 0.15
_HIDDEN = ("reference", "anchor")

Scores = Mapping[str, Mapping[str, float]]
"""The scores of a listener: by recording, then by system."""


@dataclass(frozen=True)
class Result:
    """The outcome of a test.

    means:       by system, the best first; 0 to 100
    differences: (one, other, mean of one - other), between systems that are not hidden
    listeners:   the names of those who count
    left_out:    the names of those who did not find the hidden reference
    """

    means: dict[str, Interval]
    differences: list[tuple[str, str, Interval]]
    listeners: tuple[str, ...]
    left_out: tuple[str, ...]


def read_answers(key: Path, answers: Sequence[Path]) -> dict[str, Scores]:
    """Return the scores of each listener from the files that the page made.

    Raises ValueError, with the file, for what is no answer to this test, a score that is missing
    or not from 0 to 100, and a listener who answers twice.
    """
    trials = cast("dict[str, dict[str, str]]", read_key(key)[1])
    return {
        name: _scores(path, rows, trials)
        for path, name, rows in answers_to(key, answers, "listener")
    }


def _scores(
    path: Path, rows: Sequence[Mapping[str, Any]], trials: Mapping[str, Mapping[str, str]]
) -> Scores:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        trial, scores = row.get("trial"), row.get("scores")
        names = trials.get(trial) if isinstance(trial, str) else None
        tokens = {token for token in names or () if token != "name"}
        if names is None or not isinstance(scores, dict) or set(scores) != tokens:
            raise ValueError(f"{path}: a recording is unknown, or not each version has a score")
        for value in scores.values():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{path}: a score is {value!a}; expected a number")
            if not 0 <= value <= 100:
                raise ValueError(f"{path}: a score is {value}; expected 0 to 100")
        found[names["name"]] = {names[token]: float(scores[token]) for token in scores}
    if missing := {names["name"] for names in trials.values()} - set(found):
        raise ValueError(f"{path}: has no scores of {sorted(missing)[0]}")
    return found


def score_answers(answers: Mapping[str, Scores], *, keep_all: bool = False) -> Result:
    """Return means and differences with 95 % intervals.

    keep_all: count listeners, too, who did not find the hidden reference

    Raises ValueError where nobody is left.
    """
    left_out = () if keep_all else tuple(n for n, scores in answers.items() if _missed(scores))
    listeners = tuple(name for name in answers if name not in left_out)
    if not listeners:
        raise ValueError(
            "no listener is left; keep_all=True counts those who missed the reference"
        )
    means = [_means(answers[name]) for name in listeners]
    systems = {name: mean_interval([one[name] for one in means]) for name in means[0]}
    ranked = sorted(systems, key=lambda name: -systems[name].mean)
    shown = [name for name in ranked if name not in _HIDDEN]
    differences = [
        (one, other, mean_interval([mean[one] - mean[other] for mean in means]))
        for one, other in itertools.combinations(shown, 2)
    ]
    return Result({name: systems[name] for name in ranked}, differences, listeners, left_out)


def _missed(scores: Scores) -> bool:
    under = [row["reference"] < _SURE for row in scores.values()]
    return sum(under) > _SHARE * len(under)


def _means(scores: Scores) -> dict[str, float]:
    """Return the mean of each system over the recordings that have it."""
    names = dict.fromkeys(name for row in scores.values() for name in row)
    return {n: float(np.mean([row[n] for row in scores.values() if n in row])) for n in names}
