"""Sweeps: runs of one recipe with other values of some of its keys, ranked by a score.

A grid trains every setting to the end. Successive halving (Jamieson and Talwalkar, Non-stochastic
Best Arm Identification and Hyperparameter Optimization, 2016, section 3) trains all of them for a
few steps, lets the better ones go on for some times as many, and so on. A run that goes on is
resumed with the rates of the whole run, so that it equals, bit for bit, a run that was never
stopped.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from diff_core.train.config import TrainConfig
from diff_core.train.curves import read_curves
from diff_core.train.state import read_progress

__all__ = ["SWEEP", "Result", "Setting", "Sweep", "Trial", "ranked", "result_of"]

SWEEP = "sweep.json"
"""In OUT: the sweep and its start, with which --resume goes on."""

_HALVED = ("train.steps", "train.validate_every")


@dataclass(frozen=True)
class Sweep:
    """The settings of a sweep and how they are ranked.

    keys:    by the recipe's keys, as in "train.learning_rate", the values to try: a setting is a
             combination of them
    seeds:   `train.seed` of the runs of each setting
    score:   of a validation, or "loss", by whose mean over the seeds settings are ranked; "" for
             `train.best` of the recipe
    better:  whether the score is to be higher or lower; "" for `train.better` where the score is
             `train.best`, and lower elsewhere
    halving: one in how many settings goes on at each rung, rounded up; 0 for a grid
    first:   steps of the first rung. Each has `halving` times as many as the one before, up to
             `train.steps`, rounded up to the next validation

    Raises ValueError for no values, values or seeds given twice, or numbers out of range.
    """

    keys: dict[str, tuple[Any, ...]]
    seeds: tuple[int, ...] = (0,)
    score: str = ""
    better: Literal["", "higher", "lower"] = ""
    halving: int = 0
    first: int = 0

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("keys is empty; expected keys of the recipe with lists of values")
        for name, place in (("train.seed", "seeds"), ("train.best", "score")):
            if name in self.keys:
                raise ValueError(f"keys holds {name}; expected it in `{place}`")
        for name, values in (*self.keys.items(), ("seeds", self.seeds)):
            if not values or len({json.dumps(value) for value in values}) < len(values):
                raise ValueError(f"{name} is {list(values)}; expected values, each given once")
        given = self.halving, self.first
        if given != (0, 0) and (self.halving < 2 or self.first < 1):
            raise ValueError(
                f"halving is {self.halving}, first {self.first}; expected at least 2 and 1, or "
                "neither of them"
            )
        for name in _HALVED if self.halving else ():
            if name in self.keys:
                raise ValueError(f"keys holds {name}, by which the rungs of halving are counted")

    def settings(self) -> list[Setting]:
        """Return all combinations of the values, the last key changing fastest."""
        values = itertools.product(*self.keys.values())
        return [Setting(dict(zip(self.keys, row, strict=True))) for row in values]

    def rungs(self, config: TrainConfig) -> tuple[int, ...]:
        """Return the steps at which settings are ranked, `config.steps` the last of them."""
        every, step, found = config.validate_every, self.first, list[int]()
        while self.halving and (rung := -(-step // every) * every) < config.steps:
            found.append(rung)
            step *= self.halving
        return (*dict.fromkeys(found), config.steps)

    def best(self, scores: Mapping[Setting, float], *, higher: bool) -> list[Setting]:
        """Return the settings that go on after a rung, the best first."""
        return ranked(scores, higher=higher)[: self.going_on(len(scores))]

    def going_on(self, count: int) -> int:
        """Return how many of `count` settings go on after a rung."""
        return -(-count // max(1, self.halving))

    def judged_by(self, config: TrainConfig) -> tuple[str, bool]:
        """Return the name of the score, and whether higher is better.

        Raises ValueError where neither the sweep nor `config` names one.
        """
        score = self.score or config.best
        if not score:
            raise ValueError("score is missing, and train.best too; expected a name in the log")
        better = self.better or (config.better if score == config.best else "lower")
        return score, better == "higher"


@dataclass(frozen=True)
class Setting:
    """A value for each key of the sweep."""

    values: Mapping[str, Any]

    def __hash__(self) -> int:
        return hash(self.words())

    def overrides(self) -> list[str]:
        """Return the values as settings of a recipe: `train.learning_rate=0.001`."""
        return [f"{name}={json.dumps(value)}" for name, value in self.values.items()]

    def words(self) -> str:
        """Return the values as one line of text."""
        return " ".join(self.overrides())

    def trial(self, seed: int, root: Path) -> Trial:
        """Return the run of a seed; its folder below `root` depends on values and seed alone."""
        text = json.dumps([dict(sorted(self.values.items())), seed])
        name = hashlib.sha256(text.encode()).hexdigest()[:10]
        return Trial(self, seed, root / "runs" / name)


def ranked(scores: Mapping[Setting, float], *, higher: bool) -> list[Setting]:
    """Return settings by their scores, the best first, those without a finite score last."""

    def place(setting: Setting) -> float:
        score = scores[setting]
        return (-score if higher else score) if math.isfinite(score) else math.inf

    return sorted(scores, key=place)


@dataclass(frozen=True)
class Trial:
    """A run of a sweep."""

    setting: Setting
    seed: int
    folder: Path

    def overrides(self) -> list[str]:
        """Return its settings of the recipe."""
        return [*self.setting.overrides(), f"train.seed={self.seed}"]

    def has_come_to(self, step: int, config: TrainConfig) -> bool:
        """Return whether the run has reached a step, or ended before it as `stop_after` says."""
        state = self.folder / "state.safetensors"
        if not state.exists():
            return False
        progress = read_progress(state)
        return progress.step >= step or progress.is_over(config)

    def score(self, name: str, until: int, *, best: Callable[..., float] | None) -> float:
        """Return the score in the log after at most `until` steps; NaN where there is none yet.

        best: min or max, for the best of the validations; None for the last

        Raises ValueError where there are other scores, but never this one.
        """
        curves = read_curves(self.folder / "log.jsonl")
        if curves and name not in curves:
            raise ValueError(f"score is {name!r}; expected one of {', '.join(sorted(curves))}")
        values = {step: v for step, v in curves.get(name, {}).items() if step <= until}
        finite = [value for value in values.values() if math.isfinite(value)]
        if best is not None and finite:
            return best(finite)
        return values[max(values)] if values else math.nan


@dataclass(frozen=True)
class Result:
    """The scores of a setting's runs after the same number of steps.

    step:   the rung that they have reached
    scores: one for each seed; NaN for a run that failed
    """

    setting: Setting
    step: int
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the seeds; NaN where one run has no score."""
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float:
        """The standard deviation over the seeds; NaN for a single one."""
        known = len(self.scores) > 1 and all(map(math.isfinite, self.scores))
        return statistics.stdev(self.scores) if known else math.nan


def result_of(trials: Sequence[Trial], until: int, config: TrainConfig, sweep: Sweep) -> Result:
    """Return the result of a setting's runs after at most `until` steps.

    Where the score is `train.best`, it is that of the model that each run has saved: the best. A
    run that has failed on its way has the score NaN.
    """
    name, higher = sweep.judged_by(config)
    best = (max if higher else min) if name == config.best else None
    scores = tuple(
        trial.score(name, until, best=best) if trial.has_come_to(until, config) else math.nan
        for trial in trials
    )
    return Result(trials[0].setting, until, scores)
