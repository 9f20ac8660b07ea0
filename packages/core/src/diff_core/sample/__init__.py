"""Samplers: `sample` walks a signal down a grid of times with any of them."""

from __future__ import annotations

from diff_core.sample.adams import Deis, Lms
from diff_core.sample.adaptive import sample_adaptive
from diff_core.sample.ancestral import Ancestral, Ddim
from diff_core.sample.churn import HeunChurn
from diff_core.sample.consistency import Consistency
from diff_core.sample.corrector import PredictorCorrector
from diff_core.sample.fitted import fit_times
from diff_core.sample.flow_time import Kutta3, Midpoint
from diff_core.sample.loop import Denoise, Memory, OnStep, Plan, Sampler, levels, sample
from diff_core.sample.multistep import DpmSolverPP2M, DpmSolverPP3M
from diff_core.sample.runge_kutta import Dpm2, Euler, Heun
from diff_core.sample.singlestep import DpmSolverPP2S, DpmSolverPP3S
from diff_core.sample.trig import TrigAdams
from diff_core.sample.unipc import UniPC

__all__ = [
    "Ancestral",
    "Consistency",
    "Ddim",
    "Deis",
    "Denoise",
    "Dpm2",
    "DpmSolverPP2M",
    "DpmSolverPP2S",
    "DpmSolverPP3M",
    "DpmSolverPP3S",
    "Euler",
    "Heun",
    "HeunChurn",
    "Kutta3",
    "Lms",
    "Memory",
    "Midpoint",
    "OnStep",
    "Plan",
    "PredictorCorrector",
    "Sampler",
    "TrigAdams",
    "UniPC",
    "fit_times",
    "levels",
    "sample",
    "sample_adaptive",
]
