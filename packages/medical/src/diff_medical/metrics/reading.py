"""The scores of a blind reading test: how well people tell real from synthetic scans.

Of n pictures a reader is right on k. The interval of the accuracy is exact: C. Clopper and
E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial"
(1934). The area under the curve (AUC) is the probability that a synthetic picture gets a higher
mark than a real one, ties counting one half; marks go from -3, surely real, to 3, surely
synthetic. It is the mean, over all ways to pair real with synthetic pictures, of the mean of
k = min(real, synthetic) independent values in [0, 1], so that Chernoff's bound holds for it at any
number of pictures (W. Hoeffding, "Probability inequalities for sums of bounded random variables",
1963, section 5):

    P(AUC is beyond a on one side of its mean m) <= exp(-k KL(a, m)) ,

with KL of two coins. Its interval holds the m for which neither side is below 2.5 %. It covers in
at least 95 % of tests, and it is wider than it would have to be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diff_core.evaluate import Interval, mean_interval
from diff_core.pages.blind import answers_to, read_key

__all__ = ["Reader", "Result", "area", "read_answers", "score_answers"]

LEVEL = 0.95
SURE = (1, 2, 3)

Marks = Mapping[str, Sequence[int]]
"""The marks, -3 to 3, that a reader gave to the pictures of each kind, "real" and "synthetic"."""


@dataclass(frozen=True)
class Reader:
    """right, pictures: how many; accuracy, area: with their intervals; chance: the probability of
    as many right answers, or more, by guessing.
    """

    right: int
    pictures: int
    accuracy: Interval
    area: Interval
    chance: float


@dataclass(frozen=True)
class Result:
    """The readers by name, and the means over them, whose intervals are Student's t over readers;
    NaN for one reader.
    """

    readers: dict[str, Reader]
    accuracy: Interval
    area: Interval


def read_answers(key: Path, answers: Sequence[Path]) -> dict[str, Marks]:
    """Return the marks of each reader from the files that the page made.

    Raises ValueError, with the file, for what is no answer to this test, an answer that is missing
    or none of those that the page gives, and a reader who answers twice.
    """
    trials = read_key(key)[1]
    kinds = {name: row.get("kind") if isinstance(row, dict) else None
             for name, row in trials.items()}  # fmt: skip
    if set(kinds.values()) != {"real", "synthetic"}:
        raise ValueError(f"{key}: is no key of a reading test")
    return {
        name: _marks(path, rows, {trial: str(kind) for trial, kind in kinds.items()})
        for path, name, rows in answers_to(key, answers, "reader")
    }


def _marks(path: Path, rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> Marks:
    found: dict[str, int] = {}
    for row in rows:
        trial, answer, sure = row.get("trial"), row.get("answer"), row.get("sure")
        if not isinstance(trial, str) or trial not in kinds or trial in found:
            raise ValueError(f"{path}: a picture is unknown, or is there twice")
        if answer not in ("real", "synthetic"):
            raise ValueError(f"{path}: an answer is {answer!a}; expected real or synthetic")
        if isinstance(sure, bool) or sure not in SURE:
            raise ValueError(f"{path}: how sure an answer is, is {sure!a}; expected 1, 2 or 3")
        found[trial] = int(sure) if answer == "synthetic" else -int(sure)
    if missing := len(kinds) - len(found):
        raise ValueError(f"{path}: has no answers to {missing} of {len(kinds)} pictures")
    return {
        kind: [mark for trial, mark in found.items() if kinds[trial] == kind]
        for kind in ("real", "synthetic")
    }


def score_answers(answers: Mapping[str, Marks]) -> Result:
    """Return the accuracy and the area under the curve of each reader, and their means.

    Raises ValueError where there is no reader.
    """
    if not answers:
        raise ValueError("answers is empty; expected at least one reader")
    readers = {name: _reader(marks) for name, marks in answers.items()}
    return Result(
        readers,
        mean_interval([one.accuracy.mean for one in readers.values()]),
        mean_interval([one.area.mean for one in readers.values()]),
    )


def _reader(marks: Marks) -> Reader:
    from scipy.stats import binomtest

    right = sum(m < 0 for m in marks["real"]) + sum(m > 0 for m in marks["synthetic"])
    count = len(marks["real"]) + len(marks["synthetic"])
    both = binomtest(right, count).proportion_ci(LEVEL, "exact")
    accuracy = Interval(right / count, float(both.low), float(both.high), count)
    chance = float(binomtest(right, count, 0.5, "greater").pvalue)
    return Reader(right, count, accuracy, area(marks["real"], marks["synthetic"]), chance)


def area(lower: Sequence[float], upper: Sequence[float]) -> Interval:
    """Return the probability that a value of `upper` is above one of `lower`, and its interval.

    Ties count one half; `count` is the smaller number of both. Raises ValueError for none.
    """
    if not len(lower) or not len(upper):
        raise ValueError("lower or upper is empty; expected at least one value in each")
    gaps = np.sign(np.subtract.outer(np.asarray(upper, float), np.asarray(lower, float)))
    found = float((gaps + 1).mean() / 2)
    count = min(len(lower), len(upper))
    limit = math.log(2 / (1 - LEVEL)) / count
    return Interval(found, _edge(found, 0.0, limit), _edge(found, 1.0, limit), count)


def _edge(found: float, end: float, limit: float) -> float:
    """The mean between `found` and `end` that is `limit` away from `found`, by bisection."""
    near, far = found, end
    for _ in range(60):
        middle = (near + far) / 2
        near, far = (middle, far) if _coins(found, middle) <= limit else (near, middle)
    return near


def _coins(p: float, q: float) -> float:
    """The Kullback-Leibler divergence of a coin of probability p from one of q."""
    if q in (0.0, 1.0):
        return 0.0 if p == q else math.inf
    parts = ((p, q), (1 - p, 1 - q))
    return sum(a * math.log(a / b) for a, b in parts if a > 0)
