"""Samplers of categories: `sample` walks states down a grid of times with any of them."""

from __future__ import annotations

from diff_core.discrete.sample.ancestral import Ancestral
from diff_core.discrete.sample.confidence import ConfidenceOrdered
from diff_core.discrete.sample.corrector import PredictorCorrector
from diff_core.discrete.sample.first_hitting import FirstHitting
from diff_core.discrete.sample.leaping import TauLeaping
from diff_core.discrete.sample.loop import Factorised, Plan, Sampler, levels, sample
from diff_core.discrete.sample.remasking import Remasking

__all__ = [
    "Ancestral",
    "ConfidenceOrdered",
    "Factorised",
    "FirstHitting",
    "Plan",
    "PredictorCorrector",
    "Remasking",
    "Sampler",
    "TauLeaping",
    "levels",
    "sample",
]
